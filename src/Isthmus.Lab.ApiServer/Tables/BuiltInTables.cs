using Isthmus.Lab.ApiServer.Registry;

namespace Isthmus.Lab.ApiServer.Tables;

/// <summary>The columns of built-in kinds; the ones a real API server shows.</summary>
internal static class BuiltInTables
{
    internal static ITableFormat? Find(string kind) => kind switch
    {
        "Pod" => PodTable.Build(),
        "Service" => CoreTables.Services(),
        "Secret" => CoreTables.Secrets(),
        "ConfigMap" => CoreTables.ConfigMaps(),
        "Endpoints" => CoreTables.Endpoints(),
        "Event" => CoreTables.Events(),
        "ServiceAccount" => CoreTables.ServiceAccounts(),
        "Namespace" => CoreTables.Namespaces(),
        "Node" => CoreTables.Nodes(),
        "ReplicationController" => CoreTables.ReplicationControllers(),
        "ResourceQuota" => CoreTables.ResourceQuotas(),
        "PodTemplate" => CoreTables.PodTemplates(),
        "PersistentVolume" => CoreTables.Volumes(),
        "PersistentVolumeClaim" => CoreTables.Claims(),
        "Deployment" => WorkloadTables.Deployments(),
        "ReplicaSet" => WorkloadTables.ReplicaSets(),
        "StatefulSet" => WorkloadTables.StatefulSets(),
        "DaemonSet" => WorkloadTables.DaemonSets(),
        "ControllerRevision" => WorkloadTables.ControllerRevisions(),
        "Job" => WorkloadTables.Jobs(),
        "CronJob" => WorkloadTables.CronJobs(),
        "HorizontalPodAutoscaler" => WorkloadTables.Autoscalers(),
        "EndpointSlice" => OtherTables.EndpointSlices(),
        "Ingress" => OtherTables.Ingresses(),
        "NetworkPolicy" => OtherTables.NetworkPolicies(),
        "IngressClass" => OtherTables.IngressClasses(),
        "PodDisruptionBudget" => OtherTables.Budgets(),
        "RoleBinding" or "ClusterRoleBinding" => OtherTables.Bindings(),
        "Lease" => OtherTables.Leases(),
        "APIService" => OtherTables.ApiServices(),
        "MutatingWebhookConfiguration" or "ValidatingWebhookConfiguration" => OtherTables.Webhooks(),
        "ValidatingAdmissionPolicy" => OtherTables.Policies(),
        "ValidatingAdmissionPolicyBinding" => OtherTables.PolicyBindings(),
        "StorageClass" => OtherTables.StorageClasses(),
        "PriorityClass" => OtherTables.PriorityClasses(),
        "RuntimeClass" => OtherTables.RuntimeClasses(),
        "CSIDriver" => OtherTables.CsiDrivers(),
        "CSINode" => OtherTables.CsiNodes(),
        "VolumeAttachment" => OtherTables.Attachments(),
        "CertificateSigningRequest" => OtherTables.SigningRequests(),
        "FlowSchema" => OtherTables.FlowSchemas(),
        "PriorityLevelConfiguration" => OtherTables.PriorityLevels(),
        _ => null,
    };
}

namespace Isthmus.Kubernetes.Objects;

/// <summary>The built-in kinds that Isthmus itself reads or writes (Kubernetes API reference 1.32).</summary>
public static class Kinds
{
    public static readonly ResourceKind Pod = new("", "v1", "Pod", "pods", true);
    public static readonly ResourceKind Service = new("", "v1", "Service", "services", true);
    public static readonly ResourceKind Endpoints = new("", "v1", "Endpoints", "endpoints", true);
    public static readonly ResourceKind Node = new("", "v1", "Node", "nodes", false);
    public static readonly ResourceKind Namespace = new("", "v1", "Namespace", "namespaces", false);
    public static readonly ResourceKind Secret = new("", "v1", "Secret", "secrets", true);
    public static readonly ResourceKind ConfigMap = new("", "v1", "ConfigMap", "configmaps", true);
    public static readonly ResourceKind ServiceAccount = new("", "v1", "ServiceAccount", "serviceaccounts", true);
    public static readonly ResourceKind Event = new("", "v1", "Event", "events", true);
    public static readonly ResourceKind EndpointSlice = new("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", true);
    public static readonly ResourceKind Ingress = new("networking.k8s.io", "v1", "Ingress", "ingresses", true);
    public static readonly ResourceKind IngressClass = new("networking.k8s.io", "v1", "IngressClass", "ingressclasses", false);
    public static readonly ResourceKind NetworkPolicy = new("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", true);
    public static readonly ResourceKind Deployment = new("apps", "v1", "Deployment", "deployments", true);
    public static readonly ResourceKind ReplicaSet = new("apps", "v1", "ReplicaSet", "replicasets", true);
    public static readonly ResourceKind StatefulSet = new("apps", "v1", "StatefulSet", "statefulsets", true);
    public static readonly ResourceKind DaemonSet = new("apps", "v1", "DaemonSet", "daemonsets", true);
    public static readonly ResourceKind PersistentVolumeClaim = new("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", true);
    public static readonly ResourceKind PersistentVolume = new("", "v1", "PersistentVolume", "persistentvolumes", false);
    public static readonly ResourceKind ControllerRevision = new("apps", "v1", "ControllerRevision", "controllerrevisions", true);
    public static readonly ResourceKind Job = new("batch", "v1", "Job", "jobs", true);
    public static readonly ResourceKind CronJob = new("batch", "v1", "CronJob", "cronjobs", true);
    public static readonly ResourceKind Lease = new("coordination.k8s.io", "v1", "Lease", "leases", true);
    public static readonly ResourceKind Role = new("rbac.authorization.k8s.io", "v1", "Role", "roles", true);
    public static readonly ResourceKind RoleBinding = new("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings", true);
    public static readonly ResourceKind ClusterRole = new("rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles", false);
    public static readonly ResourceKind ClusterRoleBinding = new("rbac.authorization.k8s.io", "v1", "ClusterRoleBinding", "clusterrolebindings", false);
    public static readonly ResourceKind TokenReview = new("authentication.k8s.io", "v1", "TokenReview", "tokenreviews", false);
    public static readonly ResourceKind SubjectAccessReview = new("authorization.k8s.io", "v1", "SubjectAccessReview", "subjectaccessreviews", false);
    public static readonly ResourceKind SelfSubjectAccessReview = new("authorization.k8s.io", "v1", "SelfSubjectAccessReview", "selfsubjectaccessreviews",
        false);
    public static readonly ResourceKind CustomResourceDefinition = new("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions",
        false);
    public static readonly ResourceKind MutatingWebhookConfiguration = new("admissionregistration.k8s.io", "v1", "MutatingWebhookConfiguration",
        "mutatingwebhookconfigurations", false);
    public static readonly ResourceKind ValidatingWebhookConfiguration = new("admissionregistration.k8s.io", "v1", "ValidatingWebhookConfiguration",
        "validatingwebhookconfigurations", false);
    public static readonly ResourceKind ValidatingAdmissionPolicy =
        new("admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicy", "validatingadmissionpolicies", false);
    public static readonly ResourceKind ValidatingAdmissionPolicyBinding =
        new("admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings", false);
    public static readonly ResourceKind PodDisruptionBudget = new("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", true);
    public static readonly ResourceKind HorizontalPodAutoscaler = new("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", true);

    public static readonly IReadOnlyList<ResourceKind> All =
    [
        Pod, Service, Endpoints, Node, Namespace, Secret, ConfigMap, ServiceAccount, Event, EndpointSlice, Ingress, IngressClass, NetworkPolicy, Deployment,
        ReplicaSet,
        StatefulSet, DaemonSet, ControllerRevision, PersistentVolumeClaim, PersistentVolume, Job, CronJob, Lease, Role, RoleBinding, ClusterRole,
        ClusterRoleBinding, TokenReview,
        SubjectAccessReview, SelfSubjectAccessReview, CustomResourceDefinition, MutatingWebhookConfiguration,
        ValidatingWebhookConfiguration, ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding, PodDisruptionBudget, HorizontalPodAutoscaler,
    ];

    public static ResourceKind? Find(string apiVersion, string kind) =>
        All.FirstOrDefault(known => known.Kind == kind && known.ApiVersion == apiVersion);
}

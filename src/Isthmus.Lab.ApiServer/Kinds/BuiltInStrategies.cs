using Isthmus.Lab.ApiServer.CustomResources;
using Isthmus.Lab.ApiServer.Hosting;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Registry;

namespace Isthmus.Lab.ApiServer.Kinds;

/// <summary>Which built-in kind has rules of its own.</summary>
internal sealed class BuiltInStrategies(ApiServerContext context)
{
    private readonly ServiceAllocator _services = new(context.Store, context.Settings.ServiceRange, context.Random);

    /// <summary>Null for a plain kind.</summary>
    public KindStrategy? For(string group, string kind) => (group, kind) switch
    {
        ("", "Pod") => new PodStrategy(),
        ("", "Service") => new ServiceStrategy(_services),
        ("", "Namespace") => new NamespaceStrategy(),
        ("", "ConfigMap") => new ConfigMapStrategy(),
        ("", "Secret") => new SecretStrategy(),
        ("", "ServiceAccount") => new ServiceAccountStrategy(),
        ("", "Endpoints") => new EndpointsStrategy(context.Settings.LoopbackEndpoints),
        ("", "Node") => new NodeStrategy(),
        ("" or "events.k8s.io", "Event") => new EventStrategy(),
        ("", "LimitRange") => new LimitRangeStrategy(),
        ("", "PersistentVolumeClaim") => new VolumeClaimStrategy(),
        ("", "PersistentVolume") => new VolumeStrategy(context.Time),
        ("apps", "Deployment") => new DeploymentStrategy(),
        ("apps", "ReplicaSet") => new ReplicaSetStrategy(),
        ("apps", "StatefulSet") => new StatefulSetStrategy(),
        ("apps", "DaemonSet") => new DaemonSetStrategy(),
        ("batch", "Job") => new JobStrategy(),
        ("batch", "CronJob") => new CronJobStrategy(),
        ("autoscaling", "HorizontalPodAutoscaler") => new AutoscalerStrategy(),
        ("networking.k8s.io", "Ingress") => new IngressStrategy(),
        ("networking.k8s.io", "NetworkPolicy") => new NetworkPolicyStrategy(),
        ("policy", "PodDisruptionBudget") => new DisruptionBudgetStrategy(),
        (Resources.DiscoveryGroup, "EndpointSlice") => new EndpointSliceStrategy(context.Settings.LoopbackEndpoints),
        (Resources.CertificatesGroup, "ClusterTrustBundle") => new TrustBundleStrategy(),
        ("coordination.k8s.io", "Lease") => new LeaseStrategy(),
        ("scheduling.k8s.io", "PriorityClass") => new PriorityClassStrategy(),
        ("storage.k8s.io", "StorageClass") => new StorageClassStrategy(),
        (Resources.RbacGroup, "Role") => new RoleStrategy(clusterWide: false),
        (Resources.RbacGroup, "ClusterRole") => new RoleStrategy(clusterWide: true),
        (Resources.RbacGroup, "RoleBinding") => new BindingStrategy(clusterWide: false),
        (Resources.RbacGroup, "ClusterRoleBinding") => new BindingStrategy(clusterWide: true),
        (Resources.AdmissionGroup, "MutatingWebhookConfiguration") => new WebhookConfigurationStrategy(mutating: true),
        (Resources.AdmissionGroup, "ValidatingWebhookConfiguration") => new WebhookConfigurationStrategy(mutating: false),
        (Resources.AdmissionGroup, "ValidatingAdmissionPolicy") => new AdmissionPolicyStrategy(),
        (Resources.ExtensionsGroup, "CustomResourceDefinition") => new DefinitionStrategy(context.Kinds, context.Time),
        _ => null,
    };
}

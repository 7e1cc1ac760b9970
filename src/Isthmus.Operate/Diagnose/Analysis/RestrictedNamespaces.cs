using Isthmus.Core.Names;
using Isthmus.Kubernetes.Objects;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Namespaces with injection whose PodSecurity level refuses every Pod with a sidecar. Pure.</summary>
public static class RestrictedNamespaces
{
    private const string Level = "pod-security.kubernetes.io/enforce";

    public static Analyzer Analyzer
    {
        get;
    } = new("injection.PodSecurityAnalyzer", "Checks that the PodSecurity level of namespaces with injection allows sidecars", [OwnCodes.SidecarsRefused],
        ["Namespace"], mesh => Check(mesh.Readable));

    public static IEnumerable<Finding> Check(IReadOnlyList<ClusterInventory> clusters) =>
        from cluster in clusters
        where !HasNodeAgent(cluster)
        from ns in cluster.Namespaces
        let name = ns.Metadata.Name
        let level = ns.Metadata.Labels.GetValueOrDefault(Level, "")
        where level is "baseline" or "restricted" && InjectionLabels.IsInjected(cluster, ns) == true
            && !MeshSnapshot.IsSystem(cluster, name) && !HasOnlyGateways(cluster.Pods.Where(pod => pod.Metadata.Namespace == name))
        select new Finding(cluster.Context, new("ISM1409", $"Namespace {name}", $"metadata.labels[{Level}]",
            $"the PodSecurity level {level} refuses Pods with a sidecar: their init container istio-init needs the capability NET_ADMIN",
            $"install the CNI node agent (components.cni.enabled=true), set the label to privileged, or remove {Labels.Injection} and {Labels.Revision} from "
                + $"the namespace"));

    /// <summary>The agent captures the traffic of Pods, so that they need no capability.</summary>
    private static bool HasNodeAgent(ClusterInventory cluster) => cluster.Pods.Any(pod => pod.Metadata.Labels.GetValueOrDefault("k8s-app") == "istio-cni-node");

    /// <summary>Gateways capture no traffic, so every level accepts them.</summary>
    private static bool HasOnlyGateways(IEnumerable<Pod> pods)
    {
        var templates = pods.Select(pod => pod.Metadata.Annotations.GetValueOrDefault(Annotations.InjectTemplates, "")).ToList();
        return templates.Count > 0 && templates.TrueForAll(template => template.Split(',').Contains("gateway"));
    }
}

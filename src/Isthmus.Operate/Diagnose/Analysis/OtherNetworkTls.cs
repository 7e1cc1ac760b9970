using Isthmus.Core.Names;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>DestinationRules that take mutual TLS of the mesh from calls to workloads which are in other networks only: the gateways there pass nothing else.
/// Pure.</summary>
public static class OtherNetworkTls
{
    public static Analyzer Analyzer
    {
        get;
    } = new("multicluster.RuleTlsAnalyzer", "Checks that DestinationRules leave mutual TLS to calls that gateways of other networks pass on",
        [ClusterCodes.RuleTlsBeyondGateway], ["DestinationRule", "Gateway", "Service", "Namespace", "Pod"], mesh =>
        from config in mesh.Clusters
        // Workloads that were not read may be in the callers' network.
        where mesh.ReadsAll
        from rule in config.Cluster.Istio<DestinationRule>()
        where !rule.Host.StartsWith('*') && rule.WorkloadSelector.Count == 0
        from place in TightLimits.Policies(rule)
        where place.Policy.Tls is { Mode: ClientTlsMode.Disable or ClientTlsMode.Simple or ClientTlsMode.Mutual }
        let hosts = mesh.Hosts.Find(rule.Host).ToList()
        where hosts.Count > 0 && hosts.TrueForAll(host => host.Service is { Spec.Selector.Count: > 0 })
        let behind = hosts.SelectMany(host => mesh.Workloads.First(area => area.Cluster == host.Cluster).Selected(host.Service!))
            .Where(workload => LabelSelector.Selects(place.Labels.Items, workload.Labels)).ToList()
        let called = behind.Find(workload => workload is { Pod.Status.IsReady: true, HasProxy: true, IsGateway: false } && PassesOn(mesh, workload))
        where called is not null
        let caller = config.Reach.SelectMany(area => area.All).FirstOrDefault(workload => workload is { Pod: not null, HasProxy: true, IsGateway: false }
            && Visibility.Allows(rule.ExportTo, rule.Namespace, workload.Namespace) && AppliesTo(config, rule, hosts[0].Namespace, workload)
            // Whatever of the host is there, or could be, is called without a gateway.
            && NetworkOf(workload).Length > 0 && behind.TrueForAll(one => NetworkOf(one) is { Length: > 0 } network && network != NetworkOf(workload)))
        where caller is not null
        select ClusterCodes.RuleTlsBeyondGateway.At(config.Cluster, $"DestinationRule {rule.Namespace}/{rule.Name}", $"{place.Path}.tls.mode",
            $"is {place.Policy.Tls!.Mode.ToString().ToUpperInvariant()}, and the workloads of {rule.Host}, such as {called.Name} in {called.Cluster.Context}, "
                + $"are in other networks than callers such as {caller.Name} in {caller.Cluster.Context}: gateways between networks pass mutual TLS of the mesh "
                + "only, so that these calls fail",
            $"set {place.Path}.tls.mode to ISTIO_MUTUAL, or remove {place.Path}.tls"));

    public static Analyzer Automatic
    {
        get;
    } = new("multicluster.AutoMtlsAnalyzer", "Checks that mutual TLS is automatic where calls pass gateways of other networks", [ClusterCodes.AutoMtlsOff],
        ["ConfigMap", "DestinationRule", "Gateway", "Namespace"], mesh =>
        from config in mesh.Clusters
        from map in config.Cluster.MeshMaps
        where map.IsReadable && !map.Settings.Mesh.EnableAutoMtls && !config.Cluster.Istio<DestinationRule>().Any(IsForAll)
        let own = SubsetsDiffer.NetworkOf(config.Cluster)
        let far = config.Reach.Select(area => area.Cluster).Concat(mesh.Readable)
            .FirstOrDefault(other => SubsetsDiffer.NetworkOf(other) is { Length: > 0 } network && network != own)
        where own.Length > 0 && far is not null
        select ClusterCodes.AutoMtlsOff.At(config.Cluster, $"ConfigMap {map.Namespace}/{map.Name}", AutomaticTls.Field,
            $"is false, so that proxies of {own} send plain text, and {far.Context} is in {SubsetsDiffer.NetworkOf(far)}: gateways between networks pass "
                + "mutual TLS of the mesh only, so that calls there fail",
            AutomaticTls.Remedy));

    /// <summary>A rule by which all calls within the mesh are mutual TLS, whatever is automatic.</summary>
    private static bool IsForAll(DestinationRule rule) => rule.Policy.Tls is { Mode: ClientTlsMode.IstioMutual }
        && rule.Host is "*" or "*.local" or "*.cluster.local" or "*.svc.cluster.local";

    /// <summary>Where the caller's namespace has rules for the host, no others count.</summary>
    private static bool AppliesTo(ConfigCluster config, DestinationRule rule, string ofHost, Workload caller) =>
        rule.Namespace == caller.Namespace || ((rule.Namespace == ofHost || rule.Namespace == config.Cluster.RootNamespace)
            && !config.Cluster.Istio<DestinationRule>().Any(own => own.Namespace == caller.Namespace && Hosts.Covers(own.Host, rule.Host)));

    /// <summary>Whether a gateway leads to its cluster from other networks.</summary>
    private static bool PassesOn(MeshSnapshot mesh, Workload workload) =>
        mesh.Clusters.Any(config => config.Reach.Any(area => area.Cluster == workload.Cluster) && mesh.Passing(config).Any());

    internal static string NetworkOf(Workload workload) => workload.Labels.GetValueOrDefault(Labels.Network) ?? SubsetsDiffer.NetworkOf(workload.Cluster);
}

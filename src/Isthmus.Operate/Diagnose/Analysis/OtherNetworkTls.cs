using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;
using Isthmus.Operate.Inventory;

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
        where rule.WorkloadSelector.Count == 0
        from place in TightLimits.Policies(rule)
        where place.Policy.Tls is { Mode: ClientTlsMode.Disable or ClientTlsMode.Simple or ClientTlsMode.Mutual }
        // Of a rule for many hosts, one is enough.
        from found in HostsOf(mesh, config.Cluster, rule).Select(host => Failing(mesh, config, rule, host, place.Labels)).OfType<(string Host, Workload Called,
            Workload Caller)>().Take(1)
        select ClusterCodes.RuleTlsBeyondGateway.At(config.Cluster, $"DestinationRule {rule.Namespace}/{rule.Name}", $"{place.Path}.tls.mode",
            $"is {place.Policy.Tls!.Mode.ToString().ToUpperInvariant()}{(rule.Host == found.Host ? "" : $" for {rule.Host}")}, and the workloads of "
                + $"{found.Host}, such as {found.Called.Name} in {found.Called.Cluster.Context}, are in other networks than callers such as "
                + $"{found.Caller.Name} in {found.Caller.Cluster.Context}: gateways between networks pass mutual TLS of the mesh only, "
                + "so that these calls fail",
            $"set {place.Path}.tls.mode to ISTIO_MUTUAL, or remove {place.Path}.tls"));

    /// <summary>The hosts that a rule is for, of those that have no rule of their own.</summary>
    private static IEnumerable<string> HostsOf(MeshSnapshot mesh, ClusterInventory cluster, DestinationRule rule) => !rule.Host.StartsWith('*') ? [rule.Host]
        : mesh.Hosts.Find(rule.Host).Where(host => host.Service is not null).Select(host => (Name: HostTable.NameOf(host.Service!), host.Namespace)).Distinct()
            .Where(host => !cluster.Istio<DestinationRule>().Any(other => other != rule && Hosts.Covers(other.Host, host.Name)
                && (other.Host.Length > rule.Host.Length || other.Namespace == host.Namespace)))
            .Select(host => host.Name).Order(StringComparer.Ordinal);

    /// <summary>A workload of a host, and a caller of it that comes through a gateway; null where there are none.</summary>
    /// <param name="labels">Of the subset that the policy of the rule is for.</param>
    private static (string Host, Workload Called, Workload Caller)? Failing(MeshSnapshot mesh, ConfigCluster config, DestinationRule rule, string host,
        ValueMap<string> labels)
    {
        var hosts = mesh.Hosts.Find(host);
        if (hosts.Count == 0 || !hosts.All(known => known.Service is { Spec.Selector.Count: > 0 })) return null;
        var behind = hosts.SelectMany(known => mesh.Workloads.First(area => area.Cluster == known.Cluster).Selected(known.Service!))
            .Where(workload => LabelSelector.Selects(labels.Items, workload.Labels)).ToList();
        if (behind.Find(workload => workload is { Pod.Status.IsReady: true, HasProxy: true, IsGateway: false } && PassesOn(mesh, workload)) is not { } called)
            return null;
        return config.Reach.SelectMany(area => area.All).FirstOrDefault(workload => workload is { Pod: not null, HasProxy: true, IsGateway: false }
            && Visibility.Allows(rule.ExportTo, rule.Namespace, workload.Namespace) && AppliesTo(config, rule, host, hosts[0].Namespace, workload)
            // Whatever of the host is there, or could be, is called without a gateway.
            && NetworkOf(workload).Length > 0 && behind.TrueForAll(one => NetworkOf(one) is { Length: > 0 } network && network != NetworkOf(workload)))
            is { } caller ? (host, called, caller) : null;
    }

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
    private static bool AppliesTo(ConfigCluster config, DestinationRule rule, string host, string ofHost, Workload caller) =>
        rule.Namespace == caller.Namespace || ((rule.Namespace == ofHost || rule.Namespace == config.Cluster.RootNamespace)
            && !config.Cluster.Istio<DestinationRule>().Any(own => own.Namespace == caller.Namespace && Hosts.Covers(own.Host, host)));

    /// <summary>Whether a gateway leads to its cluster from other networks.</summary>
    private static bool PassesOn(MeshSnapshot mesh, Workload workload) =>
        mesh.Clusters.Any(config => config.Reach.Any(area => area.Cluster == workload.Cluster) && mesh.Passing(config).Any());

    internal static string NetworkOf(Workload workload) => workload.Labels.GetValueOrDefault(Labels.Network) ?? SubsetsDiffer.NetworkOf(workload.Cluster);
}

using Isthmus.Core.Problems;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Objects that name Services of a namespace which their cluster does not have, and another one has: it was deleted here, or is meant to be there
/// alone. And endpoints of ServiceEntries that name Services which nobody has. Pure.</summary>
public static class NamespacesElsewhere
{
    public static Analyzer Analyzer
    {
        get;
    } = new("multicluster.NamespaceAnalyzer", "Checks that clusters have the namespaces of the Services that their objects name",
        [ClusterCodes.NamespaceElsewhere, IstioCodes.ReferencedResourceNotFound], ["VirtualService", "DestinationRule", "ServiceEntry", "Namespace", "Service"],
        mesh => mesh.Clusters.SelectMany(config => Check(mesh, config)));

    private static IEnumerable<Finding> Check(MeshSnapshot mesh, ConfigCluster config)
    {
        var own = config.Cluster.Namespaces.Select(ns => ns.Metadata.Name).ToHashSet(StringComparer.Ordinal);
        if (!config.Cluster.Knows(MeshApi.Namespace.Name) || own.Count == 0) yield break;
        var here = config.Cluster.Context;
        foreach (var same in Named(config).GroupBy(named => (named.Object, Namespace: NamespaceOf(named.Host))).Where(same => same.Key.Namespace.Length > 0))
        {
            var ((@object, ns), (_, path, host)) = (same.Key, same.First());
            var there = mesh.Hosts.Find(host).Select(known => known.Cluster.Context).Distinct().Order(StringComparer.Ordinal).ToList();
            if (there.Count > 0 && !own.Contains(ns))
                yield return ClusterCodes.NamespaceElsewhere.At(config.Cluster, @object, path,
                    $"names {host}, and {here} has no namespace {ns}: only {string.Join(", ", there)} has the Service, and all calls go there. Without DNS "
                        + "capture, callers here do not resolve the name",
                    $"if the namespace was deleted by mistake, create it and its objects again in {here}; "
                        + "if it is meant to be there alone, nothing is to be done");
            else if (there.Count == 0 && mesh.ReadsAll && @object.StartsWith("ServiceEntry ", StringComparison.Ordinal))
                yield return IstioCodes.ReferencedResourceNotFound.At(config.Cluster, @object, path,
                    $"Referenced host not found: \"{host}\": no cluster has the Service{(own.Contains(ns) ? "" : $", nor {here} the namespace {ns}")}, so the "
                        + "endpoint has no address");
        }
    }

    /// <summary>That of a Service; empty for other hosts.</summary>
    private static string NamespaceOf(string host) =>
        host.EndsWith(Suffix, StringComparison.Ordinal) && host.Split('.') is [_, var ns, "svc", ..] ? ns : "";

    private const string Suffix = ".svc." + Core.Names.WellKnown.DefaultDomainSuffix;

    private static IEnumerable<(string Object, string Path, string Host)> Named(ConfigCluster config)
    {
        foreach (var placed in RouteDestinations.Of(config)) yield return (placed.Name, $"{placed.Path}.host", placed.Destination.Host);
        foreach (var rule in config.Cluster.Written<DestinationRule>())
            yield return ($"DestinationRule {rule.Namespace}/{rule.Name}", "spec.host", rule.Host);
        foreach (var entry in config.Cluster.Written<ServiceEntry>())
            foreach (var (index, endpoint) in entry.Endpoints.Index())
                yield return ($"ServiceEntry {entry.Namespace}/{entry.Name}", $"spec.endpoints[{index}].address", endpoint.Address.ToString());
    }
}

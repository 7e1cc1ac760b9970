using Isthmus.Core.Names;
using Isthmus.Core.Problems;

namespace Isthmus.Operate.Diagnose;

/// <summary>The problem to report when a command needs a control plane in a cluster that has none.</summary>
public static class NoControlPlane
{
    /// <param name="ns">The namespace that was searched.</param>
    /// <param name="others">The other clusters of the kubeconfig: one of them may run the control plane.</param>
    /// <param name="command">The command, without options.</param>
    public static Problem Of(ClusterFacts cluster, string ns, IReadOnlyList<ClusterFacts> others, string command)
    {
        var @object = $"namespace {ns} in {cluster.Context}";
        if (cluster.ControlPlanes.Count > 0 && cluster.SystemNamespace != ns)
            return new("", @object, "", $"has no control plane: it runs in namespace {cluster.SystemNamespace}",
                $"query it there: {Ask(command, (cluster.Context, cluster.SystemNamespace))}");
        var members = others.Where(other => other is { Error: "" }).Prepend(cluster).ToList();
        var hosts = Hosts(cluster, members).Distinct().ToList();
        if (hosts.Count > 0)
            return new("", @object, "", $"has no control plane: it runs in {string.Join(" and ", hosts.Select(host => host.Context))}{Reached(cluster)}",
                $"query it there: {string.Join(", or ", hosts.Select(host => Ask(command, host)))}");
        if (!cluster.ControlPlaneClusters.IsEmpty || !cluster.ControlPlaneAt.IsEmpty)
        {
            var named = cluster.ControlPlaneClusters.Where(name => name != "*").ToList();
            var contexts = named.Where(name => others.Any(other => other.Context == name)).ToList();
            // A cluster that was not reached may be the one; those that were read are not.
            if (contexts.Count == 0) contexts.AddRange(others.Where(other => other.Error.Length > 0).Select(other => other.Context));
            return new("", @object, "",
                $"has no control plane: it runs elsewhere{(named.Count > 0 ? $", in cluster {string.Join(" or ", named)}" : "")}{Reached(cluster)}",
                contexts.Count > 0 ? $"query it there: {string.Join(", or ", contexts.Select(context => Ask(command, (context, WellKnown.SystemNamespace))))}"
                    : "add the cluster of the control plane to the kubeconfig: none of its contexts has that control plane; then: "
                        + $"isthmus {command} --context=NAME, with the name of the new context");
        }
        return cluster.Hosted.IsEmpty
            ? new("", @object, "", $"has no control plane (no Pod with label app={WellKnown.Istiod})",
                "install one with 'isthmus install', or give --istioNamespace")
            : new("", @object, "",
                $"has no control plane of its own; that of "
                    + $"{string.Join(", ", cluster.Hosted.Select(plane => $"{plane.Cluster} runs in namespace {plane.Namespace}"))}",
                $"ask it: {string.Join(", or ", cluster.Hosted.Select(plane => Ask(command, (cluster.Context, plane.Namespace))))}");
    }

    /// <summary>What is wrong with a namespace that somebody named although the control planes are in others. Null if nothing is wrong with it, or
    /// if that is not known.</summary>
    public static Problem? Elsewhere(IReadOnlyList<ClusterFacts> clusters, string ns)
    {
        var places = clusters.SelectMany(cluster => cluster.Hosted.Select(plane => plane.Namespace)
            .Concat(cluster.ControlPlanes.Count > 0 ? [cluster.SystemNamespace] : [])).ToList();
        return places.Count == 0 || clusters.Any(cluster => cluster.Error.Length > 0 || (cluster.HasIstio && cluster.SystemNamespace == ns))
            || places.Contains(ns) ? null : Missing(clusters.Select(cluster => cluster.Context), ns, places);
    }

    /// <param name="places">The namespaces that have one.</param>
    internal static Problem Missing(IEnumerable<string> contexts, string ns, IReadOnlyCollection<string> places)
    {
        var there = places.Distinct().Order(StringComparer.Ordinal).ToList();
        return new("", $"namespace {ns}", "", $"has no control plane in {string.Join(", ", contexts)}"
            + (there.Count > 0 ? $": it runs in namespace {string.Join(" and ", there)}" : $" (no Pod with label app={WellKnown.Istiod})"),
            there.Count > 0 ? $"name that one: {string.Join(", or ", there.Select(name => $"--istioNamespace={name}"))}"
                : "install one with 'isthmus install', or give --istioNamespace");
    }

    /// <summary>Where the control planes that serve a cluster run: one for it alone, the ones that it names, or the one
    /// behind the address that its proxies use.</summary>
    private static IEnumerable<(string Context, string Namespace)> Hosts(ClusterFacts cluster, List<ClusterFacts> members)
    {
        if (MeshVerification.HostOf(cluster, members) is (var host, { } plane)) return [(host.Context, plane.Namespace)];
        var others = members.Where(other => other != cluster).ToList();
        // The named cluster may itself be served from elsewhere.
        var named = others.Where(other => cluster.ControlPlaneClusters.Contains(other.Name) || cluster.ControlPlaneClusters.Contains("*")).SelectMany(other =>
            other.ControlPlanes.Count > 0
                ? [(other.Context, other.SystemNamespace)]
                : MeshVerification.HostOf(other, members) is (var at, { } hosted)
                ? (IEnumerable<(string, string)>)[(at.Context, hosted.Namespace)]
                : [])
            .ToList();
        return named.Count > 0
            ? named
            : others.Where(other => other.ControlPlanes.Count > 0
                && other.ControlPlaneEntries.Any(entry => entry.Addresses.Any(cluster.ControlPlaneAt.Contains)))
            .Select(other => (other.Context, other.SystemNamespace));
    }

    private static string Reached(ClusterFacts cluster) =>
        cluster.ControlPlaneAt.IsEmpty ? "" : $", where proxies reach it at {string.Join(", ", cluster.ControlPlaneAt)}";

    private static string Ask(string command, (string Context, string Namespace) host) =>
        $"isthmus {command} --context={host.Context}{(host.Namespace == WellKnown.SystemNamespace ? "" : $" --istioNamespace={host.Namespace}")}";
}

using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.WebConsole.Reading;

namespace Isthmus.WebConsole.Picture;

/// <summary>Calls from one node of the picture to another, some of which fail.</summary>
/// <param name="Rate">Calls a second.</param>
/// <param name="Errors">The share of them that fails, from 0 to 1.</param>
internal sealed record FailingCalls(string From, string To, double Rate, double Errors)
{
    private const int Most = 3;

    /// <summary>The problems with the calls that fail because of them, errors first, and of these first those that most calls meet.</summary>
    public static IReadOnlyList<ProblemRow> Rank(IEnumerable<ProblemRow> rows, MeshState mesh, IReadOnlyList<Flow> flows)
    {
        var failing = flows.Where(flow => flow.Rate * flow.Errors > 0).ToList();
        // A stable sort: what concerns no calls stays in its order.
        return [.. rows.Select(row => row with { Failing = Of(row, mesh, failing) })
            .OrderByDescending(row => row.Problem.Severity).ThenByDescending(row => row.Failing.Sum(calls => calls.Rate * calls.Errors))];
    }

    private static IReadOnlyList<FailingCalls> Of(ProblemRow row, MeshState mesh, List<Flow> failing)
    {
        if (failing.Count == 0) return [];
        var services = ServicesOf(row, mesh).ToHashSet(StringComparer.Ordinal);
        var gateways = mesh.Clusters.Where(cluster => (cluster.Context == row.Cluster || cluster.Name == row.Cluster)
            && cluster.Facts.Gateways.Any(gateway => services.Contains(gateway.Name))).Select(cluster => cluster.Context).ToList();
        return [.. failing.Where(flow => services.Any(service => flow.To.EndsWith($"/{service}", StringComparison.Ordinal)) || gateways.Any(flow.Enters))
            .OrderByDescending(flow => flow.Rate * flow.Errors).Take(Most).Select(flow => new FailingCalls(flow.From, flow.To, flow.Rate, flow.Errors))];
    }

    /// <summary>The Services, as <c>namespace/name</c>, that have to do with the object of a problem: in every cluster, since they are one host.</summary>
    private static IEnumerable<string> ServicesOf(ProblemRow row, MeshState mesh)
    {
        // Of routes and policies, the message names the host.
        return row.Problem.Object.Split(' ')[0] is var kind && (kind is "Service" or "Pod" || MeshApi.IsWorkload(kind)) ? ObjectServices(row, mesh)
            : mesh.Clusters.SelectMany(cluster => cluster.Services).Where(service => row.Mentions(service.Metadata.Namespace, service.Metadata.Name))
                .Select(service => service.Key).Distinct();
    }

    /// <summary>The Services of a problem whose object is one of them, or is behind one.</summary>
    internal static IEnumerable<string> ObjectServices(ProblemRow row, MeshState mesh)
    {
        if (row.Problem.Object.Split(' ') is not [var kind, var name, ..] || !name.Contains('/', StringComparison.Ordinal)) return [];
        return kind switch
        {
            "Service" => [name],
            "Pod" => mesh.Clusters.SelectMany(cluster => Behind(cluster, pod => pod.Key == name)),
            _ when MeshApi.IsWorkload(kind) => mesh.Clusters.SelectMany(cluster => Behind(cluster,
                pod => $"{pod.Metadata.Namespace}/{ClusterState.WorkloadOf(pod)}" == name)),
            _ => [],
        };
    }

    private static IEnumerable<string> Behind(ClusterState cluster, Func<Pod, bool> isMeant) =>
        from pod in cluster.Pods
        where isMeant(pod)
        from service in cluster.Services
        where service.Metadata.Namespace == pod.Metadata.Namespace && service.Spec.Selector.Count > 0
            && LabelSelector.Selects(service.Spec.Selector, pod.Metadata.Labels)
        select service.Key;
}

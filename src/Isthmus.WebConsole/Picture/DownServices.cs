using Isthmus.Core.Problems;
using Isthmus.WebConsole.Reading;

namespace Isthmus.WebConsole.Picture;

/// <summary>Services of which no cluster has a ready endpoint: an error if they have Pods, and while something calls them. A Service without Pods is common
/// otherwise. Nothing is said while a part of the mesh cannot be read, because endpoints may be there.</summary>
internal static class DownServices
{
    private const string Code = "ISM2040";

    /// <summary>How long a Pod may take to become ready.</summary>
    private static readonly TimeSpan Start = TimeSpan.FromMinutes(1);

    /// <summary>Why endpoints are missing: the selector matches nothing, Pods cannot run or are not ready, or the target port has no number.</summary>
    private static readonly HashSet<string> Causes = new(["ISM1417", "ISM1418", "ISM1420", "ISM1547", "ISM2047", "ISM2049"], StringComparer.Ordinal);

    /// <summary>The rows; of a Service that is down, those that say why it has no endpoints are errors, and if no error is about it, it has a row of its
    /// own.</summary>
    public static IReadOnlyList<ProblemRow> Add(IReadOnlyList<ProblemRow> rows, MeshState mesh, Topology topology, IReadOnlyList<Flow> flows)
    {
        if (mesh.Clusters.Any(cluster => cluster.Facts.Error.Length > 0 || cluster.Withheld.Count > 0)) return rows;
        var failing = flows.Where(flow => flow.Rate * flow.Errors > 0).ToLookup(flow => flow.To, StringComparer.Ordinal);
        var down = topology.Services.Where(node => !topology.IsPart && node.Kind == "service").GroupBy(node => $"{node.Namespace}/{node.Name}")
            .Where(nodes => nodes.All(node => node.Ready == 0) && nodes.Any(node => node.Health == "down")
                && nodes.Any(node => failing.Contains(node.Id) || HasPods(mesh, node)))
            .ToDictionary(nodes => nodes.Key, nodes => nodes.ToList(), StringComparer.Ordinal);
        if (down.Count == 0) return rows;
        List<ProblemRow> all = [.. rows.Select(row => row.Problem.Severity != Severity.Error && Causes.Contains(row.Problem.Code)
            && FailingCalls.ObjectServices(row, mesh).Any(down.ContainsKey)
            ? row.As(Severity.Error) : row)];
        var named = all.Where(row => row.Problem.Severity == Severity.Error).SelectMany(row => FailingCalls.ObjectServices(row, mesh))
            .ToHashSet(StringComparer.Ordinal);
        foreach (var (service, nodes) in down.Where(one => !named.Contains(one.Key)))
        {
            var worst = nodes.SelectMany(node => failing[node.Id]).MaxBy(flow => flow.Rate * flow.Errors);
            all.AddRange(nodes.Select(node => ProblemRow.Of("console", node.Cluster, new(Code, $"Service {service}", "",
                worst is null ? "no cluster has a ready endpoint, though there are Pods" : "no cluster has a ready endpoint, and calls to it fail",
                (worst is null ? "" : TypedCommand.Trace(worst, node, mesh, topology.Services)) is { Length: > 0 } trace ? trace
                    : $"kubectl --context={node.Cluster} -n {node.Namespace} get deployments,pods"))));
        }
        return all;
    }

    /// <summary>Whether there are Pods that had the time to become ready.</summary>
    private static bool HasPods(MeshState mesh, ServiceNode node) =>
        mesh.Find(node.Cluster) is { } cluster
            && cluster.Services.FirstOrDefault(one => one.Metadata.Namespace == node.Namespace && one.Metadata.Name == node.Name)
                is { Spec.Selector.Count: > 0 } service
            && TopologyBuilder.Behind(cluster, service).Any(pod => pod.Status.Phase is not ("Succeeded" or "Failed")
                && pod.Metadata.CreationTimestamp is { } created && mesh.Time - created > Start);
}

using System.Globalization;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Objects;
using Isthmus.WebConsole.Reading;

namespace Isthmus.WebConsole.Picture;

/// <summary>Services of which no cluster has a ready endpoint: an error, while something calls them. A Service without Pods is common otherwise. Nothing is
/// said while a part of the mesh cannot be read, because endpoints may be there.</summary>
internal static class DownServices
{
    private const string Code = "ISM2040";

    /// <summary>Why endpoints are missing: the selector matches nothing, Pods cannot run or are not ready, or the target port has no number.</summary>
    private static readonly HashSet<string> Causes = new(["ISM1417", "ISM1418", "ISM1420", "ISM1547", "ISM2047", "ISM2049"], StringComparer.Ordinal);

    /// <summary>The rows; of a Service to which calls fail, those that say why it has no endpoints are errors, and if no error is about it, it has a row of
    /// its own.</summary>
    public static IReadOnlyList<ProblemRow> Add(IReadOnlyList<ProblemRow> rows, MeshState mesh, Topology topology, IReadOnlyList<Flow> flows)
    {
        if (mesh.Clusters.Any(cluster => cluster.Facts.Error.Length > 0 || cluster.Withheld.Count > 0)) return rows;
        var failing = flows.Where(flow => flow.Rate * flow.Errors > 0).ToLookup(flow => flow.To, StringComparer.Ordinal);
        var down = topology.Services.Where(node => !topology.IsPart && node.Kind == "service").GroupBy(node => $"{node.Namespace}/{node.Name}")
            .Where(nodes => nodes.All(node => node.Ready == 0) && nodes.Any(node => node.Health == "down")
                && nodes.Any(node => failing.Contains(node.Id)))
            .ToDictionary(nodes => nodes.Key, nodes => nodes.ToList(), StringComparer.Ordinal);
        if (down.Count == 0) return rows;
        List<ProblemRow> all = [.. rows.Select(row => row.Problem.Severity != Severity.Error && Causes.Contains(row.Problem.Code)
            && FailingCalls.ObjectServices(row, mesh).Any(down.ContainsKey)
            ? row.As(Severity.Error) : row)];
        var named = all.Where(row => row.Problem.Severity == Severity.Error).SelectMany(row => FailingCalls.ObjectServices(row, mesh))
            .ToHashSet(StringComparer.Ordinal);
        foreach (var (service, nodes) in down.Where(one => !named.Contains(one.Key)))
        {
            var worst = nodes.SelectMany(node => failing[node.Id]).MaxBy(flow => flow.Rate * flow.Errors)!;
            all.AddRange(nodes.Select(node => ProblemRow.Of("console", node.Cluster, new(Code, $"Service {service}", "",
                "no cluster has a ready endpoint, and calls to it fail", Remedy(worst, node, mesh, topology)))));
        }
        return all;
    }

    /// <summary>What says why: the trace of a call that fails.</summary>
    private static string Remedy(Flow failing, ServiceNode node, MeshState mesh, Topology topology)
    {
        var caller = topology.Services.FirstOrDefault(one => one.Id == failing.From);
        var port = mesh.Find(node.Cluster)?.Services.FirstOrDefault(one => one.Metadata.Namespace == node.Namespace && one.Metadata.Name == node.Name)
            ?.Spec.Ports.FirstOrDefault()?.Port;
        var target = $"{(failing.Protocol == "tcp" ? "tcp" : "http")}://{node.Name}.{node.Namespace}";
        return caller is { Caller.Length: > 0 } && port is not null
            ? string.Create(CultureInfo.InvariantCulture, $"isthmus trace {caller.Caller} {target}:{port} --context={caller.Cluster} --no-call")
            : $"kubectl --context={node.Cluster} -n {node.Namespace} get deployments,pods";
    }
}

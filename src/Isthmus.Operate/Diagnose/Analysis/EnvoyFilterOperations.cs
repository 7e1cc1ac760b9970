using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Operations of stored EnvoyFilters, valid or not: those that change nothing of what they apply to, and those whose result depends on
/// the age of other EnvoyFilters. Pure.</summary>
public static class EnvoyFilterOperations
{
    private sealed record Written(ClusterInventory Cluster, JsonObject Filter, int Index, JsonNode Patch)
    {
        public string Name => ClusterInventory.NameOf(Filter);
        public string Namespace => Text(Filter["metadata"]?["namespace"]);
        public string Path => $"spec.configPatches[{Index}]";
        public string Operation => Text(Patch["patch"]?["operation"]);
        public string Target => Text(Patch["applyTo"]);
        public string Version => Text(Patch["match"]?["proxy"]?["proxyVersion"]);

        /// <summary>The filter that it is about: that of its value, or that of its match.</summary>
        public string About => Text(Patch["patch"]?["value"]?["name"]) is { Length: > 0 } name ? name
            : Text(Patch["match"]?["listener"]?["filterChain"]?["filter"]?["name"]);

        public bool HasPriority => Text(Filter["spec"]?["priority"]) is not ("" or "0");
    }

    public static Analyzer Analyzer { get; } = new("envoyfilter.OperationAnalyzer", "Checks the operations of EnvoyFilters",
        [IstioCodes.ReplaceWithoutEffect, IstioCodes.AddWithoutEffect, IstioCodes.RemoveWithoutEffect, IstioCodes.RelativePatch,
            IstioCodes.RelativePatchOfVersion],
        ["EnvoyFilter"], mesh => mesh.Readable.SelectMany(Check));

    private static IEnumerable<Finding> Check(ClusterInventory cluster)
    {
        var patches = cluster.Objects("EnvoyFilter").OrderBy(ClusterInventory.NameOf, StringComparer.Ordinal)
            .SelectMany(filter => (filter["spec"]?["configPatches"] as JsonArray ?? []).Index().Where(patch => patch.Item is JsonObject)
                .Select(patch => new Written(cluster, filter, patch.Index, patch.Item!))).ToList();
        // One that changes nothing is named with the other one already.
        var known = EnvoyFilterOrder.Check(cluster).Select(finding => (finding.Problem.Object, finding.Problem.Path)).ToHashSet();
        return patches.Select(patch => Check(patch, patches)).OfType<Finding>()
            .Where(finding => !known.Contains((finding.Problem.Object, finding.Problem.Path)));
    }

    private static Finding? Check(Written patch, List<Written> all) => (patch.Operation, patch.Target) switch
    {
        ("ADD", "ROUTE_CONFIGURATION") => Idle(patch, IstioCodes.AddWithoutEffect),
        ("REMOVE", "ROUTE_CONFIGURATION") => Idle(patch, IstioCodes.RemoveWithoutEffect),
        // A route can be added and removed, by a patch that is valid.
        ("ADD", "HTTP_ROUTE") when Fault(patch) is { } fault => Idle(patch, IstioCodes.AddWithoutEffect, fault),
        ("REMOVE", "HTTP_ROUTE") when Fault(patch) is { } fault => Idle(patch, IstioCodes.RemoveWithoutEffect, fault),
        ("REPLACE", not ("NETWORK_FILTER" or "HTTP_FILTER" or "VIRTUAL_HOST")) => Idle(patch, IstioCodes.ReplaceWithoutEffect),
        ("REMOVE", not "HTTP_ROUTE") or ("REPLACE" or "INSERT_BEFORE" or "INSERT_AFTER", _) when !patch.HasPriority => Relative(patch, all),
        _ => null,
    };

    private static Finding Idle(Written patch, AnalysisCode code, Problem? fault = null) => code.At(patch.Cluster, patch.Name, $"{patch.Path}.patch.operation",
        $"{patch.Operation} has no effect on {patch.Target}{(fault is null ? "" : $": {fault.Path} {fault.Message}")}", fault?.Remedy);

    /// <summary>Why control planes refuse the patch.</summary>
    private static Problem? Fault(Written patch) => patch.Cluster.Complaints.FirstOrDefault(problem =>
        problem.Severity == Severity.Error && problem.Object == patch.Name && problem.Path.StartsWith($"{patch.Path}.", StringComparison.Ordinal));

    private static Finding? Relative(Written patch, List<Written> all)
    {
        var others = all.Where(other => other.Name != patch.Name && other.Target == patch.Target && CanMeet(patch, other))
            .Select(other => other.Name).Distinct().ToList();
        if (others.Count == 0) return null;
        var ofVersion = all.TakeWhile(other => other != patch).Any(other => other.Version.Length > 0 && other.About == patch.About);
        var code = ofVersion ? IstioCodes.RelativePatchOfVersion : IstioCodes.RelativePatch;
        return code.At(patch.Cluster, patch.Name, $"{patch.Path}.patch.operation",
            $"{patch.Operation} depends on what is there before, and without a priority on the age of {string.Join(", ", others)}, "
            + $"which also change{(others.Count == 1 ? "s" : "")} a {patch.Target}", severity: Severity.Info);
    }

    private static bool CanMeet(Written one, Written two) =>
        one.Namespace == two.Namespace || one.Namespace == one.Cluster.RootNamespace || two.Namespace == one.Cluster.RootNamespace;

    private static string Text(JsonNode? node) => node is JsonValue ? node.ToString() : "";
}

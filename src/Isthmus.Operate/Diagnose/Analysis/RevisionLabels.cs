using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Namespaces and Pods that ask for a revision which no injection webhook of their cluster serves. Pure.</summary>
public static class RevisionLabels
{
    private const string Webhooks = "MutatingWebhookConfiguration";

    public static Analyzer Analyzer { get; } = new("injection.RevisionAnalyzer", "Checks that the revisions which namespaces and Pods ask for exist",
        [OwnCodes.RevisionUnknown], ["Namespace", "Pod", Webhooks], mesh => mesh.Workloads.SelectMany(Check));

    private static IEnumerable<Finding> Check(ClusterWorkloads area)
    {
        var known = Served(area.Cluster);
        // Without any, the cluster has no control plane yet, or its objects are those of some files.
        if (known.Count == 0) yield break;
        foreach (var ns in area.Cluster.Namespaces.Where(ns => !MeshSnapshot.IsSystem(area.Cluster, ns.Metadata.Name)))
        {
            var labels = ns.Metadata.Labels;
            // The other label decides where a namespace has both.
            if (!labels.ContainsKey(Labels.Injection) && labels.GetValueOrDefault(Labels.Revision) is { Length: > 0 } asked && !known.Contains(asked))
                yield return Unknown(area.Cluster, $"Namespace {ns.Metadata.Name}", asked, "new Pods there get no sidecars", known);
        }
        foreach (var pod in area.All.Where(workload => workload is { Pod: not null, HasProxy: false }))
        {
            if (pod.Labels.GetValueOrDefault(Labels.Revision) is { Length: > 0 } asked && !known.Contains(asked))
                yield return Unknown(area.Cluster, pod.Name, asked, "it has no sidecar", known);
        }
    }

    private static Finding Unknown(ClusterInventory cluster, string owner, string asked, string effect, SortedSet<string> known) =>
        OwnCodes.RevisionUnknown.At(cluster, owner, $"metadata.labels[{Labels.Revision}]",
            $"asks for revision {asked}, which no control plane of {cluster.Context} serves: {effect}",
            $"set it to {Choice(known)}, or make a tag: isthmus tag set {asked} --revision REVISION");

    /// <summary>The revisions of which one is to be asked for, after "to".</summary>
    internal static string Choice(IReadOnlyCollection<string> served) => served.Count == 1
        ? $"{served.First()}, the only revision that a control plane there serves"
        : $"a revision that a control plane there serves, {string.Join(" or ", served)}";

    /// <summary>The revisions and tags that webhooks select Pods by.</summary>
    internal static SortedSet<string> Served(ClusterInventory cluster) => new(
        from configuration in cluster.Objects(Webhooks)
        from webhook in (configuration["webhooks"] as JsonArray ?? []).OfType<JsonObject>()
        from selector in new[] { webhook["namespaceSelector"], webhook["objectSelector"] }.OfType<JsonObject>()
        from value in Values(selector)
        select value, StringComparer.Ordinal);

    private static IEnumerable<string> Values(JsonObject selector)
    {
        if (selector["matchLabels"]?[Labels.Revision] is { } only) yield return only.ToString();
        foreach (var rule in (selector["matchExpressions"] as JsonArray ?? []).OfType<JsonObject>())
        {
            if (rule["key"]?.ToString() != Labels.Revision || rule["operator"]?.ToString() != "In") continue;
            foreach (var value in (rule["values"] as JsonArray ?? []).OfType<JsonNode>()) yield return value.ToString();
        }
    }
}

using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.Controllers.Framework;

namespace Isthmus.Lab.Controllers.Workloads;

/// <summary>Keeps the earlier templates of a StatefulSet or DaemonSet as ControllerRevisions. <c>kubectl rollout
/// history</c> and <c>undo</c> read them.</summary>
internal static class Revisions
{
    internal const string HashLabel = "controller-revision-hash";
    internal const string Generation = "deprecated.daemonset.template.generation";

    /// <summary>The hash of a template, the name of its revision, and the writes that add it to the history.</summary>
    internal sealed record Found(string Hash, string Name, IReadOnlyList<Write> Writes);

    internal static Found Ensure(ResourceKind kind, KubeObject owner, JsonObject template, int? limit, IReadOnlyList<ControllerRevision> history,
        IReadOnlySet<string> inUse)
    {
        var hash = PodTemplates.Hash(template, null);
        var name = $"{owner.Metadata.Name}-{hash}";
        var newest = history.Select(revision => revision.Revision).DefaultIfEmpty(0).Max();
        var writes = new List<Write>();
        var present = history.FirstOrDefault(revision => revision.Metadata.Name == name);
        if (present is null) writes.Add(Write.Create(Kinds.ControllerRevision, Make(kind, owner, template, hash, newest + 1)));
        // A rollback to an earlier template makes that one the newest again.
        else if (present.Revision < newest) writes.Add(Write.Patch(Kinds.ControllerRevision, present, new JsonObject { ["revision"] = newest + 1 }));
        var spare = history.Where(revision => revision.Metadata.Name != name && !inUse.Contains(revision.Metadata.Labels.GetValueOrDefault(HashLabel, "")))
            .OrderBy(revision => revision.Revision).ToList();
        writes.AddRange(spare.Take(Math.Max(0, spare.Count - (limit ?? 10))).Select(revision => Write.Delete(Kinds.ControllerRevision, revision)));
        return new(hash, name, writes);
    }

    /// <summary>The template that a revision holds; null when it is not in the history.</summary>
    internal static JsonObject? Template(IEnumerable<ControllerRevision> history, string name) =>
        history.FirstOrDefault(revision => revision.Metadata.Name == name)?.Data["spec"]?["template"] as JsonObject;

    private static JsonObject Make(ResourceKind kind, KubeObject owner, JsonObject template, string hash, long revision)
    {
        var kept = (JsonObject)template.DeepClone();
        kept["$patch"] = "replace";
        var labels = template["metadata"]?["labels"]?.DeepClone() as JsonObject ?? [];
        labels[HashLabel] = hash;
        return new()
        {
            ["apiVersion"] = "apps/v1", ["kind"] = "ControllerRevision",
            ["metadata"] = new JsonObject
            {
                ["name"] = $"{owner.Metadata.Name}-{hash}", ["namespace"] = owner.Metadata.Namespace, ["labels"] = labels,
                ["ownerReferences"] = new JsonArray(Tree.OwnedBy(kind, owner)),
            },
            ["data"] = new JsonObject { ["spec"] = new JsonObject { ["template"] = kept } },
            ["revision"] = revision,
        };
    }
}

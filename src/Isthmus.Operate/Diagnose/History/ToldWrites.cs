using System.Globalization;
using System.Text.Json.Nodes;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.History;

/// <summary>
/// Who scaled or deleted workloads, as API servers told control planes before they wrote. Such a write may still have failed, and nobody watches workloads:
/// what the objects contradict is left out, and so is what they cannot confirm unless an API server that has proven itself said it. Pure.
/// </summary>
internal static class ToldWrites
{
    /// <summary>Between the clocks of a control plane and of an API server, whose times are whole seconds.</summary>
    internal static readonly TimeSpan Skew = TimeSpan.FromSeconds(5);

    internal static bool IsOne(MeshChange change) =>
        change.Scaling is not null || (change.Verb == "deleted" && WorkloadTemplate.Kinds.Any(kind => kind.Kind == change.Kind));

    internal static bool IsOf(MeshChange change, ListedWorkload workload) =>
        workload.Kind == change.Kind && workload.Object["metadata"]?["name"]?.ToString() == change.Name
        && workload.Object["metadata"]?["namespace"]?.ToString() == change.Namespace;

    /// <summary>Whether a control plane was told of a write that the workload itself tells of.</summary>
    internal static bool IsSame(MeshChange told, MeshChange write) =>
        told.Scaling is not null && (told.Cluster, told.Kind, told.Namespace, told.Name) == (write.Cluster, write.Kind, write.Namespace, write.Name)
        && write.Cause.StartsWith("was scaled", StringComparison.Ordinal) && (told.Last - write.Last).Duration() <= Skew;

    /// <summary>The changes without those of workloads that cannot be believed, the others with their field managers as far as they are known.</summary>
    /// <param name="read">The objects of the namespace of such a change; null: not read.</param>
    internal static IReadOnlyList<MeshChange> Believed(IReadOnlyList<MeshChange> changes, Func<MeshChange, WorkloadObjects?> read)
    {
        var believed = new List<MeshChange>(changes.Count);
        foreach (var change in changes)
        {
            if (!IsOne(change))
            {
                believed.Add(change);
                continue;
            }
            var objects = read(change);
            var workload = objects?.Workloads.FirstOrDefault(one => IsOf(change, one))?.Object;
            var isBelieved = workload is not null ? Agrees(change, workload) : objects is { AreWorkloadsKnown: true } || change.IsUserProven;
            if (isBelieved) believed.Add(workload is null || change.Scaling is null ? change : change with { FieldManager = ManagerOf(change, workload) });
        }
        return believed;
    }

    /// <summary>Whether the workload, which exists, can have been written so.</summary>
    private static bool Agrees(MeshChange change, JsonObject workload)
    {
        var metadata = workload["metadata"]!;
        // It was made again since.
        if (DateTimeOffset.TryParse(metadata["creationTimestamp"]?.ToString(), CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var made)
            && made >= change.Last - Skew) return true;
        if (change.Scaling is not { } scaling) return metadata["deletionTimestamp"] is not null;
        return workload["spec"]?["replicas"]?.ToString() == scaling.After.ToString(CultureInfo.InvariantCulture)
            || WorkloadWrites.Scalings(workload).Any(write => write.At >= change.Last - Skew);
    }

    private static string ManagerOf(MeshChange change, JsonObject workload) =>
        WorkloadWrites.Scalings(workload).Where(write => (write.At - change.Last).Duration() <= Skew).OrderBy(write => write.At)
            .Select(write => write.Manager).LastOrDefault("");
}

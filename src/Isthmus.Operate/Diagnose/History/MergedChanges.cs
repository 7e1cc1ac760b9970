using System.Globalization;
using Isthmus.Core.Collections;
using Isthmus.Graph.History;

namespace Isthmus.Operate.Diagnose.History;

/// <summary>What several control planes saw, as one list without repetitions. Pure.</summary>
public static class MergedChanges
{
    /// <summary>Control planes note one change at slightly different times.</summary>
    private static readonly TimeSpan AtOnce = TimeSpan.FromSeconds(5);

    /// <summary>Joins what several control planes saw of one change.</summary>
    public static IReadOnlyList<MeshChange> Of(IEnumerable<MeshChange> changes)
    {
        // What several Pods know of what one of them saw: a Pod that began while an earlier one still ran has an older state of what that one has.
        var distinct = changes.GroupBy(change => (change.Cluster, change.Kind, change.Namespace, change.Name, change.Verb, change.First, change.FieldManager,
            change.User, change.ControlPlanes)).Select(same => same.MaxBy(change => (change.Count, change.Proxies is not null))!);
        return [.. distinct.GroupBy(change => (change.Cluster, change.Kind, change.Namespace, change.Name, change.Verb))
            .SelectMany(group => OfObject([.. group.OrderBy(change => change.Last)]))
            // Pods that come and go while as many are ready change nothing for callers.
            .Where(change => change.ReadyEndpoints is not { } ready || ready.Before != ready.After || ready.Fewest < ready.After)
            .OrderBy(change => change.Last).ThenBy(change => change.Object, StringComparer.Ordinal)];
    }

    private static IEnumerable<MeshChange> OfObject(List<MeshChange> changes)
    {
        var written = changes.Where(change => change.ResourceVersion.Length > 0).ToList();
        foreach (var same in written.GroupBy(change => LastOf(written, change), StringComparer.Ordinal))
            yield return same.GroupBy(change => change.ControlPlanes).Select(seen => seen.Aggregate(Follow)).Aggregate(Join);
        var others = new List<MeshChange>();
        foreach (var change in changes.Where(change => change.ResourceVersion.Length == 0))
        {
            var same = others.FindIndex(other => !other.ControlPlanes.Intersect(change.ControlPlanes).Any() && other.ReadyEndpoints == change.ReadyEndpoints
                && other.Scaling == change.Scaling
                && (change.Last - other.Last).Duration() < AtOnce);
            if (same < 0) others.Add(change);
            else others[same] = Join(others[same], change);
        }
        foreach (var change in others) yield return change;
    }

    /// <summary>The last version of those that are shown as one with a change. Which ones a control plane counts as one depends on when it began and
    /// which users it knows: where one counts as two what another counts as one, both are that one.</summary>
    private static string LastOf(List<MeshChange> all, MeshChange change) =>
        all.FirstOrDefault(other => Contains(all, other, change)) is { } more ? LastOf(all, more) : change.ResourceVersion;

    /// <summary>Whether a change stands for several, of which another one is not the last.</summary>
    private static bool Contains(List<MeshChange> all, MeshChange several, MeshChange one) =>
        several.Count > 1 && VersionOf(one) is { } written && VersionOf(several) > written && one.Last >= several.First - AtOnce
        && !all.Exists(other => other.ControlPlanes == several.ControlPlanes && VersionOf(other) is { } version && version >= written
            && version < VersionOf(several));

    /// <summary>Versions of one object grow.</summary>
    private static ulong? VersionOf(MeshChange change) =>
        ulong.TryParse(change.ResourceVersion, NumberStyles.None, CultureInfo.InvariantCulture, out var version) ? version : null;

    /// <summary>What one control plane saw one after the other.</summary>
    private static MeshChange Follow(MeshChange earlier, MeshChange later) => later with
    {
        First = earlier.First, Count = earlier.Count + later.Count,
        User = UserOf(earlier, later).User, IsUserProven = UserOf(earlier, later).IsUserProven,
        Fields = ChangedFields.Join(earlier.Fields, later.Fields),
        Proxies = earlier.Proxies is { } one && later.Proxies is { } two ? Math.Max(one, two) : earlier.Proxies ?? later.Proxies,
        ChangesInPush = Math.Max(earlier.ChangesInPush, later.ChangesInPush),
        Resources = earlier.Resources.Concat(later.Resources).GroupBy(type => type.Type)
            .Select(group => new ChangedResources(group.Key, group.Max(type => type.Proxies), group.Max(type => type.Count),
                group.SelectMany(type => type.Names).Distinct().ToValueList()))
            .ToValueList(),
    };

    /// <summary>A proven user counts before one who is not, and of two that are not proven and differ, none does.</summary>
    private static (string User, bool IsUserProven) UserOf(MeshChange a, MeshChange b) =>
        a.IsUserProven || b.User.Length == 0
            ? (a.User, a.IsUserProven)
            : b.IsUserProven || a.User.Length == 0
            ? (b.User, b.IsUserProven)
            : (a.User == b.User ? a.User : "", false);

    /// <summary>Each control plane knows its own proxies, and the webhook of only one was asked.</summary>
    private static MeshChange Join(MeshChange a, MeshChange b) => a with
    {
        First = a.First < b.First ? a.First : b.First, Last = a.Last > b.Last ? a.Last : b.Last, Count = Math.Max(a.Count, b.Count),
        FieldManager = a.FieldManager.Length > 0 ? a.FieldManager : b.FieldManager, User = UserOf(a, b).User, IsUserProven = UserOf(a, b).IsUserProven,
        Fields = a.Fields.IsEmpty ? b.Fields : a.Fields,
        Proxies = a.Proxies is { } one && b.Proxies is { } two ? one + two : a.Proxies ?? b.Proxies,
        ControlPlanes = a.ControlPlanes.Concat(b.ControlPlanes).ToValueList(),
        ChangesInPush = Math.Max(a.ChangesInPush, b.ChangesInPush),
        Resources = a.Resources.Concat(b.Resources).GroupBy(type => type.Type)
            .Select(group => new ChangedResources(group.Key, group.Sum(type => type.Proxies), group.Max(type => type.Count),
                group.SelectMany(type => type.Names).Distinct().ToValueList()))
            .ToValueList(),
    };
}

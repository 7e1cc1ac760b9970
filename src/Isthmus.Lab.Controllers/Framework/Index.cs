using System.Collections.Concurrent;
using System.Collections.Immutable;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Watch;

namespace Isthmus.Lab.Controllers.Framework;

/// <summary>Finds the objects of a list by keys other than their name. If you create it before you add other listeners, it
/// is up to date when they run.</summary>
internal sealed class Index<T> where T : KubeObject
{
    private readonly ConcurrentDictionary<string, ImmutableDictionary<string, T>> _groups = new(StringComparer.Ordinal);

    /// <param name="groupsOf">The groups that an object belongs to.</param>
    internal Index(WatchedList<T> list, Func<T, IEnumerable<string>> groupsOf) => list.Listen(change =>
    {
        var now = change.Object is { } item ? groupsOf(item).ToHashSet(StringComparer.Ordinal) : [];
        foreach (var group in change.Before is { } before ? groupsOf(before) : [])
        {
            if (now.Contains(group) || !_groups.TryGetValue(group, out var members)) continue;
            members = members.Remove(change.Key);
            if (members.IsEmpty) _groups.TryRemove(group, out _);
            else _groups[group] = members;
        }
        foreach (var group in now)
            _groups[group] = _groups.GetValueOrDefault(group, ImmutableDictionary<string, T>.Empty).SetItem(change.Key, change.Object!);
    });

    /// <summary>The members of a group, unordered.</summary>
    internal IEnumerable<T> this[string group] => _groups.TryGetValue(group, out var members) ? members.Values : [];

    internal IEnumerable<string> Groups => _groups.Keys;
}

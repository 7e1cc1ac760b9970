using System.Collections.Concurrent;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Watch;

namespace Isthmus.Lab.Controllers.Framework;

/// <summary>
/// What a controller has just written and its list does not show yet. If the controller decided again before then, it would
/// create everything twice. Writes that never show (created and deleted before the list saw them) are forgotten after a
/// while.
/// </summary>
internal sealed class Expectations(TimeProvider time)
{
    internal static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    private readonly ConcurrentDictionary<string, ConcurrentDictionary<string, Expected>> _owners = new(StringComparer.Ordinal);

    private sealed record Expected(string Key, bool Created, long Since);

    internal void Created(string owner, string key, string uid) => Expect(owner, uid, new(key, true, time.GetTimestamp()));

    internal void Deleted(string owner, string key, string uid) => Expect(owner, uid, new(key, false, time.GetTimestamp()));

    /// <summary>True when the list shows everything that was written for this owner, or is too late.</summary>
    internal bool Met<T>(string owner, WatchedList<T> list) where T : KubeObject
    {
        if (!_owners.TryGetValue(owner, out var expected)) return true;
        foreach (var (uid, one) in expected)
        {
            var present = list.Find(one.Key) is { } found && found.Metadata.Uid == uid ? found : null;
            var met = one.Created ? present is not null : present is null or { Metadata.DeletionTimestamp: not null };
            if (met || time.GetElapsedTime(one.Since) > Patience) expected.TryRemove(uid, out _);
        }
        return expected.IsEmpty;
    }

    internal void Forget(string owner) => _owners.TryRemove(owner, out _);

    private void Expect(string owner, string uid, Expected expected) =>
        _owners.GetOrAdd(owner, _ => new(StringComparer.Ordinal))[uid] = expected;
}

using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;

namespace Isthmus.ControlPlane.GatewayApi;

/// <summary>
/// The statuses that wait to be written. A change that stands alone is due at once. One that follows another of its object waits until the object has
/// been quiet for a while: a Gateway to which a thousand routes attach is not written a thousand times. Not thread-safe.
/// </summary>
internal sealed class StatusQueue
{
    internal static readonly TimeSpan Quiet = TimeSpan.FromMilliseconds(500), Longest = TimeSpan.FromSeconds(30), Retry = TimeSpan.FromSeconds(2);

    private readonly Dictionary<ObjectRef, Waiting> _waiting = [];
    private readonly Dictionary<ObjectRef, Told> _told = [];

    /// <summary>When the next one is due; null: none waits.</summary>
    public DateTimeOffset? Next => _waiting.Count == 0 ? null : _waiting.Values.Min(item => item.Due);

    /// <summary>The object has another status now.</summary>
    /// <param name="status">What it says.</param>
    /// <param name="first">Who writes may have been busy: the first change since the last call…</param>
    /// <param name="last">…and the last one.</param>
    public void Put(ApiStatus status, DateTimeOffset first, DateTimeOffset last)
    {
        var told = _told.GetValueOrDefault(status.Source);
        if (_waiting.TryGetValue(status.Source, out var waiting))
        {
            if (waiting.Status != status) _waiting[status.Source] = new(status, waiting.Since, Earlier(last + Quiet, waiting.Since + Longest));
        }
        else if (told?.Status != status)
        {
            var isAlone = first == last && (told is null || first >= told.At + Quiet);
            _waiting[status.Source] = new(status, first, isAlone ? first : Earlier(last + Quiet, first + Longest));
        }
    }

    /// <summary>The object has no status any longer: nothing is to be written.</summary>
    public void Remove(ObjectRef source)
    {
        _waiting.Remove(source);
        _told.Remove(source);
    }

    /// <summary>Those that are due. The caller writes them.</summary>
    public IReadOnlyList<ApiStatus> Take(DateTimeOffset now)
    {
        var due = _waiting.Values.Where(item => item.Due <= now).Select(item => item.Status).ToList();
        foreach (var status in due)
        {
            _waiting.Remove(status.Source);
            _told[status.Source] = new(status, now);
        }
        return due;
    }

    /// <summary>One that was taken could not be written.</summary>
    public void Return(ApiStatus status, DateTimeOffset now)
    {
        // Unless its object has another one by now, or is gone.
        if (_told.GetValueOrDefault(status.Source)?.Status == status) _waiting.TryAdd(status.Source, new(status, now, now + Retry));
    }

    /// <summary>What was written counts no longer: all of it is to be compared with the objects again.</summary>
    public void Forget()
    {
        _waiting.Clear();
        _told.Clear();
    }

    private static DateTimeOffset Earlier(DateTimeOffset a, DateTimeOffset b) => a < b ? a : b;

    /// <param name="Since">Since when it waits.</param>
    private sealed record Waiting(ApiStatus Status, DateTimeOffset Since, DateTimeOffset Due);

    private sealed record Told(ApiStatus Status, DateTimeOffset At);
}

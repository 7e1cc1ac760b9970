using System.Text.Json.Nodes;

namespace Isthmus.Graph.History;

/// <summary>Who wrote an object, by the word of whoever sent its review.</summary>
/// <param name="Name">Empty: unknown.</param>
/// <param name="IsProven">Whether that was an API server, as far as it can prove that.</param>
public sealed record Writer(string Name, bool IsProven)
{
    /// <summary>Nobody, or several: unknown.</summary>
    public static readonly Writer Unknown = new("", false);

    /// <summary>The one of two reviews of one write: a proven user counts before others; of several that are not proven, none does.</summary>
    internal Writer Or(Writer next) => next.IsProven ? next : IsProven || Name == next.Name ? this : Unknown;
}

/// <summary>
/// The users whose writes the validation webhook admitted, until a watch reports the object. An admitted write may still fail, so that only
/// the same content of the same generation is the same write. From any thread.
/// </summary>
public sealed class AdmittedWrites
{
    private const int Most = 512;

    private readonly Lock _guard = new(); // Guards both collections.
    private readonly Dictionary<(string Uid, long Generation, ulong Content), Writer> _users = [];
    private readonly Queue<(string Uid, long Generation, ulong Content)> _order = [];

    /// <summary>Records an admitted object. A proven user replaces others; of several that are not proven, none counts.</summary>
    public void Add(JsonObject item, Writer user)
    {
        if (user.Name.Length == 0 || item["metadata"]?["uid"]?.ToString() is not { Length: > 0 } uid) return;
        var key = (uid, ObjectWrite.GenerationOf(item), ObjectWrite.ContentOf(item));
        lock (_guard)
        {
            if (_users.TryAdd(key, user)) _order.Enqueue(key);
            else _users[key] = _users[key].Or(user);
            if (_order.Count > Most) _users.Remove(_order.Dequeue());
        }
    }

    /// <summary>Who wrote it; unknown if another control plane, or none, was asked.</summary>
    public Writer UserOf(ObjectWrite write)
    {
        lock (_guard) return _users.GetValueOrDefault((write.Uid, write.Generation, write.Content), Writer.Unknown);
    }
}

using System.Text.Json.Nodes;

namespace Isthmus.ControlPlane.History;

/// <summary>
/// The users whose writes the validation webhook admitted, until a watch reports the object. An admitted write may still fail, so that only
/// the same content of the same generation is the same write. From any thread.
/// </summary>
public sealed class AdmittedWrites
{
    private const int Most = 512;

    private readonly Lock _guard = new(); // Guards both collections.
    private readonly Dictionary<(string Uid, long Generation, ulong Content), string> _users = [];
    private readonly Queue<(string Uid, long Generation, ulong Content)> _order = [];

    /// <summary>Records an admitted object.</summary>
    public void Add(JsonObject item, string user)
    {
        if (user.Length == 0 || item["metadata"]?["uid"]?.ToString() is not { Length: > 0 } uid) return;
        var key = (uid, ObjectWrite.GenerationOf(item), ObjectWrite.ContentOf(item));
        lock (_guard)
        {
            if (_users.TryAdd(key, user)) _order.Enqueue(key);
            else _users[key] = user;
            if (_order.Count > Most) _users.Remove(_order.Dequeue());
        }
    }

    /// <summary>Who wrote it; empty if another control plane, or none, was asked.</summary>
    public string UserOf(ObjectWrite write)
    {
        lock (_guard) return _users.GetValueOrDefault((write.Uid, write.Generation, write.Content), "");
    }
}

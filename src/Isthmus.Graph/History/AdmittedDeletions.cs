using Isthmus.Mesh.Model;

namespace Isthmus.Graph.History;

/// <summary>
/// The users whose deletions a webhook of the mesh was told of, until a watch reports that the object is gone. An admitted deletion may still fail, and
/// finalizers may keep an object for long, so that a name counts only for a while. From any thread.
/// </summary>
public sealed class AdmittedDeletions(TimeProvider time)
{
    private const int Most = 512;

    /// <summary>A watch that broke reports what it missed a little later.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(5);

    private readonly Lock _guard = new(); // Guards both collections.
    private readonly Dictionary<ObjectRef, (Writer User, DateTimeOffset At)> _users = [];
    private readonly Queue<(ObjectRef Object, DateTimeOffset At)> _order = [];

    /// <summary>Records an admitted deletion. If several users may have done it, and none is proven, none counts.</summary>
    public void Add(ObjectRef deleted, Writer user)
    {
        if (user.Name.Length == 0) return;
        lock (_guard)
        {
            var now = time.GetUtcNow();
            _users[deleted] = (_users.TryGetValue(deleted, out var known) && now - known.At <= Patience ? known.User.Or(user) : user, now);
            _order.Enqueue((deleted, now));
            if (_order.Count > Most && _order.Dequeue() is var oldest && _users.TryGetValue(oldest.Object, out var left) && left.At == oldest.At)
                _users.Remove(oldest.Object);
        }
    }

    /// <summary>Who deleted it; unknown if another control plane, or none, was asked. The next object of this name is another one.</summary>
    internal Writer Take(ObjectRef gone)
    {
        lock (_guard)
        {
            if (!_users.TryGetValue(gone, out var known)) return Writer.Unknown;
            // Of a remote secret, the clusters that it named ask as well.
            if (gone.Kind != "Secret") _users.Remove(gone);
            return time.GetUtcNow() - known.At <= Patience ? known.User : Writer.Unknown;
        }
    }

    /// <summary>Who deleted a Secret, as NAMESPACE/NAME: one may name several clusters, each of which leaves.</summary>
    internal Writer OfSecret(string secret)
    {
        lock (_guard)
        {
            foreach (var (deleted, known) in _users)
            {
                if (deleted.Kind == "Secret" && $"{deleted.Namespace}/{deleted.Name}" == secret && time.GetUtcNow() - known.At <= Patience) return known.User;
            }
            return Writer.Unknown;
        }
    }
}

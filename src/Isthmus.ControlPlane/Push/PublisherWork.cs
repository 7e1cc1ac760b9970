using Isthmus.Graph.Derive;
using Isthmus.Graph.History;
using Isthmus.Mesh.Resolve;

namespace Isthmus.ControlPlane.Push;

/// <summary>What waits for the publisher. It grows until the publisher takes it; whoever touches it before holds the lock of its owner.</summary>
internal sealed class PublisherWork
{
    /// <summary>The newest revision; null if nothing of the mesh changed.</summary>
    public MeshView? View { get; private set; }

    /// <summary>What changed up to it.</summary>
    public MeshChanges Changes { get; } = new();

    /// <summary>Whether more than endpoints has to be published.</summary>
    public bool IsFull { get; private set; }

    /// <summary>When the first of these changes came.</summary>
    public DateTimeOffset? ChangedAt { get; private set; }

    /// <summary>The changes whose effect the push shows.</summary>
    public PendingChanges Causes { get; private set; }

    /// <summary>Of streams that begin and end, and questions. They run after the mesh is published.</summary>
    public List<Action<Publisher>> Requests { get; } = [];

    public void Add(MeshView view, MeshChanges changes, bool full, PendingChanges? causes, DateTimeOffset since)
    {
        View = view;
        if (ChangedAt is not { } first || since < first) ChangedAt = since;
        if (causes is { } noted) Causes = Causes.With(noted);
        IsFull |= full;
        if (full) Changes.Add(changes);
        else Changes.Endpoints.UnionWith(changes.Endpoints);
    }
}

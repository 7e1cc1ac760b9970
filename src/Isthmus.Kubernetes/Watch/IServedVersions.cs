using Isthmus.Kubernetes.Objects;

namespace Isthmus.Kubernetes.Watch;

/// <summary>Which kinds an API server serves at the moment, and in which versions.</summary>
public interface IServedVersions
{
    /// <summary>Why the API server could not be asked; null while it answers.</summary>
    Exception? LastError { get; }

    /// <summary>
    /// The version to read a kind in: the first of those wanted that is served, null while none is. Whoever may not ask is told the first, and finds
    /// out by trying.
    /// </summary>
    /// <returns>Also a task that completes when another answer is possible.</returns>
    Task<(string? Version, Task Changed)> FindAsync(ResourceKind kind, IReadOnlyList<string> wanted, CancellationToken stop);
}

using System.Collections.Immutable;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Kubernetes.Watch;

/// <summary>
/// The custom kinds of an API server: CustomResourceDefinitions come, are upgraded and go while programs run. The watches of a cluster share it.
/// </summary>
public sealed class ServedKinds(KubeClient client, InformerSettings settings, TimeProvider time) : IServedVersions
{
    private readonly Informer<CustomResourceDefinition, string[]> _definitions = new(client, Kinds.CustomResourceDefinition, VersionsOf, settings, time);
    private readonly Lock _guard = new(); // Guards the two fields below.
    private ImmutableDictionary<string, string[]> _versions = ImmutableDictionary<string, string[]>.Empty;
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Why definitions could not be read; null while they are watched.</summary>
    public Exception? LastError => _definitions.LastError;

    public Task RunAsync(CancellationToken stop) => _definitions.RunAsync(changes =>
    {
        TaskCompletionSource before;
        lock (_guard)
        {
            var versions = _versions.ToBuilder();
            foreach (var change in changes)
                if (change.Object is { } served) versions[change.Key] = served;
                else versions.Remove(change.Key);
            _versions = versions.ToImmutable();
            (before, _changed) = (_changed, new(TaskCreationOptions.RunContinuationsAsynchronously));
        }
        before.TrySetResult();
        return ValueTask.CompletedTask;
    }, stop);

    public async Task<(string? Version, Task Changed)> FindAsync(ResourceKind kind, IReadOnlyList<string> wanted, CancellationToken stop)
    {
        await _definitions.Answered.WaitAsync(stop);
        if (!_definitions.Synced.IsCompleted) return (wanted[0], _definitions.Synced);
        lock (_guard)
        {
            var served = _versions.GetValueOrDefault($"{kind.Plural}.{kind.Group}", []);
            return (wanted.FirstOrDefault(served.Contains), _changed.Task);
        }
    }

    /// <returns>Null for a kind that is not served.</returns>
    private static string[]? VersionsOf(CustomResourceDefinition definition) =>
        definition.IsEstablished ? [.. definition.Spec.Versions.Where(version => version.Served).Select(version => version.Name)] : null;
}

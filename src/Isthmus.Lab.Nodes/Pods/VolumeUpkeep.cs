using Isthmus.Kubernetes.Client;
using Isthmus.Lab.Nodes.Env;
using Isthmus.Lab.Nodes.Volumes;

namespace Isthmus.Lab.Nodes.Pods;

/// <summary>Decides when a Pod's volumes are made and refreshed: before its first container, when what they come from may
/// have changed, and before a token expires.</summary>
internal sealed class VolumeUpkeep(PodVolumes volumes, NodeContext node, PodSubject pod)
{
    private readonly RetryPause _pause = new(TimeSpan.FromMilliseconds(100), TimeSpan.FromSeconds(10));
    private bool _areMade;
    private bool _mayHaveChanged = true;

    internal PodVolumes Volumes => volumes;

    /// <summary>When to call <see cref="EnsureAsync"/> again even if nothing happens; null for never.</summary>
    internal DateTimeOffset? Due { get; private set; }

    /// <summary>An object that the volumes are made from may have changed.</summary>
    internal void MarkChanged() => _mayHaveChanged = true;

    /// <returns>Whether containers may start. If a refresh fails, they keep the volumes that they have.</returns>
    internal async Task<bool> EnsureAsync(PodFacts facts, CancellationToken stop)
    {
        var now = node.Time.GetUtcNow();
        if (!_mayHaveChanged && !(Due <= now)) return _areMade;
        try
        {
            var group = facts.Pod.Spec.SecurityContext?.FsGroup is { } asked && node.CanSetGroups && node.Groups.Contains(asked) ? asked : (long?)null;
            Due = await volumes.RefreshAsync(facts, group, stop);
            (_areMade, _mayHaveChanged) = (true, false);
            _pause.Reset();
        }
        catch (Exception e) when (e is VolumeException or ConfigurationException or KubeException or HttpRequestException or IOException)
        {
            // A missing object may appear at any time, and MarkChanged then reports it, so it is fine to check less and
            // less often.
            Due = now + _pause.Next();
            _mayHaveChanged = false;
            pod.Tell(true, "FailedMount",
                e is VolumeException { Volume: { Length: > 0 } name } ? $"MountVolume.SetUp failed for volume \"{name}\" : {e.Message}"
                    : $"MountVolume.SetUp failed: {e.Message}");
        }
        return _areMade;
    }
}

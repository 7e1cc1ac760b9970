using Isthmus.Kubernetes.Objects;

namespace Isthmus.Lab.Nodes.Pods;

/// <summary>The Pod that a worker drives: its newest object, and the Events about it.</summary>
internal sealed class PodSubject(Pod pod, EventRecorder events)
{
    private volatile Pod _current = pod;

    internal Pod Current
    {
        get => _current;
        set => _current = value;
    }

    internal void Tell(bool isWarning, string reason, string message, Container? container = null) =>
        events.Tell(Current, isWarning, reason, message, container);
}

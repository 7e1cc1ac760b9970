namespace Isthmus.Kubernetes.Watch;

/// <summary>What an informer watches, and how it retries.</summary>
public sealed record InformerSettings
{
    /// <summary>Null for every namespace.</summary>
    public string? Namespace { get; init; }
    public string? LabelSelector { get; init; }
    public string? FieldSelector { get; init; }
    public TimeSpan FirstBackoff { get; init; } = TimeSpan.FromMilliseconds(100);
    public TimeSpan LongestBackoff { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Shared by the watches of one API server; null: the watch tries on its own.</summary>
    public ServerOutage? Outage { get; init; }

    /// <summary>Called for each failure of the consumer, so that its owner can log and count it. It must not
    /// throw.</summary>
    public Action<Exception>? ConsumerFailed { get; init; }
}

using Isthmus.Proxy.Clusters;

namespace Isthmus.Proxy.Snapshot;

/// <summary>What follows from a change of configuration, in the order in which it must be done.</summary>
internal sealed class Consequences
{
    /// <summary>Clusters that have new endpoints.</summary>
    public List<(ClusterState Cluster, LoadAssignment Assignment)> Fed { get; } = [];

    /// <summary>Clusters whose requests depend on where this workload and its like are, with their endpoints; null if they are unknown.</summary>
    public List<(ClusterState Cluster, LoadAssignment? Own)> Placed { get; } = [];

    /// <summary>The configuration to publish; null if it is the one before.</summary>
    public ProxySnapshot? Next { get; set; }

    /// <summary>Clusters that nothing uses any more.</summary>
    public List<ClusterState> Retired { get; } = [];

    /// <summary>Clusters of names that must be resolved from now on.</summary>
    public List<ClusterState> Unresolved { get; } = [];

    /// <summary>Clusters whose hosts must be checked from now on.</summary>
    public List<ClusterState> Unchecked { get; } = [];

    /// <summary>Resources that were refused.</summary>
    public List<Rejection> Rejected { get; } = [];
}

/// <summary>Whether a secret can be used.</summary>
internal enum SecretStanding
{
    /// <summary>It may come.</summary>
    Awaited,

    /// <summary>It does not exist or cannot be used: nothing should wait for it.</summary>
    Absent,

    There,
}

/// <summary>What a change of configuration depends on, apart from the resources.</summary>
internal sealed record Surroundings(DateTimeOffset Now, Func<string, SecretStanding> Secret)
{
    public bool Has(string secret) => Secret(secret) == SecretStanding.There;
}

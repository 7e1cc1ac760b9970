using System.Text.Json.Nodes;
using System.Text.Json.Serialization;

namespace Isthmus.Reports;

/// <summary>What a control plane finds wrong (a line of <c>/debug/problemz</c>).</summary>
/// <param name="Severity"><c>Error</c>, <c>Warning</c> or <c>Info</c>.</param>
/// <param name="Cluster">The cluster of the object; empty: of none in particular.</param>
public sealed record ProblemReport(string Code = "", string Severity = "", string Cluster = "", string Object = "", string Path = "", string Message = "",
    string Remedy = "");

/// <summary>A cluster that a control plane watches (a line of <c>/debug/clusterz</c>). An istiod knows the first three fields.</summary>
public sealed record WatchedReport
{
    public string? Id { get; init; }

    /// <summary>What holds its credentials, as NAMESPACE/NAME or as the path of a file.</summary>
    public string? SecretName { get; init; }

    public string? SyncStatus { get; init; }

    /// <summary>The revision of the control plane.</summary>
    public string? Revision { get; init; }

    /// <summary>Where the state that it serves comes from: <c>live</c>, <c>memory</c>, <c>snapshot</c> or <c>nothing</c>.</summary>
    public string? Source { get; init; }

    /// <summary>When its API server answered last.</summary>
    [JsonConverter(typeof(TickConverter))]
    public DateTimeOffset? LastContact { get; init; }

    /// <summary>When that state was last known to be true.</summary>
    [JsonConverter(typeof(TickConverter))]
    public DateTimeOffset? Confirmed { get; init; }

    public SnapshotReport? Snapshot { get; init; }

    [JsonConverter(typeof(TickConverter))]
    public DateTimeOffset? CredentialsExpire { get; init; }

    /// <summary>The UID of the Namespace kube-system of the cluster to which the credentials lead.</summary>
    public string? Uid { get; init; }

    /// <summary>What will fail unless someone acts.</summary>
    public string? Warning { get; init; }

    /// <summary>Why it cannot be reached.</summary>
    public string? Message { get; init; }
}

/// <summary>The last known state of a cluster, as it is stored.</summary>
public sealed record SnapshotReport
{
    /// <summary>Why it cannot be stored.</summary>
    public string? Problem { get; init; }

    [JsonConverter(typeof(TickConverter))]
    public DateTimeOffset? Confirmed { get; init; }

    public long? Bytes { get; init; }
}

/// <summary>Where a control plane got the addresses of a proxy (<c>/debug/sourcez</c>).</summary>
/// <param name="Connected">Whether the proxy is connected to it.</param>
/// <param name="Clusters">The clusters that it knows something of, by name.</param>
/// <param name="Addresses">The clusters that reported each address.</param>
public sealed record SourcesReport(bool Connected = false, Dictionary<string, SourceReport>? Clusters = null,
    Dictionary<string, IReadOnlyList<string>>? Addresses = null);

/// <summary>How recent the state of a cluster is.</summary>
/// <param name="Source">As <see cref="WatchedReport.Source"/> has it.</param>
public sealed record SourceReport(string Source = "")
{
    /// <summary>When it was last known to be true; null of the control plane's own cluster.</summary>
    [JsonConverter(typeof(TickConverter))]
    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public DateTimeOffset? Confirmed { get; init; }
}

/// <summary>How far a change has come (<c>/debug/distribution</c>).</summary>
/// <param name="Observed">Whether the control plane knows it.</param>
/// <param name="Published">Whether it has pushed it.</param>
public sealed record DistributionReport(bool Observed = false, bool Published = false, IReadOnlyList<DistributionProxy>? Proxies = null);

/// <param name="State"><c>SYNCED</c>, <c>STALE</c>, or <c>ERROR</c>: the proxy rejects a part.</param>
public sealed record DistributionProxy(string Proxy = "", [property: JsonPropertyName("cluster_id")] string ClusterId = "", string State = "");

/// <summary>An endpoint of a host (<c>/debug/endpointShardz</c>: by host, by shard).</summary>
public sealed record ShardEndpoint
{
    [JsonPropertyName("Address")]
    public string? Address { get; init; }

    [JsonPropertyName("Network")]
    public string? Network { get; init; }

    /// <summary>A text; of an istiod, an object.</summary>
    [JsonPropertyName("Locality")]
    public JsonNode? Locality { get; init; }

    [JsonPropertyName("Health")]
    public string? Health { get; init; }

    [JsonPropertyName("ServiceAccount")]
    public string? ServiceAccount { get; init; }

    [JsonPropertyName("Workload")]
    public string? Workload { get; init; }

    /// <summary>The object that names it.</summary>
    [JsonPropertyName("Source")]
    public string? Source { get; init; }

    [JsonPropertyName("Ports")]
    public IReadOnlyList<ShardPort>? Ports { get; init; }

    /// <summary>What an istiod has in place of <see cref="Address"/>.</summary>
    [JsonPropertyName("Addresses")]
    public IReadOnlyList<string>? Addresses { get; init; }

    /// <summary>What an istiod has in place of <see cref="Health"/>.</summary>
    [JsonPropertyName("HealthStatus")]
    public int? HealthStatus { get; init; }
}

/// <param name="Service">The port of the Service.</param>
/// <param name="Target">The port of the endpoint.</param>
public sealed record ShardPort(int Service = 0, int Target = 0, bool Mtls = false);

using System.Text.Json.Serialization;

namespace Isthmus.Reports;

/// <summary>What a control plane remembers, oldest change first (<c>/debug/history</c>).</summary>
/// <param name="Cluster">The cluster of the control plane.</param>
/// <param name="Istiod">Its Pod.</param>
public sealed record HistoryReport(string Cluster = "", string Istiod = "")
{
    /// <summary>When it answered.</summary>
    [JsonConverter(typeof(MillisecondConverter))]
    public DateTimeOffset? Now { get; init; }

    /// <summary>Since when it remembers; null if it is not ready yet.</summary>
    [JsonConverter(typeof(MillisecondConverter))]
    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public DateTimeOffset? Since { get; init; }

    /// <summary>When it began to remember itself; what it knows from before, earlier Pods kept. Null: nothing is from before.</summary>
    [JsonConverter(typeof(MillisecondConverter))]
    public DateTimeOffset? Restarted { get; init; }

    /// <summary>How many changes it dropped because there were too many.</summary>
    public long? Forgotten { get; init; }

    public IReadOnlyList<ChangeReport>? Changes { get; init; }
}

/// <summary>A remembered change: of one object, of the endpoints of one host, or of the connection to a cluster.</summary>
public sealed record ChangeReport
{
    /// <summary>When it happened; with <see cref="Count"/> over 1, when the first of them did.</summary>
    [JsonConverter(typeof(MillisecondConverter))]
    public DateTimeOffset? First { get; init; }

    [JsonConverter(typeof(MillisecondConverter))]
    public DateTimeOffset? Last { get; init; }

    /// <summary>How many changes it stands for.</summary>
    public int? Count { get; init; }

    public string? Cluster { get; init; }

    public string? Kind { get; init; }

    public string? Namespace { get; init; }

    public string? Name { get; init; }

    /// <summary><c>created</c>, <c>changed</c>, <c>deleted</c>, <c>invalid</c>, <c>joined</c>, <c>left</c>, <c>lost</c> or <c>regained</c>.</summary>
    public string? Verb { get; init; }

    /// <summary>The earlier Pod that saw it; null: the Pod that answers did.</summary>
    public string? Istiod { get; init; }

    public string? ResourceVersion { get; init; }

    public long? Generation { get; init; }

    public string? FieldManager { get; init; }

    /// <summary>The paths of fields that were changed, at most five; <c>…</c> at the end stands for more. Null: not known.</summary>
    public IReadOnlyList<string>? Fields { get; init; }

    /// <summary>When it was written, by the clock of the API server.</summary>
    [JsonConverter(typeof(MillisecondConverter))]
    public DateTimeOffset? Written { get; init; }

    public string? User { get; init; }

    /// <summary>Whether an API server that has proven itself named the user.</summary>
    public bool? UserProven { get; init; }

    /// <summary>It may concern every call.</summary>
    public bool? Everything { get; init; }

    /// <summary>It concerns hosts at gateways only.</summary>
    public bool? Gateways { get; init; }

    /// <summary>The hosts whose callers it concerns.</summary>
    public IReadOnlyList<string>? Hosts { get; init; }

    public ConcernedWorkloads? Workloads { get; init; }

    /// <summary>Of a cluster that left: the remote secret that named it.</summary>
    public string? Secret { get; init; }

    /// <summary>Of a cluster that left: how many of its Services were known.</summary>
    public int? Services { get; init; }

    /// <summary>Of a workload that was scaled: the replicas that it was to have.</summary>
    public ScalingReport? Scaling { get; init; }

    public EndpointCounts? Endpoints { get; init; }

    /// <summary>How many proxies got something new; null: not known yet.</summary>
    public int? Proxies { get; init; }

    /// <summary>How many changes were pushed together, if several.</summary>
    public int? ChangesInPush { get; init; }

    /// <summary>Changed resources by type.</summary>
    public Dictionary<string, ChangedResourcesReport>? Resources { get; init; }
}

/// <summary>Workloads that a change concerns.</summary>
/// <param name="Labels">Those that the workloads have; none: all of the namespace.</param>
public sealed record ConcernedWorkloads(string Namespace = "", Dictionary<string, string>? Labels = null);

/// <summary>The replicas that a workload was to have before and after a write.</summary>
public sealed record ScalingReport(int Before = 0, int After = 0);

/// <summary>How many endpoints a host had before a change, at least meanwhile, and afterwards.</summary>
public sealed record EndpointCounts(CountReport? Before = null, CountReport? Fewest = null, CountReport? After = null)
{
    /// <summary>Pods that come and go while as many are ready change nothing for callers.</summary>
    [JsonIgnore]
    public bool ConcernCallers => Before?.Ready != After?.Ready || Fewest?.Ready < After?.Ready;
}

/// <summary>How many endpoints there are, and how many of them can be called.</summary>
public sealed record CountReport(int Ready = 0, int Total = 0);

/// <summary>Changed resources of one type.</summary>
/// <param name="Proxies">How many proxies got one.</param>
/// <param name="Count">How many resources differ.</param>
/// <param name="Names">The names of the first of them.</param>
public sealed record ChangedResourcesReport(int Proxies = 0, int Count = 0, IReadOnlyList<string>? Names = null);

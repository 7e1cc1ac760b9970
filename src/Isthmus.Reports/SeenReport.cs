using System.Text.Json.Serialization;

namespace Isthmus.Reports;

/// <summary>What a proxy remembers of one request or TCP connection: a line of <c>/recent</c>, and <see cref="CallReport.Seen"/>.</summary>
public sealed record SeenReport
{
    /// <summary>The path of the page.</summary>
    public const string Page = "/recent";

    /// <summary>What to ask for: requests with a mark, and TCP connections.</summary>
    public static string Request(string mark) => $"{Page}?id={mark}";

    /// <summary><c>inbound</c>, <c>outbound</c> or <c>unspecified</c>.</summary>
    public string? Direction { get; init; }

    [JsonConverter(typeof(MillisecondConverter))]
    public DateTimeOffset? Start { get; init; }

    /// <summary>From its start to its end; of an open TCP connection: until it was established.</summary>
    public double? DurationMs { get; init; }

    /// <summary>A TCP connection that was still open.</summary>
    public bool? Standing { get; init; }

    /// <summary>The status of the response; 0 without one.</summary>
    public int? Status { get; init; }

    /// <summary>Envoy's response flags, separated by commas.</summary>
    public string? Flags { get; init; }

    public int? Attempts { get; init; }

    public double? ResponseAfterMs { get; init; }

    /// <summary>The mark of the trace; none: a TCP connection, which carries no mark.</summary>
    public string? Id { get; init; }

    public string? Details { get; init; }

    public string? TransportFailure { get; init; }

    public string? Route { get; init; }

    public string? Cluster { get; init; }

    /// <summary>The address that the proxy chose.</summary>
    public string? Upstream { get; init; }

    /// <summary>The address from which the proxy called; none while it is not connected.</summary>
    public string? UpstreamLocal { get; init; }

    public string? UpstreamPeer { get; init; }

    /// <summary>The address from which the proxy was called.</summary>
    public string? DownstreamRemote { get; init; }

    public string? DownstreamPeer { get; init; }

    public string? ServerName { get; init; }
}

using System.Globalization;
using System.Text.Json.Serialization;

namespace Isthmus.Reports;

/// <summary>A call that a Pod is asked to make, as POST <c>/call</c> has it in its query.</summary>
/// <param name="To">ADDRESS:PORT.</param>
public sealed record CallQuestion(string To)
{
    /// <summary>The path of the page.</summary>
    public const string Page = "/call";

    /// <summary>How long a call, or an attempt to connect, may take at most.</summary>
    public static readonly TimeSpan Longest = TimeSpan.FromMinutes(5);

    /// <summary><c>http</c>, <c>grpc</c>, <c>tls</c> or <c>tcp</c>.</summary>
    public string Kind { get; init; } = "http";

    public string Authority { get; init; } = To;

    public string Path { get; init; } = "/";

    public string Method { get; init; } = "GET";

    /// <summary>The mark by which proxies remember the call.</summary>
    public string Id { get; init; } = "";

    /// <summary>In milliseconds, as text.</summary>
    public string Timeout { get; init; } = "5000";

    /// <summary>Each as <c>name: value</c>.</summary>
    public IReadOnlyList<string> Headers { get; init; } = [];

    public string Body { get; init; } = "";

    /// <summary>The protocol to which the request asks to change, <c>websocket</c>; empty for none.</summary>
    public string Upgrade { get; init; } = "";

    /// <summary>What to ask for.</summary>
    public string Request => $"{Page}?to={Escaped(To)}&kind={Escaped(Kind)}&authority={Escaped(Authority)}&path={Escaped(Path)}&method={Escaped(Method)}"
        + $"&id={Escaped(Id)}&timeout={Escaped(Timeout)}&headers={Escaped(string.Join('\n', Headers))}&body={Escaped(Body)}"
        + (Upgrade.Length > 0 ? $"&upgrade={Escaped(Upgrade)}" : "");

    /// <summary>Reads a query. What it lacks has its default.</summary>
    public static CallQuestion Read(IReadOnlyDictionary<string, string> query)
    {
        var plain = new CallQuestion(query.GetValueOrDefault("to", ""));
        return plain with
        {
            Kind = query.GetValueOrDefault("kind", plain.Kind), Authority = query.GetValueOrDefault("authority", plain.Authority),
            Path = query.GetValueOrDefault("path", plain.Path), Method = query.GetValueOrDefault("method", plain.Method),
            Id = query.GetValueOrDefault("id", plain.Id), Timeout = query.GetValueOrDefault("timeout", plain.Timeout),
            Headers = query.GetValueOrDefault("headers", "").Split('\n', StringSplitOptions.RemoveEmptyEntries),
            Body = query.GetValueOrDefault("body", plain.Body), Upgrade = query.GetValueOrDefault("upgrade", plain.Upgrade),
        };
    }

    /// <summary>A timeout as the query has it.</summary>
    public static string Milliseconds(TimeSpan timeout) => ((int)timeout.TotalMilliseconds).ToString(CultureInfo.InvariantCulture);

    private static string Escaped(string text) => Uri.EscapeDataString(text);
}

/// <summary>How a call went that a Pod made when asked to (POST <c>/call</c>), filled in while it runs.</summary>
public sealed record CallReport
{
    public string? To { get; init; }

    [JsonConverter(typeof(MillisecondConverter))]
    public DateTimeOffset? At { get; init; }

    /// <summary>The connection was made, but no TLS handshake.</summary>
    public bool? TlsFailed { get; set; }

    /// <summary>The subject of the certificate that the other end of a TLS connection presents.</summary>
    public string? Certificate { get; set; }

    /// <summary>That certificate, and those that came with it, each as DER: what a client that checks them judges.</summary>
    public IReadOnlyList<byte[]>? Chain { get; set; }

    /// <summary>How many bytes of a TCP connection came.</summary>
    public int? Received { get; set; }

    /// <summary>What the other end of a TCP connection does: <c>first</c>, <c>to the data</c>, <c>after the end</c>, <c>closed</c> or <c>nothing</c>.</summary>
    public string? Says { get; set; }

    public int? Status { get; set; }

    /// <summary>Whether the other end changed the protocol; null when it was not asked to.</summary>
    public bool? Upgraded { get; set; }

    public Dictionary<string, string>? Headers { get; set; }

    /// <summary>The first bytes of the response's body.</summary>
    public string? Body { get; set; }

    public int? GrpcStatus { get; set; }

    public string? GrpcMessage { get; set; }

    /// <summary>The time that was allowed is over.</summary>
    public bool? TimedOut { get; set; }

    /// <summary>Why there is no answer.</summary>
    public string? Error { get; set; }

    /// <summary>Why the call was not made.</summary>
    public string? NotMade { get; set; }

    public double? TookMs { get; set; }

    /// <summary>What the caller's proxy saw of the call.</summary>
    public SeenReport? Seen { get; set; }
}

/// <summary>Whether a TCP connection could be opened past capture (POST <c>/reach</c>).</summary>
/// <param name="Error">Why not; empty when it could.</param>
public sealed record ReachReport(string To = "", bool? Connected = null, string Error = "", double TookMs = 0)
{
    /// <summary>The path of the page.</summary>
    public const string Page = "/reach";

    /// <summary>What to ask for.</summary>
    /// <param name="to">ADDRESS:PORT.</param>
    public static string Request(string to, TimeSpan timeout) => $"{Page}?to={Uri.EscapeDataString(to)}&timeout={CallQuestion.Milliseconds(timeout)}";
}

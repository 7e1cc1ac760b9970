using System.Globalization;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Core.Time;

namespace Isthmus.Mesh.Model;

/// <summary>What proxies do with header fields whose names have an underscore, which some servers take for a dash.</summary>
public enum UnderscoreAction { Allow, Reject, Drop }

/// <summary>What proxies do with escaped slashes in paths.</summary>
public enum EscapedSlashAction { Keep, Reject, Redirect, Forward }

/// <summary>Limits of clients' connections and requests (ProxyConfig's <c>connectionSettings</c>); null: the proxy's default.</summary>
public sealed record ConnectionSettings
{
    public static readonly ConnectionSettings Default = new();

    /// <summary>At gateways, what is not said has the values that Envoy advises for clients that nobody knows.</summary>
    public bool IsEdge { get; init; }

    /// <summary>How long a client's connection may be without requests.</summary>
    public TimeSpan? IdleTimeout { get; init; }

    public TimeSpan? MaxConnectionDuration { get; init; }

    public TimeSpan? MaxStreamDuration { get; init; }

    /// <summary>How long nothing of a request or its response may arrive.</summary>
    public TimeSpan? StreamIdleTimeout { get; init; }

    /// <summary>How long a request may take to arrive.</summary>
    public TimeSpan? RequestTimeout { get; init; }

    /// <summary>The same for its head.</summary>
    public TimeSpan? RequestHeadersTimeout { get; init; }

    /// <summary>How many requests may share an HTTP/2 connection at once.</summary>
    public uint? MaxConcurrentStreams { get; init; }

    public UnderscoreAction? Underscores { get; init; }

    public bool? MergeSlashes { get; init; }

    public EscapedSlashAction? EscapedSlashes { get; init; }

    /// <summary>The settings of a proxy of one kind.</summary>
    public ConnectionSettings For(ProxyKind kind) => !IsEdge || kind != ProxyKind.Router ? this : this with
    {
        IdleTimeout = IdleTimeout ?? TimeSpan.FromHours(1),
        StreamIdleTimeout = StreamIdleTimeout ?? TimeSpan.FromMinutes(5),
        RequestTimeout = RequestTimeout ?? TimeSpan.FromMinutes(5),
        RequestHeadersTimeout = RequestHeadersTimeout ?? TimeSpan.FromMinutes(1),
        MaxConcurrentStreams = MaxConcurrentStreams ?? 100,
        Underscores = Underscores ?? UnderscoreAction.Reject,
        MergeSlashes = MergeSlashes ?? true,
        EscapedSlashes = EscapedSlashes ?? EscapedSlashAction.Redirect,
    };

    /// <param name="textAt">The text of a field; empty where it is not set.</param>
    public static ConnectionSettings Read(Func<string, string> textAt)
    {
        return new()
        {
            IsEdge = textAt("profile") == "EDGE",
            IdleTimeout = Time("httpIdleTimeout"),
            MaxConnectionDuration = Time("httpMaxConnectionDuration"),
            MaxStreamDuration = Time("httpMaxStreamDuration"),
            StreamIdleTimeout = Time("httpStreamIdleTimeout"),
            RequestTimeout = Time("httpRequestTimeout"),
            RequestHeadersTimeout = Time("httpRequestHeadersTimeout"),
            MaxConcurrentStreams = uint.TryParse(textAt("httpMaxConcurrentStreams"), NumberStyles.None, CultureInfo.InvariantCulture, out var streams)
                && streams > 0
                ? streams
                : null,
            Underscores = textAt("httpHeadersWithUnderscoresAction") switch
            {
                "HEADERS_WITH_UNDERSCORES_ALLOW" => UnderscoreAction.Allow,
                "HEADERS_WITH_UNDERSCORES_DROP_HEADER" => UnderscoreAction.Drop,
                "" or "HEADERS_WITH_UNDERSCORES_UNSPECIFIED" => null,
                // What cannot be read lets nothing through.
                _ => UnderscoreAction.Reject,
            },
            MergeSlashes = textAt("httpMergeSlashes") switch { "true" => true, "false" => false, _ => null },
            EscapedSlashes = textAt("httpPathWithEscapedSlashesAction") switch
            {
                "KEEP_UNCHANGED" => EscapedSlashAction.Keep,
                "UNESCAPE_AND_REDIRECT" => EscapedSlashAction.Redirect,
                "UNESCAPE_AND_FORWARD" => EscapedSlashAction.Forward,
                "" or "PATH_WITH_ESCAPED_SLASHES_UNSPECIFIED" => null,
                _ => EscapedSlashAction.Reject,
            },
        };

        TimeSpan? Time(string name) => Durations.TryParse(textAt(name), out var time) && time >= TimeSpan.Zero ? time : null;
    }

    /// <summary>What a proxy reports in its ProxyConfig; null when that has none.</summary>
    internal static ConnectionSettings? Of(Value? proxyConfig)
    {
        if (proxyConfig?.StructValue?.Fields.TryGetValue("connectionSettings", out var settings) != true || settings!.StructValue is not { Fields: var fields })
            return null;
        return Read(name => fields.TryGetValue(name, out var value) ? value switch
        {
            { KindCase: Value.KindOneofCase.StringValue } => value.StringValue,
            { KindCase: Value.KindOneofCase.BoolValue } => value.BoolValue ? "true" : "false",
            { KindCase: Value.KindOneofCase.NumberValue } => value.NumberValue.ToString(CultureInfo.InvariantCulture),
            _ => "",
        } : "");
    }
}

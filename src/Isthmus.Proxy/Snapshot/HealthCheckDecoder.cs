using Google.Protobuf.Collections;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Core.Collections;
using Isthmus.Proxy.Clusters;
using Isthmus.Proxy.Matching;
using Isthmus.Proxy.Policy;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.Clusters;

namespace Isthmus.Proxy.Snapshot;

/// <summary>Decodes the active health checks of clusters.</summary>
internal static class HealthCheckDecoder
{
    private static readonly StatusRange[] Ok = [new(200, 201)];

    /// <summary>How the hosts of a cluster are checked; null if they are not.</summary>
    /// <exception cref="ResourceException">The hosts cannot be checked like that.</exception>
    public static HealthCheckSettings? Decode(Cluster cluster, ClusterKind kind, UpstreamHttp http, List<string> notes)
    {
        if (cluster.HealthChecks.Count == 0) return null;
        if (cluster.HealthChecks.Count > 1) throw new ResourceException("Multiple health checks not supported");
        var check = cluster.HealthChecks[0];
        var probe = Probe(check, cluster, http, notes);
        Note(check, notes);
        if (check.TransportSocketMatchCriteria is { Fields.Count: > 0 } && cluster.TransportSocketMatches.Count == 0)
            notes.Add("health_checks.transport_socket_match_criteria has no effect without transport_socket_matches");
        var usual = Needed(check.Interval, "interval");
        var unhealthy = Time(check.UnhealthyInterval, "unhealthy_interval") ?? usual;
        var idle = Time(check.NoTrafficInterval, "no_traffic_interval") ?? TimeSpan.FromSeconds(60);
        var intervals = new HealthIntervals(
            usual, unhealthy, Time(check.UnhealthyEdgeInterval, "unhealthy_edge_interval") ?? unhealthy,
            Time(check.HealthyEdgeInterval, "healthy_edge_interval") ?? usual,
            idle, Time(check.NoTrafficHealthyInterval, "no_traffic_healthy_interval") ?? idle)
        {
            InitialJitter = check.InitialJitter?.ToTimeSpan() ?? TimeSpan.Zero,
            Jitter = check.IntervalJitter?.ToTimeSpan() ?? TimeSpan.Zero,
            JitterPercent = (int)Math.Min(check.IntervalJitterPercent, 1000),
        };
        var settings = new HealthCheckSettings(probe, Needed(check.Timeout, "timeout"), intervals, Threshold(check.UnhealthyThreshold, "unhealthy_threshold"),
            Threshold(check.HealthyThreshold, "healthy_threshold"))
        {
            ReusesConnection = check.ReuseConnection ?? true,
            RemovesHealthy = cluster.IgnoreHealthOnHostRemoval || kind == ClusterKind.LogicalDns,
            LogsFailures = check.AlwaysLogHealthCheckFailures,
            SocketMatch = check.TransportSocketMatchCriteria is { } criteria ? EndpointDecoder.Labels(criteria) : null,
            Alpn = check.TlsOptions is { AlpnProtocols.Count: > 0 } tls ? tls.AlpnProtocols.ToValueList() : null,
        };
        if (kind is not (ClusterKind.OriginalDst or ClusterKind.Dynamic)) return settings;
        // Callers choose these hosts by their addresses or names, so health has nothing to choose.
        notes.Add("health_checks are ignored: callers choose the hosts of this cluster");
        return null;
    }

    private static HealthProbe Probe(HealthCheck check, Cluster cluster, UpstreamHttp http, List<string> notes)
    {
        switch (check.HealthCheckerCase)
        {
            case HealthCheck.HealthCheckerOneofCase.HttpHealthCheck:
                return Http(check.HttpHealthCheck, notes);
            case HealthCheck.HealthCheckerOneofCase.TcpHealthCheck:
                var tcp = check.TcpHealthCheck;
                if (tcp.ProxyProtocolConfig is not null) throw new ResourceException("health_checks: tcp_health_check.proxy_protocol_config is not supported");
                return new TcpProbe(tcp.Send is null ? default(ReadOnlyMemory<byte>) : Bytes(tcp.Send), Sequence(tcp.Receive));
            case HealthCheck.HealthCheckerOneofCase.GrpcHealthCheck:
                if (http == UpstreamHttp.Http1) throw new ResourceException($"{cluster.Name} cluster must support HTTP/2 for gRPC healthchecking");
                var grpc = check.GrpcHealthCheck;
                return new GrpcProbe(grpc.ServiceName, Clean(grpc.Authority, "grpc_health_check.authority"), Edits(grpc.InitialMetadata, [], notes));
            default:
                throw new ResourceException(
                    "health_checks: one of http_health_check, tcp_health_check and grpc_health_check is needed (custom_health_check is not supported)");
        }
    }

    private static HttpProbe Http(HealthCheck.Types.HttpHealthCheck check, List<string> notes)
    {
        if (check.Path.Length == 0) throw new ResourceException("health_checks: http_health_check.path is missing");
        var isHttp2 = check.CodecClientType switch
        {
            Wire.Envoy.CodecClientType.Http1 => false,
            Wire.Envoy.CodecClientType.Http2 => true,
            var other => throw new ResourceException($"health_checks: http_health_check.codec_client_type {other} is not supported"),
        };
        var method = check.Method is RequestMethod.MethodUnspecified ? RequestMethod.Get : check.Method;
        if (method is RequestMethod.Connect || !System.Enum.IsDefined(method))
            throw new ResourceException($"health_checks: http_health_check.method {method} is not supported");
        if (check.Send is not null && method is not (RequestMethod.Post or RequestMethod.Put or RequestMethod.Patch or RequestMethod.Options))
            throw new ResourceException($"health_checks: http_health_check.send needs a method whose requests have a body, not {method}");
        var expected = Ranges(check.ExpectedStatuses, "expected");
        return new(
            Clean(check.Host, "http_health_check.host"), Clean(check.Path, "http_health_check.path"), method.ToString().ToUpperInvariant(),
            Edits(check.RequestHeadersToAdd, check.RequestHeadersToRemove, notes), expected.Count > 0 ? expected : Ok.ToValueList(),
            Ranges(check.RetriableStatuses, "retriable"))
        {
            IsHttp2 = isHttp2,
            Body = check.Send is null ? default(ReadOnlyMemory<byte>) : Bytes(check.Send),
            Receive = Sequence(check.Receive),
            SearchedBytes = (int)Math.Min(check.ResponseBufferSize ?? 1024, int.MaxValue),
            ServiceName = check.ServiceNameMatcher is { } name ? TextMatch.From(name) : null,
        };
    }

    private static HeaderEdits Edits(IEnumerable<HeaderValueOption> added, IEnumerable<string> removed,
        List<string> notes) => HeadDecoder.Edits(added, removed, [], [], notes);

    private static ValueList<StatusRange> Ranges(RepeatedField<Wire.Envoy.Int64Range> ranges, string kind)
    {
        foreach (var range in ranges)
        {
            if (range.Start >= range.End)
                throw new ResourceException($"Invalid http {kind} status range: expecting start < end, but found start={range.Start} and end={range.End}");
            if (range.Start < 100) throw new ResourceException($"Invalid http {kind} status range: expecting start >= 100, but found start={range.Start}");
            if (range.End > 600) throw new ResourceException($"Invalid http {kind} status range: expecting end <= 600, but found end={range.End}");
        }
        return ranges.Select(range => new StatusRange(range.Start, range.End)).ToValueList();
    }

    private static ByteSequence Sequence(RepeatedField<HealthCheck.Types.Payload> pieces) => new([.. pieces.Select(Bytes)]);

    private static byte[] Bytes(HealthCheck.Types.Payload payload)
    {
        switch (payload.PayloadCase)
        {
            case HealthCheck.Types.Payload.PayloadOneofCase.Binary:
                return payload.Binary.ToByteArray();
            case HealthCheck.Types.Payload.PayloadOneofCase.Text when payload.Text.Length > 0:
                try
                {
                    return Convert.FromHexString(payload.Text);
                }
                catch (FormatException)
                {
                    throw new ResourceException($"invalid hex string '{payload.Text}'");
                }

            default:
                throw new ResourceException("health_checks: a payload needs text (in hex) or binary");
        }
    }

    /// <summary>Text that becomes a part of a request: a space or a line break would change the rest of it.</summary>
    private static string Clean(string text, string name) =>
        text.Any(c => c <= ' ' || c == '\x7f') ? throw new ResourceException($"health_checks: {name} must not contain spaces or control characters") : text;

    private static TimeSpan Needed(Duration? time, string name) => Time(time, name) ?? throw new ResourceException($"health_checks: {name} is missing");

    private static TimeSpan? Time(Duration? time, string name) => time?.ToTimeSpan() switch
    {
        null => null,
        { Ticks: > 0 } some => some,
        _ => throw new ResourceException($"health_checks: {name} must be greater than 0s"),
    };

    private static int Threshold(uint? count, string name) =>
        (int)Math.Clamp(count ?? throw new ResourceException($"health_checks: {name} is missing"), 1, int.MaxValue);

    private static void Note(HealthCheck check, List<string> notes)
    {
        if (check.AltPort is not null) notes.Add("health_checks.alt_port is ignored");
        if (check.EventLogger.Count > 0) notes.Add("health_checks.event_logger is ignored");
        if (check.EventService is not null) notes.Add("health_checks.event_service is ignored");
        if (check.AlwaysLogHealthCheckSuccess) notes.Add("health_checks.always_log_health_check_success is ignored");
    }
}

using Isthmus.Proxy.Clusters;
using Isthmus.Proxy.Matching;
using Isthmus.Proxy.Snapshot;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.Clusters;
using Xunit;

namespace Isthmus.Tests.Proxy.Snapshot;

public sealed class HealthCheckDecoderTests
{
    private const string Whole = """ "timeout": "1s", "interval": "2s", "unhealthy_threshold": 3, "healthy_threshold": 4 """;

    [Theory]
    [InlineData("""{}""", "one of http_health_check, tcp_health_check and grpc_health_check is needed (custom_health_check is not supported)")]
    [InlineData("""{"tcp_health_check": {}}""", "interval is missing")]
    [InlineData("""{"tcp_health_check": {}, "interval": "1s"}""", "timeout is missing")]
    [InlineData("""{"tcp_health_check": {}, "interval": "0s"}""", "interval must be greater than 0s")]
    [InlineData("""{"tcp_health_check": {}, "interval": "1s", "timeout": "1s"}""", "unhealthy_threshold is missing")]
    [InlineData("""{"tcp_health_check": {}, "interval": "1s", "timeout": "1s", "unhealthy_threshold": 1}""", "healthy_threshold is missing")]
    [InlineData("""{"http_health_check": {}}""", "http_health_check.path is missing")]
    [InlineData("""{"http_health_check": {"path": "/a b"}}""", "http_health_check.path must not contain spaces or control characters")]
    [InlineData("""{"http_health_check": {"path": "/", "host": "a\r\nb"}}""", "http_health_check.host must not contain spaces or control characters")]
    [InlineData("""{"http_health_check": {"path": "/", "codec_client_type": "HTTP3"}}""", "http_health_check.codec_client_type Http3 is not supported")]
    [InlineData("""{"http_health_check": {"path": "/", "method": "CONNECT"}}""", "http_health_check.method Connect is not supported")]
    [InlineData("""{"http_health_check": {"path": "/", "send": {"text": "00"}}}""",
        "http_health_check.send needs a method whose requests have a body, not Get")]
    [InlineData("""{"http_health_check": {"path": "/", "expected_statuses": [{"start": 200, "end": 200}]}}""",
        "Invalid http expected status range: expecting start < end, but found start=200 and end=200")]
    [InlineData("""{"http_health_check": {"path": "/", "expected_statuses": [{"start": 99, "end": 200}]}}""",
        "Invalid http expected status range: expecting start >= 100, but found start=99")]
    [InlineData("""{"http_health_check": {"path": "/", "retriable_statuses": [{"start": 500, "end": 601}]}}""",
        "Invalid http retriable status range: expecting end <= 600, but found end=601")]
    [InlineData("""{"tcp_health_check": {"send": {"text": "xyz"}}}""", "invalid hex string 'xyz'")]
    [InlineData("""{"tcp_health_check": {"receive": [{}]}}""", "a payload needs text (in hex) or binary")]
    [InlineData("""{"tcp_health_check": {"proxy_protocol_config": {}}}""", "tcp_health_check.proxy_protocol_config is not supported")]
    [InlineData("""{"grpc_health_check": {}}""", "a cluster must support HTTP/2 for gRPC healthchecking")]
    [InlineData("""{"tcp_health_check": {}}, {"tcp_health_check": {}}""", "Multiple health checks not supported")]
    public void What_cannot_be_checked_is_refused_with_its_field(string checks, string message) =>
        Assert.Contains(message, Assert.Throws<ResourceException>(() => Decode($""" "health_checks": [{checks}] """)).Message, StringComparison.Ordinal);

    [Fact]
    public void Intervals_that_are_not_given_follow_others_as_in_Envoy()
    {
        var few = Decode($$"""  "health_checks": [{ {{Whole}}, "tcp_health_check": {} }] """).HealthCheck!;
        Assert.Equal(Seconds(2, 2, 2, 2, 60, 60), few.Intervals);
        Assert.Equal((TimeSpan.FromSeconds(1), 3, 4, true), (few.Timeout, few.UnhealthyThreshold, few.HealthyThreshold, few.ReusesConnection));
        Assert.Equal(Seconds(2, 5, 5, 2, 7, 7),
            Decode(
                $$"""  "health_checks": [{ {{Whole}}, "unhealthy_interval": "5s", "no_traffic_interval": "7s", "tcp_health_check": {} }] """).HealthCheck!.Intervals);
        var all = Decode($$"""
              "health_checks": [{ {{Whole}}, "unhealthy_interval": "5s", "unhealthy_edge_interval": "6s", "healthy_edge_interval": "7s",
                "no_traffic_interval": "8s", "no_traffic_healthy_interval": "9s",
                "initial_jitter": "3s", "interval_jitter": "4s", "interval_jitter_percent": 50, "reuse_connection": false, "always_log_health_check_failures": true, "tcp_health_check": {} }]
            """).HealthCheck!;
        Assert.Equal(Seconds(2, 5, 6, 7, 8, 9) with { InitialJitter = TimeSpan.FromSeconds(3), Jitter = TimeSpan.FromSeconds(4), JitterPercent = 50 },
            all.Intervals);
        Assert.Equal((false, true), (all.ReusesConnection, all.LogsFailures));
    }

    [Fact]
    public void What_has_no_effect_is_noted()
    {
        var cluster = Decode(
            $$"""  "health_checks": [{ {{Whole}}, "alt_port": 1, "event_logger": [{"name": "a"}], "event_service": {}, "always_log_health_check_success": true, "tcp_health_check": {} }] """);
        Assert.Equal(["health_checks.alt_port is ignored", "health_checks.event_logger is ignored", "health_checks.event_service is ignored",
            "health_checks.always_log_health_check_success is ignored"],
            cluster.Notes);
        var chosen = ClusterDecoder.Decode(
            WireTypes.Strict.Parse<Cluster>($$"""{"name": "a", "type": "ORIGINAL_DST", "health_checks": [{ {{Whole}}, "tcp_health_check": {} }]}"""));
        Assert.Null(chosen.HealthCheck);
        Assert.Equal("health_checks are ignored: callers choose the hosts of this cluster", Assert.Single(chosen.Notes));
    }

    [Theory]
    [InlineData("", "", true)]
    [InlineData("61", "xa", true)]
    [InlineData("61 62", "a--b", true)]
    [InlineData("62 61", "a--b", false)]
    [InlineData("61 61", "a", false)]
    public void Pieces_must_follow_one_another(string pieces, string bytes, bool found) =>
        Assert.Equal(found,
            new ByteSequence([.. pieces.Split(' ', StringSplitOptions.RemoveEmptyEntries)
                .Select(Convert.FromHexString)]).IsIn(System.Text.Encoding.ASCII.GetBytes(bytes)));

    private static HealthIntervals Seconds(params int[] all)
    {
        var times = all.Select(seconds => TimeSpan.FromSeconds(seconds)).ToArray();
        return new(times[0], times[1], times[2], times[3], times[4], times[5]);
    }

    private static ClusterSnapshot Decode(string fields) =>
        ClusterDecoder.Decode(WireTypes.Strict.Parse<Cluster>($$"""{"name": "a", "type": "STATIC", {{fields}} }"""));
}

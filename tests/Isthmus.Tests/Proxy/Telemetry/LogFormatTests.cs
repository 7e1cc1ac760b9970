using System.Net;
using System.Text.Json;
using Isthmus.Proxy.Http;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Telemetry;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Proxy.Telemetry;

public sealed class LogFormatTests
{
    [Fact]
    public void The_default_text_has_every_field_in_Istios_order()
    {
        var format = LogFormat.ParseText(
            "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% " +
            "%CONNECTION_TERMINATION_DETAILS% \"%UPSTREAM_TRANSPORT_FAILURE_REASON%\" %BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% " +
            "\"%REQ(X-FORWARDED-FOR)%\" \"%REQ(USER-AGENT)%\" \"%REQ(X-REQUEST-ID)%\" \"%REQ(:AUTHORITY)%\" \"%UPSTREAM_HOST%\" %UPSTREAM_CLUSTER% %UPSTREAM_LOCAL_ADDRESS% " +
            "%DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%\n");
        Assert.Equal(
            "[2026-11-20T10:00:00.123Z] \"GET /orders HTTP/1.1\" 503 UF,URX upstream_reset_before_response_started{connection_failure} - \"delayed_connect_error:_111\" 5 91 12 - " +
            "\"-\" \"curl/8\" \"-\" \"shop:80\" \"-\" outbound|80||shop - 10.96.0.1:80 10.1.0.2:4711 - default\n",
            format.Format(Record()));
    }

    [Fact]
    public void Numbers_stay_numbers_in_JSON_and_what_is_missing_is_null()
    {
        var fields = Google.Protobuf.WellKnownTypes.Struct.Parser.ParseJson("""{"code": "%RESPONSE_CODE%", "method": "%REQ(:METHOD)%", "up": "%UPSTREAM_HOST%", "both": "%PROTOCOL% \"x\""}""");
        Assert.Equal("""{"both":"HTTP/1.1 \u0022x\u0022","code":503,"method":"GET","up":null}""" + "\n", LogFormat.ParseJson(fields).Format(Record()));
    }

    [Fact]
    public void Text_in_JSON_is_escaped_whatever_a_client_sends()
    {
        var record = Record();
        record.Request!.Headers.Add("user-agent"u8, "\"quoted\" \\ é <&> \u2028"u8);
        record.Request.Headers.Add("broken"u8, [0xff, 0xfe, (byte)'x']);
        var fields = Google.Protobuf.WellKnownTypes.Struct.Parser.ParseJson("""{"a\"b": "%REQ(USER-AGENT)%", "broken": "is %REQ(BROKEN)%"}""");
        var line = JsonDocument.Parse(LogFormat.ParseJson(fields).Format(record)).RootElement;
        Assert.Equal("curl/8,\"quoted\" \\ é <&> \u2028", line.GetProperty("a\"b").GetString());
        Assert.Equal("is \ufffd\ufffdx", line.GetProperty("broken").GetString());
    }

    [Fact]
    public void A_line_creates_no_objects()
    {
        var record = Record();
        record.Host = null;
        var text = LogFormat.ParseText("[%START_TIME%] %START_TIME(%s.%3f)% %REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL% %RESPONSE_CODE% %DURATION% %REQ(USER-AGENT):3% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%\n");
        var json = LogFormat.ParseJson(Google.Protobuf.WellKnownTypes.Struct.Parser.ParseJson("""{"code": "%RESPONSE_CODE%", "agent": "%REQ(USER-AGENT)%", "both": "%PROTOCOL% %REQ(:PATH)%"}"""));
        using var line = new ByteWriter();
        Assert.Equal(0, Allocations.Least(() =>
        {
            line.Clear();
            text.Write(record, line);
            json.Write(record, line);
        }));
    }

    [Theory]
    [InlineData("%START_TIME(%s)%", "1795168800")]
    [InlineData("%START_TIME(%s.%3f)%", "1795168800.123")]
    [InlineData("%REQ(ACCEPT)%", "a,b")]
    [InlineData("%REQ(MISSING?ACCEPT):2%", "a,")]
    [InlineData("%REQ(:SCHEME)%", "http")]
    [InlineData("%DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT% %DOWNSTREAM_LOCAL_PORT%", "10.96.0.1 80")]
    [InlineData("%RESPONSE_DURATION%", "-")]
    [InlineData("100%% sure", "100% sure")]
    [InlineData("%REQ(USER-AGENT):3%", "cur")]
    [InlineData("%NEVER_HEARD_OF%", "-")]
    public void Operators_are_read_as_Envoy_reads_them(string format, string expected) => Assert.Equal(expected, LogFormat.ParseText(format).Format(Record()));

    [Fact]
    public void An_operator_without_end_is_refused() => Assert.Throws<ResourceException>(() => LogFormat.ParseText("%REQ(a"));

    private static TrafficRecord Record()
    {
        var request = new RequestHead { Method = "GET", Version = 11, Authority = "shop:80" };
        request.SetTarget("/orders"u8);
        request.Headers.Add("user-agent"u8, "curl/8"u8);
        request.Headers.Add("accept"u8, "a"u8);
        request.Headers.Add("accept"u8, "b"u8);
        return new()
        {
            Start = new DateTimeOffset(2026, 11, 20, 10, 0, 0, 123, TimeSpan.Zero), Duration = TimeSpan.FromMilliseconds(12.7), Request = request, Response = new ResponseHead(), Status = 503,
            Reason = EndReason.ConnectFailed, RetriesExhausted = true, Details = "upstream_reset_before_response_started{connection_failure}", TransportFailure = "delayed_connect_error:_111",
            BytesReceived = 5, BytesSent = 91, ClusterName = "outbound|80||shop", DownstreamLocal = IPEndPoint.Parse("10.96.0.1:80"), DownstreamRemote = IPEndPoint.Parse("10.1.0.2:4711"),
            RouteName = "default",
        };
    }
}

using System.Text;
using System.Text.Json;
using Isthmus.Proxy.Matching;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Telemetry;
using Isthmus.Rigs.Proxy;
using Isthmus.Testing;
using Isthmus.Wire.Logs;
using Xunit;

namespace Isthmus.Tests.Proxy.Telemetry;

public sealed class LogFormatTests
{
    [Fact]
    public void The_default_text_has_every_field_in_Istios_order()
    {
        var format = LogFormat.ParseText(
            "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% " +
            "%CONNECTION_TERMINATION_DETAILS% \"%UPSTREAM_TRANSPORT_FAILURE_REASON%\" %BYTES_RECEIVED% %BYTES_SENT% %DURATION% "
                + "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "
            +
            "\"%REQ(X-FORWARDED-FOR)%\" \"%REQ(USER-AGENT)%\" \"%REQ(X-REQUEST-ID)%\" \"%REQ(:AUTHORITY)%\" \"%UPSTREAM_HOST%\" %UPSTREAM_CLUSTER% "
                + "%UPSTREAM_LOCAL_ADDRESS% "
            +
            "%DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%\n");
        Assert.Equal(
            "[2026-11-20T10:00:00.123Z] \"GET /orders?a=b HTTP/1.1\" 503 UF,URX upstream_reset_before_response_started{connection_failure} - "
                + "\"delayed_connect_error:_111\" 5 91 12 - "
                +
            "\"-\" \"curl/8\" \"-\" \"shop:80\" \"-\" outbound|80||shop - 10.96.0.1:80 10.1.0.2:4711 - default\n",
            format.Format(SampleRecord.Make()));
    }

    [Fact]
    public void Numbers_stay_numbers_in_JSON_and_what_is_missing_is_null()
    {
        var fields = Google.Protobuf.WellKnownTypes.Struct.Parser.ParseJson(
            """{"code": "%RESPONSE_CODE%", "method": "%REQ(:METHOD)%", "up": "%UPSTREAM_HOST%", "both": "%PROTOCOL% \"x\""}""");
        Assert.Equal("""{"both":"HTTP/1.1 \u0022x\u0022","code":503,"method":"GET","up":null}""" + "\n",
            LogFormat.ParseJson(fields).Format(SampleRecord.Make()));
    }

    [Fact]
    public void What_is_missing_is_left_out_where_the_format_says_so()
    {
        var fields = Google.Protobuf.WellKnownTypes.Struct.Parser.ParseJson(
            """{"a": "%UPSTREAM_HOST%", "code": "%RESPONSE_CODE%", "none": "%REQ(NONE)%", "some": "to %REQ(NONE)%", "up": "%UPSTREAM_REMOTE_PORT%"}""");
        Assert.Equal("""{"code":503,"some":"to "}""" + "\n", LogFormat.ParseJson(fields, omitsEmpty: true).Format(SampleRecord.Make()));
        var text = LogFormat.ParseText("%REQ(:METHOD)%[%REQ(NONE)%]\n", omitsEmpty: true);
        Assert.Equal("GET[]\n", text.Format(SampleRecord.Make()));
        Assert.Equal("GET[]\n", Line(text, SampleRecord.Make()));
    }

    [Fact]
    public void Text_in_JSON_is_escaped_whatever_a_client_sends()
    {
        var record = SampleRecord.Make();
        record.Request!.Headers.Add("user-agent"u8, "\"quoted\" \\ é <&> \u2028"u8);
        record.Request.Headers.Add("broken"u8, [0xff, 0xfe, (byte)'x']);
        var fields = Google.Protobuf.WellKnownTypes.Struct.Parser.ParseJson("""{"a\"b": "%REQ(USER-AGENT)%", "broken": "is %REQ(BROKEN)%"}""");
        var line = JsonDocument.Parse(LogFormat.ParseJson(fields).Format(record)).RootElement;
        Assert.Equal("curl/8,\"quoted\" \\ é <&> \u2028", line.GetProperty("a\"b").GetString());
        Assert.Equal("is \ufffd\ufffdx", line.GetProperty("broken").GetString());
    }

    /// <summary>Whatever byte a client sends in whatever field: a line stays a line, and shows what is held of it.</summary>
    [Fact]
    public void Every_byte_of_a_client_stays_on_its_line()
    {
        for (var value = 0; value < 256; value++)
        {
            var record = SampleRecord.Make();
            byte[] sent = [(byte)'a', (byte)value, (byte)'z'];
            record.Request!.Headers.Add("x-sent"u8, sent);
            // What no field may hold has become a space before.
            var held = HeadRules.IsValue(sent) ? value : ' ';
            var isPrintable = held is >= 0x20 and < 0x7f;
            var shown = isPrintable ? $"a{(char)held}z" : $"a\\x{held:x2}z";
            Assert.Equal($"<{shown}> - 503\n", Line(LogFormat.ParseText("<%REQ(X-SENT)%> %REQ(NONE)% %RESPONSE_CODE%\n"), record));
            var json = Line(
                LogFormat.ParseJson(Google.Protobuf.WellKnownTypes.Struct.Parser.ParseJson("""{"alone": "%REQ(X-SENT)%", "in": "is %REQ(X-SENT)%"}""")),
                record);
            Assert.DoesNotContain(json[..^1], c => char.IsControl(c));
            var line = JsonDocument.Parse(json).RootElement;
            var read = held < 0x80 ? $"a{(char)held}z" : "a\ufffdz";
            Assert.Equal((read, $"is {read}"), (line.GetProperty("alone").GetString(), line.GetProperty("in").GetString()));
        }
    }

    [Theory]
    [InlineData("caf\u00e9 \u4f60\u597d \ud83d\ude00", "caf\u00e9 \u4f60\u597d \ud83d\ude00")]
    [InlineData("\u0085\u009b31m", "\\xc2\\x85\\xc2\\x9b31m")] // CSI in one byte of ISO 8859-1
    [InlineData("\r\nX: y\u007f\u0000", "\\x0d\\x0aX: y\\x7f\\x00")]
    public void Names_that_a_client_chooses_stay_on_the_line(string name, string shown)
    {
        var record = SampleRecord.Make();
        (record.ServerName, record.RouteName, record.TransportFailure) = (name, name, name);
        record.DownstreamPeer = new([$"spiffe://a/{name}"], [name], $"CN={name}", "ab", "", name, "");
        Assert.Equal($"{shown} {shown} {shown} spiffe://a/{shown} {shown} CN={shown}", Line(LogFormat.ParseText(
            "%REQUESTED_SERVER_NAME% %ROUTE_NAME% %UPSTREAM_TRANSPORT_FAILURE_REASON% %DOWNSTREAM_PEER_URI_SAN% %DOWNSTREAM_PEER_DNS_SAN% "
                + "%DOWNSTREAM_PEER_SUBJECT%"),
            record));
    }

    [Theory]
    [InlineData(1, "a")]
    [InlineData(2, "a")]
    [InlineData(3, "a\u00e9")]
    [InlineData(4, "a\u00e9")]
    [InlineData(7, "a\u00e9\ud83d\ude00")]
    public void A_cut_leaves_no_half_of_a_character(int bytes, string shown)
    {
        var record = SampleRecord.Make();
        record.ServerName = "a\u00e9\ud83d\ude00b";
        Assert.Equal(shown, Line(LogFormat.ParseText($"%REQUESTED_SERVER_NAME:{bytes}%"), record));
    }

    /// <summary>Of a client that sends none, of a record without a request, a host or an answer.</summary>
    [Fact]
    public void What_a_record_does_not_have_is_a_dash_or_null()
    {
        var bare = new TrafficRecord();
        var names = LogFormatText.Names.Where(name => name is not ("HOSTNAME" or "START_TIME" or "EMIT_TIME" or "RESPONSE_FLAGS" or "RESPONSE_FLAGS_LONG")
            && !LogValues.IsNumber(name));
        foreach (var name in names)
        {
            var argument = name switch
            {
                "REQ" or "RESP" or "TRAILER" or "REQ_WITHOUT_QUERY" => "(a)",
                "DYNAMIC_METADATA" => "(a:b)",
                "CEL" => "(connection.requested_server_name)",
                "ENVIRONMENT" => "(NOT_SET_ANYWHERE)",
                _ => ""
            };
            if (name == "CEL") continue; // an empty text is a value
            Assert.Equal("-", Line(LogFormat.ParseText($"%{name}{argument}%"), bare));
            var fields = new Google.Protobuf.WellKnownTypes.Struct
            {
                Fields = { ["v"] = Google.Protobuf.WellKnownTypes.Value.ForString($"%{name}{argument}%") }
            };
            Assert.Equal("{\"v\":null}\n", Line(LogFormat.ParseJson(fields), bare));
        }
    }

    private static string Line(LogFormat format, TrafficRecord record)
    {
        using var line = new ByteWriter();
        format.Write(record, line);
        return Encoding.UTF8.GetString(line.Written.Span);
    }

    [Fact]
    public void A_line_creates_no_objects()
    {
        var record = SampleRecord.Make();
        record.Host = null;
        var text = LogFormat.ParseText(
            "[%START_TIME%] %START_TIME(%s.%3f)% %REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL% %RESPONSE_CODE% %DURATION% %REQ(USER-AGENT):3% "
                + "%DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%\n");
        var json = LogFormat.ParseJson(
            Google.Protobuf.WellKnownTypes.Struct.Parser.ParseJson(
                """{"code": "%RESPONSE_CODE%", "agent": "%REQ(USER-AGENT)%", "both": "%PROTOCOL% %REQ(:PATH)%"}"""));
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
    [InlineData("%REQ(:SCHEME)%", "https")]
    [InlineData("%DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT% %DOWNSTREAM_LOCAL_PORT%", "10.96.0.1 80")]
    [InlineData("%RESPONSE_DURATION%", "-")]
    [InlineData("100%% sure", "100% sure")]
    [InlineData("%REQ(USER-AGENT):3%", "cur")]
    [InlineData("%START_TIME(%Y/%m/%d %H:%M:%S %z)%", "2026/11/20 10:00:00 +0000")]
    [InlineData("%START_TIME(%a, %d %b %Y %T %Z)%", "Fri, 20 Nov 2026 10:00:00 UTC")]
    [InlineData("%START_TIME(%A %e %B, day %j, %I %p, %D %R%%)%", "Friday 20 November, day 324, 10 AM, 11/20/26 10:00%")]
    [InlineData("%START_TIME(%f)% %START_TIME(%1f)% %START_TIME(%6f)%", "123000000 1 123000")]
    [InlineData("%EMIT_TIME(%s.%3f)%", "1795168800.135")]
    [InlineData("%RESPONSE_FLAGS_LONG%", "UpstreamConnectionFailure,UpstreamRetryLimitExceeded")]
    [InlineData("%GRPC_STATUS% %GRPC_STATUS(SNAKE_STRING)% %GRPC_STATUS(NUMBER)% %GRPC_STATUS_NUMBER%", "DeadlineExceeded DEADLINE_EXCEEDED 4 4")]
    [InlineData("%TRAILER(GRPC-MESSAGE)% %TRAILER(NONE?GRPC-STATUS)%", "too late 4")]
    [InlineData("%REQ_WITHOUT_QUERY(X-ENVOY-ORIGINAL-PATH?:PATH)% %REQ(:PATH)%", "/orders /orders?a=b")]
    [InlineData("%UPSTREAM_CLUSTER_RAW% %UPSTREAM_REMOTE_PORT% %DOWNSTREAM_REMOTE_PORT%", "outbound|80||shop - 4711")]
    [InlineData("%DOWNSTREAM_PEER_URI_SAN% %DOWNSTREAM_PEER_DNS_SAN% %DOWNSTREAM_PEER_FINGERPRINT_256%", "spiffe://a/1,spiffe://a/2 a.example ab12")]
    [InlineData("%ENVIRONMENT(NOT_SET_ANYWHERE)%", "-")]
    [InlineData("%CEL(request.headers['accept'] + string(response.code))% %CEL(response.headers['none'])%", "a,b503 -")]
    public void Operators_are_read_as_Envoy_reads_them(string format, string expected) =>
        Assert.Equal(expected, LogFormat.ParseText(format).Format(SampleRecord.Make()));

    [Theory]
    [InlineData("%REQ(a", "access log format: the '%' at 0 begins an operator that has no end")]
    [InlineData("%NEVER_HEARD_OF%", "access log format: %NEVER_HEARD_OF% is not supported")]
    [InlineData("%RESPONSE_CODES%", "access log format: %RESPONSE_CODES% is not supported (did you mean %RESPONSE_CODE%?)")]
    [InlineData("%REQ()%", "access log format: %REQ()%: needs the name of a header, or NAME?OTHER")]
    [InlineData("%REQ(a):x%", "access log format: %REQ(a):x%: ':x' is not a length like :20")]
    [InlineData("%DURATION(ms)%", "access log format: %DURATION(ms)%: the operator takes no argument")]
    [InlineData("%START_TIME(%Q)%", "access log format: %START_TIME(%Q)%: %Q is not a conversion of times that is supported")]
    [InlineData("%GRPC_STATUS(LOUD)%", "access log format: %GRPC_STATUS(LOUD)%: must be CAMEL_STRING, SNAKE_STRING or NUMBER")]
    [InlineData("%CEL(response.cod)%", "access log format: %CEL(response.cod)%: the attribute response.cod (did you mean response.code?) is not supported")]
    public void What_cannot_be_written_is_refused(string format, string message) =>
        Assert.Equal(message, Assert.Throws<ResourceException>(() => LogFormat.ParseText(format)).Message);

    [Fact]
    public void Every_operator_that_is_accepted_is_written()
    {
        foreach (var name in LogFormatText.Names)
        {
            var argument = name switch
            {
                "REQ" or "RESP" or "TRAILER" or "REQ_WITHOUT_QUERY" => "(a)",
                "DYNAMIC_METADATA" => "(a:b)",
                "CEL" => "(response.code)",
                "ENVIRONMENT" => "(A)",
                _ => ""
            };
            Assert.NotEqual("", LogFormat.ParseText($"%{name}{argument}%").Format(SampleRecord.Make()));
        }
    }
}

using Isthmus.Proxy.Matching;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Telemetry;
using Isthmus.Rigs.Proxy;
using Isthmus.Testing;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.AccessLoggers;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;

namespace Isthmus.Tests.Effects.Telemetry;

/// <summary>Access logs, from Istio's objects to their lines.</summary>
public sealed class AccessLogTests
{
    private const string Settings =
        "extensionProviders: [{name: lines, envoyFileAccessLog: {path: lines, logFormat: {text: 'line %RESPONSE_CODE% %REQ(:PATH)%'}}}]";

    [Fact]
    public async Task A_Telemetry_selects_what_is_logged()
    {
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync("ok"));
        using var gateway = new GuardedGateway(Settings,
            Telemetry("providers: [{name: lines}], filter: {expression: \"response.code == 418 || request.url_path == '/wanted'\"}"), origin.Port, origin.Port);
        await gateway.CallAsync("/unwanted");
        await gateway.CallAsync("/wanted?a");
        await gateway.CallAsync("/blocked", "x-way: blocked");
        foreach (var line in (string[])["line 418 /blocked\n", "line 200 /wanted?a\n"]) await gateway.LoggedAsync(line);
        gateway.Apply(Telemetry("disabled: true"));
        await gateway.CallAsync("/wanted?b");
        gateway.Apply(Telemetry("providers: [{name: lines}]"));
        await gateway.CallAsync("/last");
        await gateway.LoggedAsync("/last");
        Assert.Equal(["line 200 /last", "line 200 /wanted?a", "line 418 /blocked"],
            gateway.Log.Split('\n', StringSplitOptions.RemoveEmptyEntries).Order(StringComparer.Ordinal));
    }

    /// <summary>Filters as other control planes send them.</summary>
    [Theory]
    [InlineData(
        """
        {"extension_filter": {"name": "envoy.access_loggers.extension_filters.cel",
          "typed_config": {"@type": "type.googleapis.com/envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter",
           "expression": "response.code >= 400"}}}
        """,
        true)]
    [InlineData(
        """
        {"and_filter": {"filters": [{"response_flag_filter": {"flags": ["UF"]}},
           {"extension_filter": {"name": "cel", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter",
              "expression": "request.method == 'GET'"}}}]}}
        """,
        true)]
    [InlineData(
        """{"or_filter": {"filters": [{"response_flag_filter": {"flags": ["NR"]}}, {"status_code_filter": {"comparison": {"op": "LE", "value": {"default_value": 502, "runtime_key": "a"}}}}]}}""",
        false)]
    [InlineData("""{"status_code_filter": {"comparison": {"op": "EQ", "value": {"default_value": 503, "runtime_key": "a"}}}}""", true)]
    [InlineData("""{"duration_filter": {"comparison": {"op": "GE", "value": {"default_value": 12, "runtime_key": "a"}}}}""", true)]
    [InlineData("""{"duration_filter": {"comparison": {"op": "GE", "value": {"default_value": 13, "runtime_key": "a"}}}}""", false)]
    [InlineData("""{"response_flag_filter": {}}""", true)]
    [InlineData("""{"header_filter": {"header": {"name": "user-agent", "string_match": {"prefix": "curl"}}}}""", true)]
    [InlineData("""{"header_filter": {"header": {"name": ":scheme", "string_match": {"exact": "http"}}}}""", false)]
    [InlineData("""{"not_health_check_filter": {}}""", true)]
    public void Filters_select_what_is_logged(string filter, bool expected)
    {
        var log = Assert.Single(AccessLogDecoder.Decode([File(filter)], []));
        Assert.Equal(expected, log.Filter!(SampleRecord.Make()));
    }

    [Theory]
    [InlineData(
        """{"extension_filter": {"name": "cel", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter", "expression": "response.cod > 1"}}}""",
        "response.cod")]
    [InlineData("""{"runtime_filter": {"runtime_key": "a"}}""", "RuntimeFilter is not supported")]
    public void A_filter_that_cannot_be_evaluated_is_refused(string filter, string why) =>
        Assert.Contains(why, Assert.Throws<ResourceException>(() => AccessLogDecoder.Decode([File(filter)], [])).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("stream.v3.StdoutAccessLog", "/dev/stdout")]
    [InlineData("stream.v3.StderrAccessLog", "/dev/stderr")]
    public void The_standard_streams_are_files(string type, string path)
    {
        var log = WireTypes.Strict.Parse<AccessLog>(
            $$"""{"name": "s", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.access_loggers.{{type}}", "log_format": {"text_format_source": {"inline_string": "%PROTOCOL%"} } } }""");
        var decoded = Assert.IsType<FileLog>(Assert.Single(AccessLogDecoder.Decode([log], [])));
        Assert.Equal((path, "HTTP/1.1"), (decoded.Path, decoded.Format.Format(SampleRecord.Make())));
    }

    private static AccessLog File(string filter) => WireTypes.Strict.Parse<AccessLog>($$"""
        {"name": "f", "filter": {{filter}}, "typed_config": {"@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog", "path": "log"} }
        """);

    private static string Telemetry(string rule) => $$"""
        apiVersion: telemetry.istio.io/v1
        kind: Telemetry
        metadata: {name: logs, namespace: shop}
        spec: {accessLogging: [{ {{rule}} }]}
        """;
}

using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Mesh.Config;
using Xunit;

namespace Isthmus.Tests.Libraries.Admission;

/// <summary>Names and values of header fields, paths and names of MeshConfig that would end a field of a request, a line of a log, or write to a terminal: each
/// is an error with its path, so that the last good settings stay.</summary>
public sealed class MeshConfigCharacterTests
{
    private const string Service = "service: a.example, port: 80";

    /// <summary>BAD is the text that is tried.</summary>
    public static TheoryData<string, string> Fields => new()
    {
        {
            "extensionProviders[0].envoyExtAuthzHttp.includeRequestHeadersInCheck[0]",
            Provider($"envoyExtAuthzHttp: {{{Service}, includeRequestHeadersInCheck: [BAD]}}")
        },
        { "extensionProviders[0].envoyExtAuthzHttp.includeHeadersInCheck[0]", Provider($"envoyExtAuthzHttp: {{{Service}, includeHeadersInCheck: [BAD]}}") },
        {
            "extensionProviders[0].envoyExtAuthzHttp.includeAdditionalHeadersInCheck",
            Provider($"envoyExtAuthzHttp: {{{Service}, includeAdditionalHeadersInCheck: {{BAD: a}}}}")
        },
        {
            "extensionProviders[0].envoyExtAuthzHttp.includeAdditionalHeadersInCheck[a]",
            Provider($"envoyExtAuthzHttp: {{{Service}, includeAdditionalHeadersInCheck: {{a: BAD}}}}")
        },
        {
            "extensionProviders[0].envoyExtAuthzHttp.headersToUpstreamOnAllow[1]",
            Provider($"envoyExtAuthzHttp: {{{Service}, headersToUpstreamOnAllow: [a, BAD]}}")
        },
        {
            "extensionProviders[0].envoyExtAuthzHttp.headersToDownstreamOnDeny[0]",
            Provider($"envoyExtAuthzHttp: {{{Service}, headersToDownstreamOnDeny: [BAD]}}")
        },
        {
            "extensionProviders[0].envoyExtAuthzHttp.headersToDownstreamOnAllow[0]",
            Provider($"envoyExtAuthzHttp: {{{Service}, headersToDownstreamOnAllow: [BAD]}}")
        },
        { "extensionProviders[0].envoyExtAuthzHttp.pathPrefix", Provider($"envoyExtAuthzHttp: {{{Service}, pathPrefix: BAD}}") },
        { "extensionProviders[0].envoyExtAuthzHttp.service", Provider("envoyExtAuthzHttp: {service: BAD, port: 80}") },
        { "extensionProviders[0].envoyExtAuthzGrpc.service", Provider("envoyExtAuthzGrpc: {service: BAD, port: 80}") },
        { "extensionProviders[0].zipkin.headers[0].name", Provider($"zipkin: {{{Service}, headers: [{{name: BAD, value: a}}]}}") },
        { "extensionProviders[0].zipkin.headers[0].value", Provider($"zipkin: {{{Service}, headers: [{{name: a, value: BAD}}]}}") },
        { "extensionProviders[0].zipkin.path", Provider($"zipkin: {{{Service}, path: BAD}}") },
        {
            "extensionProviders[0].opentelemetry.http.headers[0].name",
            Provider($"opentelemetry: {{{Service}, http: {{path: /a, headers: [{{name: BAD, value: a}}]}}}}")
        },
        {
            "extensionProviders[0].opentelemetry.http.headers[0].value",
            Provider($"opentelemetry: {{{Service}, http: {{path: /a, headers: [{{name: a, value: BAD}}]}}}}")
        },
        { "extensionProviders[0].opentelemetry.http.path", Provider($"opentelemetry: {{{Service}, http: {{path: BAD}}}}") },
        {
            "extensionProviders[0].opentelemetry.grpc.initialMetadata[0].name",
            Provider($"opentelemetry: {{{Service}, grpc: {{initialMetadata: [{{name: BAD, value: a}}]}}}}")
        },
        {
            "extensionProviders[0].opentelemetry.grpc.initialMetadata[0].value",
            Provider($"opentelemetry: {{{Service}, grpc: {{initialMetadata: [{{name: a, value: BAD}}]}}}}")
        },
        {
            "extensionProviders[0].envoyHttpAls.additionalRequestHeadersToLog[0]",
            Provider($"envoyHttpAls: {{{Service}, additionalRequestHeadersToLog: [BAD]}}")
        },
        {
            "extensionProviders[0].envoyHttpAls.additionalResponseHeadersToLog[0]",
            Provider($"envoyHttpAls: {{{Service}, additionalResponseHeadersToLog: [BAD]}}")
        },
        {
            "extensionProviders[0].envoyHttpAls.additionalResponseTrailersToLog[0]",
            Provider($"envoyHttpAls: {{{Service}, additionalResponseTrailersToLog: [BAD]}}")
        },
        { "extensionProviders[0].envoyHttpAls.logName", Provider($"envoyHttpAls: {{{Service}, logName: BAD}}") },
        { "extensionProviders[0].envoyOtelAls.logName", Provider($"envoyOtelAls: {{{Service}, logName: BAD}}") },
        { "extensionProviders[0].envoyFileAccessLog.path", Provider("envoyFileAccessLog: {path: BAD}") },
        { "extensionProviders[0].name", "extensionProviders: [{name: BAD, prometheus: {}}]" },
        { "accessLogFile", "accessLogFile: BAD" },
        { "defaultConfig.tracing.customTags[a].header.name", "defaultConfig: {tracing: {zipkin: {address: 'a:1'}, customTags: {a: {header: {name: BAD}}}}}" },
        {
            "defaultConfig.tracing.customTags.a.header.defaultValue",
            "defaultConfig: {tracing: {zipkin: {address: 'a:1'}, customTags: {a: {header: {name: b, defaultValue: BAD}}}}}"
        },
        {
            "defaultConfig.tracing.customTags.a.environment.name",
            "defaultConfig: {tracing: {zipkin: {address: 'a:1'}, customTags: {a: {environment: {name: BAD}}}}}"
        },
        { "defaultConfig.tracing.customTags", "defaultConfig: {tracing: {zipkin: {address: 'a:1'}, customTags: {BAD: {literal: {value: a}}}}}" },
        { "defaultConfig.proxyHeaders.server.value", "defaultConfig: {proxyHeaders: {server: {value: BAD}}}" },
        { "defaultConfig.meshId", "defaultConfig: {meshId: BAD}" },
        { "trustDomain", "trustDomain: BAD" },
        { "defaultHttpRetryPolicy.retryOn", "defaultHttpRetryPolicy: {attempts: 2, retryOn: BAD}" },
        { "ingressService", "ingressService: BAD" },
    };

    [Theory]
    [MemberData(nameof(Fields))]
    public void A_control_character_is_an_error_with_its_path(string path, string config)
    {
        foreach (var bad in (string[])["a\r\nx-forged: yes", "a\nb", "a\0", "/a\e[2J", "a\x7f"])
        {
            var document = config.Replace("BAD", JsonValue.Create(bad).ToJsonString(), StringComparison.Ordinal);
            var problems = MeshConfigReader.ReadMesh(YamlText.Parse(document, "test")).Problems.Where(problem => problem.Severity == Severity.Error).ToList();
            Assert.Contains(problems, problem => problem.Path.StartsWith(path, StringComparison.Ordinal));
            Assert.All(problems, problem => Assert.True(Visible.IsWhole(problem.ToString()), problem.ToString()));
        }
    }

    /// <summary>Formats of logs end in a line break, and what goes to the environment of the proxy may be a certificate.</summary>
    [Fact]
    public void Texts_of_several_lines_stay()
    {
        var config = YamlText.Parse("""
            accessLogFormat: "%RESPONSE_CODE%\n"
            extensionProviders: [{name: a, envoyFileAccessLog: {path: /dev/stdout, logFormat: {text: "a\nb\n"}}}]
            defaultConfig: {proxyMetadata: {A: "b\nc"}, tracing: {zipkin: {address: 'a:1'}, customTags: {a: {literal: {value: "b\nc"}}}}}
            """, "test");
        Assert.DoesNotContain(MeshConfigReader.ReadMesh(config).Problems, problem => problem.Severity == Severity.Error);
    }

    [Fact]
    public void Names_of_networks_and_the_annotation_of_a_Pod_are_checked_too()
    {
        Assert.Contains(
            MeshConfigReader.ReadNetworks(YamlText.Parse("""networks: {"a\nb": {endpoints: [{fromRegistry: c}], gateways: [{address: 192.0.2.1, port: 1}]}}""",
            "test")).Problems,
            problem => problem.Message.Contains("control character", StringComparison.Ordinal));
        Assert.Contains(MeshConfigReader.CheckProxyConfig((JsonObject)YamlText.Parse("""{meshId: "a\nb"}""", "test")!, "Pod"),
            problem => problem.Path == "meshId" && problem.Severity == Severity.Error);
    }

    [Fact]
    public void The_fields_take_what_is_right()
    {
        foreach (var row in Fields)
        {
            var (path, config) = row.Data;
            var good = path.EndsWith("athPrefix", StringComparison.Ordinal) || path.EndsWith(".path", StringComparison.Ordinal) || path == "accessLogFile"
                ? "/a-b"
                : path.EndsWith("retryOn", StringComparison.Ordinal) ? "reset" : "a-b";
            Assert.DoesNotContain(MeshConfigReader.ReadMesh(YamlText.Parse(config.Replace("BAD", good, StringComparison.Ordinal), "test")).Problems,
                problem => problem.Severity == Severity.Error);
        }
    }

    private static string Provider(string of) => $"extensionProviders: [{{name: a, {of}}}]";
}

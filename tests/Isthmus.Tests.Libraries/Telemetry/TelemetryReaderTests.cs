using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Mesh.Config;
using Xunit;

namespace Isthmus.Tests.Libraries.Telemetry;

/// <summary>What the answer to wrong settings of traces is.</summary>
public sealed class TelemetryReaderTests
{
    [Theory]
    [InlineData("tracing: [{randomSamplingPercentage: 101}]", "spec.tracing[0].randomSamplingPercentage", "101 must be in the range 0..100")]
    [InlineData("tracing: [{providers: [{name: ''}]}]", "spec.tracing[0].providers[0].name",
        "must be the name of a provider in extensionProviders of MeshConfig")]
    [InlineData("accessLogging: [{providers: [{name: ''}]}]", "spec.accessLogging[0].providers[0].name",
        "must be the name of a provider in extensionProviders of MeshConfig")]
    [InlineData("accessLogging: [{filter: {expression: response.code >=}}]", "spec.accessLogging[0].filter.expression",
        "\"response.code >=\" cannot select what is logged: 1:17: Syntax error: mismatched input '<EOF>'")]
    [InlineData("accessLogging: [{filter: {expression: response.cod == 200}}]", "spec.accessLogging[0].filter.expression",
        "\"response.cod == 200\" cannot select what is logged: the attribute response.cod (did you mean response.code?) is not supported")]
    [InlineData("accessLogging: [{filter: {expression: response.code}}]", "spec.accessLogging[0].filter.expression",
        "\"response.code\" cannot select what is logged: an expression that is neither true nor false is not supported")]
    [InlineData("accessLogging: [{match: {mode: BOTH}}]", "spec.accessLogging[0].match.mode", "unsupported value \"BOTH\"")]
    [InlineData("metrics: [{overrides: [{match: {metric: REQUESTS}}]}]", "spec.metrics[0].overrides[0].match.metric", "unsupported value \"REQUESTS\"")]
    [InlineData("metrics: [{overrides: [{match: {metric: REQUEST_COUNT, customMetric: a}}]}]", "spec.metrics[0].overrides[0].match",
        "only one of metric and customMetric may be set")]
    [InlineData("metrics: [{overrides: [{tagOverrides: {a: {value: request.hosts}}}]}]", "spec.metrics[0].overrides[0].tagOverrides[a].value",
        "\"request.hosts\" cannot be the value of a tag: the attribute request.hosts (did you mean request.host?) is not supported")]
    [InlineData("metrics: [{overrides: [{tagOverrides: {a: {}}}]}]", "spec.metrics[0].overrides[0].tagOverrides[a].value", "must be a CEL expression")]
    [InlineData("metrics: [{overrides: [{tagOverrides: {a: {operation: REMOVE, value: b}}}]}]", "spec.metrics[0].overrides[0].tagOverrides[a].value",
        "must be empty when the operation is REMOVE")]
    [InlineData("metrics: [{overrides: [{tagOverrides: {1a: {value: request.host}}}]}]", "spec.metrics[0].overrides[0].tagOverrides[1a]",
        "\"1a\" is not the name of a label")]
    [InlineData("metrics: [{reportingInterval: soon}]", "spec.metrics[0].reportingInterval", "\"soon\" is not a duration")]
    [InlineData("metrics: [{reportingInterval: -1s}]", "spec.metrics[0].reportingInterval", "must not be negative")]
    [InlineData("tracing: [{match: {mode: BOTH}}]", "spec.tracing[0].match.mode", "unsupported value \"BOTH\"")]
    [InlineData("tracing: [{customTags: {a: {}}}]", "spec.tracing[0].customTags[a]", "needs one of literal, header, environment and formatter")]
    [InlineData("tracing: [{customTags: {a: {literal: {value: b}, header: {name: c}}}}]", "spec.tracing[0].customTags[a]",
        "needs one of literal, header, environment and formatter")]
    [InlineData("tracing: [{customTags: {a: {formatter: {value: '%NOPE%'}}}}]", "spec.tracing[0].customTags[a].formatter.value",
        "\"%NOPE%\" is not a format of access logs")]
    [InlineData("tracing: [{customTags: {a: {formatter: {}}}}]", "spec.tracing[0].customTags[a].formatter.value", "must not be empty")]
    [InlineData("tracing: [{customTags: {a: {literal: {value: ''}}}}]", "spec.tracing[0].customTags[a].literal.value", "must not be empty")]
    [InlineData("tracing: [{customTags: {a: {header: {name: a b}}}}]", "spec.tracing[0].customTags[a].header.name", "\"a b\" is not the name of a header")]
    [InlineData("tracing: [{customTags: {a: {environment: {}}}}]", "spec.tracing[0].customTags[a].environment.name",
        "must be the name of an environment variable")]
    [InlineData("targetRef: {kind: Gateway, name: a}", "spec.targetRef.group", "\"\" has no kind Gateway that can be a target")]
    public void A_wrong_Telemetry_is_refused(string spec, string path, string message)
    {
        var problem = Assert.Single(Check(spec), problem => problem.Severity == Severity.Error);
        Assert.Equal(path, problem.Path);
        Assert.StartsWith(message, problem.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("metrics: [{reportingInterval: 1500ms}]", "spec.metrics[0].reportingInterval", "counts as the next whole second")]
    [InlineData("metrics: [{overrides: [{match: {customMetric: mine}, disabled: true}]}]", "spec.metrics[0].overrides[0].match.customMetric",
        "has no effect: proxies have only Istio's standard metrics")]
    [InlineData("tracing: [{providers: [{name: a}, {name: b}]}]", "spec.tracing[0].providers", "only the first provider is used")]
    public void What_has_no_effect_is_warned_of(string spec, string path, string message)
    {
        var problem = Assert.Single(Check(spec));
        Assert.Equal((Severity.Warning, path, message), (problem.Severity, problem.Path, problem.Message));
    }

    [Theory]
    [InlineData("extensionProviders: [{name: a, zipkin: {service: 'a b', port: 9411}}]", "extensionProviders[0].zipkin.service", Severity.Error)]
    [InlineData("extensionProviders: [{name: a, zipkin: {service: a.b}}]", "extensionProviders[0].zipkin.port", Severity.Error)]
    [InlineData("extensionProviders: [{name: a, zipkin: {service: a.b, port: 1, path: spans}}]", "extensionProviders[0].zipkin.path", Severity.Error)]
    [InlineData("extensionProviders: [{name: a, opentelemetry: {service: a.b, port: 1, http: {}}}]", "extensionProviders[0].opentelemetry.http.path",
        Severity.Error)]
    [InlineData("extensionProviders: [{name: a, opentelemetry: {service: a.b, port: 1, http: {path: /a}, grpc: {timeout: 1s}}}]",
        "extensionProviders[0].opentelemetry", Severity.Error)]
    [InlineData("extensionProviders: [{name: a, opentelemetry: {service: a.b, port: 1, grpc: {initialMetadata: [{name: 'a b'}]}}}]",
        "extensionProviders[0].opentelemetry.grpc.initialMetadata[0].name", Severity.Error)]
    [InlineData("extensionProviders: [{name: a, zipkin: {service: a.b, port: 1}, opentelemetry: {service: a.b, port: 1}}]", "extensionProviders[0]",
        Severity.Error)]
    [InlineData("defaultConfig: {tracing: {zipkin: {address: zipkin}}}", "defaultConfig.tracing.zipkin.address", Severity.Error)]
    [InlineData("defaultConfig: {tracing: {sampling: -1}}", "defaultConfig.tracing.sampling", Severity.Error)]
    [InlineData("extensionProviders: [{name: a, envoyFileAccessLog: {logFormat: {text: a, labels: {b: c}}}}]",
        "extensionProviders[0].envoyFileAccessLog.logFormat", Severity.Error)]
    [InlineData("extensionProviders: [{name: a, envoyFileAccessLog: {logFormat: {text: '%RESPONSE_CODES%'}}}]",
        "extensionProviders[0].envoyFileAccessLog.logFormat.text", Severity.Error)]
    [InlineData("extensionProviders: [{name: a, envoyFileAccessLog: {logFormat: {labels: {b: {c: '%REQ()%'}}}}}]",
        "extensionProviders[0].envoyFileAccessLog.logFormat.labels[b][c]", Severity.Error)]
    [InlineData("extensionProviders: [{name: a, envoyOtelAls: {service: a.b, port: 1, logFormat: {labels: {b: '%DURATIONS%'}}}}]",
        "extensionProviders[0].envoyOtelAls.logFormat.labels[b]", Severity.Error)]
    [InlineData("extensionProviders: [{name: a, envoyHttpAls: {service: a.b}}]", "extensionProviders[0].envoyHttpAls.port", Severity.Error)]
    [InlineData("extensionProviders: [{name: a, envoyTcpAls: {service: '-', port: 1}}]", "extensionProviders[0].envoyTcpAls.service", Severity.Error)]
    [InlineData("extensionProviders: [{name: a, envoyHttpAls: {service: a.b, port: 1, additionalRequestHeadersToLog: ['a b']}}]",
        "extensionProviders[0].envoyHttpAls.additionalRequestHeadersToLog[0]", Severity.Error)]
    [InlineData("extensionProviders: [{name: a, envoyTcpAls: {service: a.b, port: 1, filterStateObjectsToLog: [a]}}]",
        "extensionProviders[0].envoyTcpAls.filterStateObjectsToLog", Severity.Warning)]
    [InlineData("extensionProviders: [{name: a, envoyOtelAls: {service: a.b}}]", "extensionProviders[0].envoyOtelAls.port", Severity.Error)]
    [InlineData("accessLogFormat: '%DURATIONS%'", "accessLogFormat", Severity.Error)]
    [InlineData("{accessLogEncoding: JSON, accessLogFormat: '%DURATION%'}", "accessLogFormat", Severity.Error)]
    [InlineData("{accessLogEncoding: JSON, accessLogFormat: '{\"a\": \"%DURATION%\", \"a\": \"\"}'}", "accessLogFormat", Severity.Error)]
    [InlineData("{accessLogEncoding: JSON, accessLogFormat: '{\"a\": [\"%DURATIONS%\"]}'}", "accessLogFormat[a][0]", Severity.Error)]
    [InlineData("extensionProviders: [{name: a, envoyFileAccessLog: {file: a}}]", "extensionProviders[0].envoyFileAccessLog.file", Severity.Error)]
    [InlineData("defaultProviders: {metrics: [nowhere]}", "defaultProviders.metrics[0]", Severity.Warning)]
    [InlineData("defaultProviders: {accessLogging: [nowhere]}", "defaultProviders.accessLogging[0]", Severity.Warning)]
    [InlineData("defaultProviders: {tracing: [nowhere]}", "defaultProviders.tracing[0]", Severity.Warning)]
    public void Wrong_settings_of_the_mesh_are_named(string mesh, string path, Severity severity)
    {
        var problem = Assert.Single(MeshConfigReader.ReadMesh(YamlText.Parse(mesh, "mesh")).Problems);
        Assert.Equal((path, severity), (problem.Path, problem.Severity));
    }

    private static IReadOnlyList<Problem> Check(string spec) => Validation.Check(new JsonObject
    {
        ["apiVersion"] = "telemetry.istio.io/v1", ["kind"] = "Telemetry", ["metadata"] = new JsonObject { ["name"] = "a", ["namespace"] = "shop" },
        ["spec"] = YamlText.Parse(spec, "spec"),
    });
}

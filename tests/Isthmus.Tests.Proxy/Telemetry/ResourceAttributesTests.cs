using Isthmus.Core.Collections;
using Isthmus.Proxy.Http;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Telemetry;
using Isthmus.Wire.Envoy.NetworkFilters;
using Isthmus.Wire.Envoy.Trace;
using Isthmus.Wire.OpenTelemetry;
using Google.Protobuf.WellKnownTypes;
using Xunit;

namespace Isthmus.Tests.Proxy.Telemetry;

/// <summary>What reports to OpenTelemetry collectors say of the workload.</summary>
public sealed class ResourceAttributesTests
{
    [Theory]
    [InlineData("service.name=web,service.version=1.2%40sha256%3Aab, team = blue%2Cgreen ", null, "web", "service.version=1.2@sha256:ab;team=blue,green")]
    [InlineData("service.name=web,a=1,a=2", "own", "own", "a=2")]
    [InlineData("a=b=c,empty=", null, "", "a=b=c;empty=")]
    [InlineData("a=1,broken", "own", "own", "")]
    [InlineData("a=1,=2", null, "", "")]
    [InlineData(null, null, "", "")]
    public void The_variables_of_the_specification_are_read_whole_or_not_at_all(string? attributes, string? name, string service, string others)
    {
        var read = ResourceAttributes.Read(variable => variable == "OTEL_SERVICE_NAME" ? name : attributes);
        Assert.Equal((service, others), (read.Service, string.Join(';', read.Others.Select(pair => $"{pair.Key}={pair.Value}"))));
    }

    [Fact]
    public void Spans_of_one_workload_share_a_resource_with_its_attributes()
    {
        var collector = new Collector(ReportFormat.OtlpHttp, "c", "c", "/v1/traces", TimeSpan.FromSeconds(1), ValueMap<string>.Empty);
        var resource = ResourceAttributes.Read(variable => variable == "OTEL_RESOURCE_ATTRIBUTES" ? "service.namespace=shop" : null);
        var (_, body) = OtlpReport.Request(collector, [Span(resource), Span(resource), Span(ResourceAttributes.None)]);
        var resources = ExportTraceServiceRequest.Parser.ParseFrom(body.Span).ResourceSpans;
        Assert.Equal(
            [("service.name=web;service.namespace=shop", 2), ("service.name=web", 1)],
            resources.Select(one => (string.Join(';', one.Resource.Attributes.Select(pair => $"{pair.Key}={pair.Value.StringValue}")), one.ScopeSpans[0].Spans.Count)));
    }

    [Fact]
    public void Only_the_detector_of_the_environment_is_known()
    {
        var config = new OpenTelemetryConfig
        {
            GrpcService = new() { EnvoyGrpc = new() { ClusterName = "c" } },
            ResourceDetectors =
            {
                new Wire.Envoy.TypedExtensionConfig { Name = "env", TypedConfig = Any.Pack(new EnvironmentResourceDetectorConfig()) },
                new Wire.Envoy.TypedExtensionConfig { Name = "other", TypedConfig = new() { TypeUrl = "type.googleapis.com/x.y" } },
            },
        };
        var notes = new List<string>();
        var manager = new HttpConnectionManager { Tracing = new() { Provider = new() { Name = "o", TypedConfig = Any.Pack(config) } } };
        Assert.True(TracingDecoder.Decode(manager, notes)!.ReadsEnvironment);
        Assert.Equal(["the resource detector 'other' of a tracing provider is ignored: its type is not supported"], notes);
    }

    private static FinishedSpan Span(ResourceAttributes resource) =>
        new(new(1, 2, 3, 0, true), "GET /", "web", true, DateTimeOffset.UnixEpoch, TimeSpan.FromMilliseconds(1), []) { Resource = resource };
}

using Google.Protobuf.WellKnownTypes;
using Isthmus.Core.Collections;
using Isthmus.Proxy.Export;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Telemetry;
using Isthmus.Wire.Envoy.NetworkFilters;
using Isthmus.Wire.Envoy.Trace;
using Isthmus.Wire.OpenTelemetry;
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
            resources.Select(one => (string.Join(';', one.Resource.Attributes.Select(pair => $"{pair.Key}={pair.Value.StringValue}")),
                one.ScopeSpans[0].Spans.Count)));
    }

    /// <summary>The first file holds the name of another one, which Dynatrace's agent makes for each process.</summary>
    [Fact]
    public void Files_of_Dynatrace_are_read_in_order_and_the_last_one_wins()
    {
        var files = new Dictionary<string, string>
        {
            ["dt_metadata_e617c525669e072eebe3d0f08212e8f2.properties"] = "/proc-17.properties\n",
            ["/proc-17.properties"] = "dt.entity.process_group=PG-1\r\nservice.name=detected\nhost.name=a\n",
            ["/var/lib/dynatrace/enrichment/dt_metadata.properties"] = "k8s.pod.name=web-1\n\nno value\n=none\nempty=\nurl=a=b\n",
            ["/var/lib/dynatrace/enrichment/dt_host_metadata.properties"] = "host.name=b",
        };
        var read = ResourceAttributes.ReadDynatrace(files.GetValueOrDefault);
        Assert.Equal("detected", read.Service);
        Assert.Equal("dt.entity.process_group=PG-1;host.name=b;k8s.pod.name=web-1;url=a=b", Text(read));
        // Where there is no agent, there are no files; and what is no list of attributes is not read whole.
        Assert.Equal(("", ""), (ResourceAttributes.ReadDynatrace(_ => null).Service, Text(ResourceAttributes.ReadDynatrace(_ => null))));
        Assert.Equal("", Text(ResourceAttributes.ReadDynatrace(_ => $"a={new string('x', 70_000)}")));
    }

    [Fact]
    public void Files_win_over_the_environment()
    {
        var environment = ResourceAttributes.Read(variable => variable == "OTEL_RESOURCE_ATTRIBUTES" ? "service.name=web,host.name=a,service.version=1" : null);
        var files = ResourceAttributes.ReadDynatrace(file => file.EndsWith("dt_host_metadata.properties", StringComparison.Ordinal) ? "host.name=b" : null);
        var both = environment.With(files);
        Assert.Equal(("web", "service.version=1;host.name=b"), (both.Service, Text(both)));
    }

    [Fact]
    public void The_detectors_that_Istio_configures_are_known()
    {
        var config = new OpenTelemetryConfig
        {
            GrpcService = new() { EnvoyGrpc = new() { ClusterName = "c" } },
            ResourceDetectors =
            {
                new Wire.Envoy.TypedExtensionConfig { Name = "env", TypedConfig = Any.Pack(new EnvironmentResourceDetectorConfig()) },
                new Wire.Envoy.TypedExtensionConfig { Name = "dt", TypedConfig = Any.Pack(new DynatraceResourceDetectorConfig()) },
                new Wire.Envoy.TypedExtensionConfig { Name = "other", TypedConfig = new() { TypeUrl = "type.googleapis.com/x.y" } },
            },
        };
        var notes = new List<string>();
        var manager = new HttpConnectionManager { Tracing = new() { Provider = new() { Name = "o", TypedConfig = Any.Pack(config) } } };
        var settings = TracingDecoder.Decode(manager, notes)!;
        Assert.Equal((true, true), (settings.ReadsEnvironment, settings.ReadsDynatrace));
        Assert.Equal(["the resource detector 'other' of a tracing provider is ignored: its type is not supported"], notes);
    }

    private static string Text(ResourceAttributes read) => string.Join(';', read.Others.Select(pair => $"{pair.Key}={pair.Value}"));

    private static FinishedSpan Span(ResourceAttributes resource) =>
        new(new(1, 2, 3, 0, true), "GET /", "web", true, DateTimeOffset.UnixEpoch, TimeSpan.FromMilliseconds(1), []) { Resource = resource };
}

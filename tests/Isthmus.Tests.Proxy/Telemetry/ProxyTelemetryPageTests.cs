using System.Net;
using Isthmus.Proxy.Clusters;
using Isthmus.Proxy.Telemetry;
using Isthmus.Rigs.Proxy;
using Isthmus.Testing;
using Isthmus.Wire.Logs;
using Xunit;

namespace Isthmus.Tests.Proxy.Telemetry;

public sealed class ProxyTelemetryPageTests
{
    /// <summary>Generated: <c>./test --accept</c> writes it.</summary>
    [Fact]
    public void The_page_lists_everything_that_proxies_tell() =>
        Golden.VerifyFile(ProxyTelemetryPage.Print(), Repository.At("docs/reference/proxy-telemetry.md"));

    [Fact]
    public void Every_operator_is_explained() =>
        Assert.Equal(LogFormatText.Names.Order(StringComparer.Ordinal), ProxyTelemetryPage.Operators.Keys.Order(StringComparer.Ordinal));

    [Fact]
    public void Every_label_is_explained()
    {
        var metrics = new MeshMetrics(ProxyIdentity.Unknown);
        metrics.Request(Direction.Outbound, SampleRecord.Make());
        Assert.Equal(metrics.Http.Single().Labels.Pairs.Select(label => label.Key), ProxyTelemetryPage.Labels.Keys);
    }

    [Fact]
    public void Every_attribute_of_spans_is_explained()
    {
        var record = SampleRecord.Make();
        record.Host = new Host(new Endpoint(IPEndPoint.Parse("10.1.1.1:80"), 1, default, new([]), Workload.Unknown, false));
        var tracing = new TracingSettings(new Collector(ReportFormat.Zipkin, "", "", "", default, new([])), 100, 100, 100, 256, new([]), false);
        foreach (var (name, value) in (ReadOnlySpan<(string, string)>)[("content-type", "application/grpc"), ("grpc-timeout", "1S"), ("x-request-id", "a")])
            record.Request!.Headers.Add(System.Text.Encoding.ASCII.GetBytes(name), value);
        var tags = SpanTags.Of(tracing, record, ProxyIdentity.Unknown with { NodeId = "sidecar~a" }, _ => null);
        Assert.Equal(ProxyTelemetryPage.Attributes.Keys, tags.Select(tag => tag.Key));
        Assert.Equal(("4", "too late"), (tags.Single(tag => tag.Key == "grpc.status_code").Value, tags.Single(tag => tag.Key == "grpc.message").Value));
    }
}

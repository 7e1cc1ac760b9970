using Isthmus.Core.Collections;
using Isthmus.Core.Problems;
using Isthmus.Mesh.Losses;
using Isthmus.Mesh.Model;
using Isthmus.Rigs.Mesh;
using Isthmus.Wire.Reports;
using Xunit;
using Kind = Isthmus.Wire.Reports.TelemetryLoss.Types.Kind;
using Reason = Isthmus.Wire.Reports.TelemetryLoss.Types.Reason;

namespace Isthmus.Tests.ControlPlane.Telemetry;

/// <summary>What proxies lose, as problems of the objects that ask for it.</summary>
public sealed class LossProblemsTests
{
    private const string Collector = "outbound|4317||collector.example", Spans = "tracing.opentelemetry.spans_dropped",
        Logs = "access_logs.open_telemetry_access_log.logs_dropped";

    private const string Providers = """
        extensionProviders:
        - {name: spans, opentelemetry: {service: collector.example, port: 4317}}
        - {name: lines, envoyOtelAls: {service: collector.example, port: 4317}}
        """;

    private const string Entry = """
        apiVersion: networking.istio.io/v1
        kind: ServiceEntry
        metadata: {name: collector, namespace: shop}
        spec: {hosts: [collector.example], resolution: STATIC, ports: [{number: 4317, name: grpc, protocol: GRPC}], endpoints: [{address: 10.9.9.9}]}
        """;

    [Fact]
    public void The_Telemetries_that_name_a_provider_are_named_once_for_all_their_proxies()
    {
        var problems = Find(
            "tracing: [{randomSamplingPercentage: 5}, {providers: [{name: spans}]}], accessLogging: [{providers: [{name: envoy}, {name: lines}]}]",
            [Loss(Kind.Spans, Spans, Reason.Unreachable), Loss(Kind.Logs, Logs, Reason.Refused, 503)], "web-2", "web-1");
        Assert.Equal(2, problems.Count);
        var (logs, spans) = (problems[0].Problem, problems[1].Problem);
        Assert.Equal(("ISM1423", "Telemetry shop/all", "spec.tracing[1].providers[0].name", Severity.Warning),
            (spans.Code, spans.Object, spans.Path, spans.Severity));
        Assert.Equal(
            $"spans do not reach the provider \"spans\" (collector.example, port 4317): it cannot be connected to, or closes connections (of 2 proxies, for "
                + $"example web-1.shop in c1; counter {Spans}); traffic is not affected",
            spans.Message);
        Assert.NotEqual("", spans.Remedy);
        Assert.Equal("spec.accessLogging[0].providers[1].name", logs.Path);
        Assert.Contains("access logs do not reach the provider \"lines\" (collector.example, port 4317): it answers with status 503 (of 2 proxies",
            logs.Message, StringComparison.Ordinal);
        // More proxies do not change what is wrong.
        var more = Find("tracing: [{randomSamplingPercentage: 5}, {providers: [{name: spans}]}]", [Loss(Kind.Spans, Spans, Reason.Unreachable)], "web-3");
        Assert.Equal((problems[1].Cause, true), (more[0].Cause, problems[1].Problem.Message != more[0].Problem.Message));
    }

    [Theory]
    [InlineData(Collector, "tracing: [{providers: [{name: spans}], disableSpanReporting: true}]", "ConfigMap istio-system/istio", "defaultProviders",
        "the provider \"spans\" (collector.example, port 4317)")]
    [InlineData(Collector, "metrics: []", "ConfigMap istio-system/istio", "defaultProviders", "the provider \"spans\"")]
    [InlineData("outbound|9411||zipkin.example", "metrics: []", "ConfigMap istio-system/istio", "", "do not reach zipkin.example, port 9411: ")]
    [InlineData("own-cluster", "metrics: []", "ConfigMap istio-system/istio", "", "do not reach own-cluster: ")]
    public void Without_a_Telemetry_the_settings_of_the_mesh_are_named(string target, string spec, string name, string path, string says)
    {
        var problem = Assert.Single(Find(spec, [Loss(Kind.Spans, Spans, Reason.NoEndpoint) with { Target = target }], "web-1")).Problem;
        Assert.Equal((name, path), (problem.Object, problem.Path));
        Assert.Contains(says, problem.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("metrics: [{}, {overrides: [{tagOverrides: {user: {value: request.host}}}]}]", "Telemetry shop/all", "spec.metrics[1].overrides")]
    [InlineData("metrics: [{overrides: [{tagOverrides: {user: {operation: REMOVE}}}]}]", "Pod shop/web-1", "")]
    public void Metrics_without_labels_are_named_with_what_adds_tags(string spec, string name, string path)
    {
        var problem = Assert.Single(Find(spec, [Loss(Kind.Labels, "isthmus.metric_series_overflows_total", Reason.OtherReason) with { Target = "" }],
            "web-1")).Problem;
        Assert.Equal(("ISM1424", name, path), (problem.Code, problem.Object, problem.Path));
    }

    [Fact]
    public void Lines_that_are_not_written_are_named_with_their_Pod()
    {
        var problem = Assert.Single(Find("metrics: []", [Loss(Kind.Lines, "isthmus.access_log_lines_dropped_total", Reason.OtherReason) with { Target = "" }],
            "web-1")).Problem;
        Assert.Equal(("ISM1423", "Pod shop/web-1"), (problem.Code, problem.Object));
    }

    [Fact]
    public void A_report_of_a_strange_proxy_is_bounded_and_can_be_printed()
    {
        var report = new TelemetryReport();
        for (var i = 0; i < 1000; i++)
            report.Losses.Add(new TelemetryLoss
            {
                Kind = (Kind)77, Reason = (Reason)(-1), Counter = new('x', 100_000), Target = "\u001b[31m\nred", Status = int.MinValue
            });
        var losses = LostTelemetry.Of(report);
        Assert.Equal((64, 256, "?[31m?red"), (losses.Count, losses[0].Counter.Length, losses[0].Target));
        var problem = Assert.Single(LossProblems.Of(Mesh("metrics: []").Mesh.View(), [new(Proxy("web-1"), losses)], "ConfigMap istio-system/istio")).Problem;
        Assert.Contains("telemetry is lost", problem.Message, StringComparison.Ordinal);
    }

    private static LostTelemetry Loss(Kind kind, string counter, Reason reason, int status = 0) => new(kind, counter, Collector, reason, status);

    private static IReadOnlyList<LossProblem> Find(string spec, LostTelemetry[] losses, params string[] proxies) =>
        LossProblems.Of(Mesh(spec).Mesh.View(), [.. proxies.Select(name => new LosingProxy(Proxy(name), losses.ToValueList()))],
            "ConfigMap istio-system/istio");

    private static ProxyIdentity Proxy(string name) => new MeshRig("c1").Sidecar("c1", name).Proxy;

    private static MeshRig Mesh(string spec)
    {
        var rig = new MeshRig("c1");
        rig.Settings(Providers);
        rig.Config($$"""
            {{Entry}}
            ---
            apiVersion: telemetry.istio.io/v1
            kind: Telemetry
            metadata: {name: all, namespace: shop}
            spec: { {{spec}} }
            ---
            apiVersion: telemetry.istio.io/v1
            kind: Telemetry
            metadata: {name: others, namespace: shop}
            spec: {selector: {matchLabels: {app: other} }, tracing: [{providers: [{name: spans}] }], metrics: [{overrides: [{tagOverrides: {user: {value: request.host} } }] }] }
            """);
        rig.Push();
        return rig;
    }
}

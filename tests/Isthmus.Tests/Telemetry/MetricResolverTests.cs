using Isthmus.Mesh.Generate;
using Isthmus.Proxy.Filters;
using Isthmus.Proxy.Snapshot;
using Isthmus.Rigs.Mesh;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.Listeners;
using Isthmus.Wire.Envoy.NetworkFilters;
using Isthmus.Wire.Istio.Stats;
using Xunit;

namespace Isthmus.Tests.Telemetry;

/// <summary>How Telemetries change metrics: from Istio's objects to the filter that a sidecar gets.</summary>
public sealed class MetricResolverTests
{
    private const string All = "request_bytes! request_duration_milliseconds! request_messages_total! requests_total! response_bytes! response_messages_total! "
        +
        "tcp_connections_closed_total! tcp_connections_opened_total! tcp_received_bytes_total! tcp_sent_bytes_total!";

    /// <summary>The columns: MeshConfig; Telemetries as <c>NAMESPACE LABEL RULES</c>; what changes for calls to others and calls to the workload:
    /// <c>!</c> dropped, <c>+TAG=EXPRESSION</c> and <c>-TAG</c>; <c>@</c> the reporting interval.</summary>
    [Theory]
    [InlineData("", "", "", "")]
    [InlineData("", "istio-system - {providers: [{name: prometheus}]}", "", "")]
    [InlineData("defaultProviders: {metrics: []}", "", All, All)]
    [InlineData("defaultProviders: {metrics: [mine]}\nextensionProviders: [{name: mine, prometheus: {}}]", "", "", "")]
    [InlineData("", "shop - {providers: [{name: nowhere}]}", All, All)]
    [InlineData("", "shop - {overrides: [{disabled: true}]}", All, All)]
    [InlineData("", "shop - {overrides: [{match: {metric: ALL_METRICS, mode: CLIENT}, disabled: true}]}", All, "")]
    [InlineData("",
        "istio-system - {overrides: [{match: {metric: ALL_METRICS}, disabled: true}]}|shop - {overrides: [{match: {metric: ALL_METRICS}, disabled: false}]}",
        "", "")]
    [InlineData("",
        "shop - {overrides: [{match: {metric: REQUEST_COUNT, mode: SERVER}, tagOverrides: {host: {value: request.host}, source_app: {operation: REMOVE}}}]}",
        "", "requests_total+host=request.host-source_app")]
    [InlineData("",
        "istio-system - {overrides: [{match: {metric: REQUEST_COUNT}, tagOverrides: {a: {value: '\"1\"'}, b: {value: '\"1\"'}}}]}|shop web {overrides: "
            + "[{match: {metric: REQUEST_COUNT}, tagOverrides: {b: {operation: REMOVE}}}]}",
        "requests_total+a=\"1\"-b", "requests_total+a=\"1\"-b")]
    [InlineData("", "shop other {overrides: [{disabled: true}]}", "", "")]
    [InlineData("", "shop - {reportingInterval: 7s}", "@7s", "@7s")]
    [InlineData("",
        "istio-system - {reportingInterval: 7s}|shop web {reportingInterval: 2s, overrides: [{match: {metric: REQUEST_SIZE, mode: CLIENT}, disabled: true}]}",
        "@2s request_bytes!", "@2s")]
    [InlineData("", "istio-system - {reportingInterval: 7s}|shop web {providers: [{name: nowhere}], reportingInterval: 2s}", All, All)]
    [InlineData("extensionProviders: [{name: mine, prometheus: {}}]",
        "istio-system - {providers: [{name: nowhere}], reportingInterval: 7s}|shop web {providers: [{name: mine}]}", "", "")]
    public void The_most_specific_Telemetry_decides(string settings, string telemetries, string client, string server)
    {
        var rig = new MeshRig("c1");
        rig.Settings(settings);
        rig.App("c1", "web", "10.96.0.10", "10.244.0.1");
        rig.Pod("c1", "web", "web-1", "10.244.0.1");
        foreach (var (item, index) in telemetries.Split('|', StringSplitOptions.RemoveEmptyEntries).Select((item, index) => (item.Split(' ', 3), index)))
        {
            var selector = item[1] == "-" ? "" : $"selector: {{matchLabels: {{app: {item[1]}}}}}, ";
            rig.Config(
                $"{{apiVersion: telemetry.istio.io/v1, kind: Telemetry, metadata: {{name: t{index}, namespace: {item[0]}}}, spec: {{{selector}metrics: "
                    + $"[{item[2]}]}}}}");
        }
        var feed = rig.Sidecar("c1", "web-1", "10.244.0.1");
        rig.Push();
        Assert.Equal((client, server),
            (Changes(MeshRig.Listener(feed, ResourceNames.VirtualOutbound)!), Changes(MeshRig.Listener(feed, ResourceNames.VirtualInbound)!)));
    }

    /// <summary>The same in every chain that reports: of HTTP and of TCP.</summary>
    private static string Changes(Listener listener)
    {
        var found = listener.FilterChains.Where(chain => !chain.Name.EndsWith("-blackhole", StringComparison.Ordinal))
            .SelectMany(chain => chain.Filters.Last() is var last && last.TypedConfig.TryRead(out HttpConnectionManager http)
            ? [Text(http.HttpFilters.FirstOrDefault(filter => filter.Name == "istio.stats")?.TypedConfig)]
            : new[] { Text(chain.Filters.FirstOrDefault(filter => filter.Name == "istio.stats")?.TypedConfig) });
        return Assert.Single(found.Distinct());
    }

    private static string Text(Google.Protobuf.WellKnownTypes.Any? config)
    {
        if (config is null) return "";
        Assert.True(TypedConfigs.TryPlain(config, out var plain, out var fault), fault);
        Assert.True(plain.TryRead(out PluginConfig plugin));
        var interval = plugin.TcpReportingDuration is { } duration ? (string[])[$"@{duration.Seconds}s"] : [];
        return string.Join(' ', interval.Concat(plugin.Metrics.Select(metric => metric.Name + (metric.Drop ? "!" : "")
            + string.Concat(metric.Dimensions.OrderBy(tag => tag.Key, StringComparer.Ordinal).Select(tag => $"+{tag.Key}={tag.Value}"))
            + string.Concat(metric.TagsToRemove.Select(tag => $"-{tag}")))));
    }
}

using Isthmus.ControlPlane.Push;
using Isthmus.Mesh.Generate;
using Isthmus.Rigs.Mesh;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.AccessLoggers;
using Isthmus.Wire.Envoy.Listeners;
using Isthmus.Wire.Envoy.NetworkFilters;
using Xunit;

namespace Isthmus.Tests.Telemetry;

/// <summary>Which access logs Telemetries choose: from Istio's objects to the listeners of a sidecar.</summary>
public sealed class LogResolverTests
{
    private const string Providers = "extensionProviders: [{name: a, envoyFileAccessLog: {path: /a}}, {name: b, envoyFileAccessLog: {path: /b}}]";

    /// <summary>The columns: MeshConfig; Telemetries as <c>NAMESPACE LABEL RULES</c>; the files that calls to others and calls to the workload are logged
    /// to.</summary>
    [Theory]
    [InlineData("accessLogFile: /m", "", "/m", "/m")]
    [InlineData("", "", "", "")]
    [InlineData("defaultProviders: {accessLogging: [b, a]}\naccessLogFile: /m", "", "/a /b", "/a /b")]
    [InlineData("defaultProviders: {accessLogging: [envoy]}", "", "/dev/stdout", "/dev/stdout")]
    [InlineData("", "istio-system - {providers: [{name: envoy}]}", "/dev/stdout", "/dev/stdout")]
    [InlineData("accessLogFile: /m", "istio-system - {providers: [{name: nowhere}]}", "", "")] // they replace the file of the mesh
    [InlineData("accessLogFile: /m", "other - {providers: [{name: a}]}", "/m", "/m")]
    [InlineData("accessLogFile: /m", "shop - {disabled: true}", "", "")]
    [InlineData("defaultProviders: {accessLogging: [a]}", "shop - {disabled: true}", "", "")]
    [InlineData("defaultProviders: {accessLogging: [a]}", "shop - {match: {mode: CLIENT}, disabled: true}", "", "")] // nothing enables it for servers
    [InlineData("defaultProviders: {accessLogging: [a]}", "shop - {match: {mode: CLIENT_AND_SERVER}},{match: {mode: CLIENT}, disabled: true}", "", "/a")]
    [InlineData("defaultProviders: {accessLogging: [a]}", "shop - {providers: [{name: b}]}", "/b", "/b")] // replaced, not added
    [InlineData("", "istio-system - {providers: [{name: a}]}|shop - {disabled: true}", "", "")]
    [InlineData("", "istio-system - {providers: [{name: a}]}|shop - {disabled: true}|shop web {disabled: false}", "/a", "/a")]
    [InlineData("", "istio-system - {providers: [{name: a}]}|shop web {match: {mode: SERVER}, disabled: true}", "/a", "")]
    [InlineData("", "istio-system - {providers: [{name: a}]}|shop web {match: {mode: SERVER}, providers: [{name: b}]}", "/a", "/b")]
    [InlineData("", "istio-system - {providers: [{name: a}]}|shop other {disabled: true}", "/a", "/a")]
    [InlineData("", "shop - {providers: [{name: a}, {name: b}]},{providers: [{name: a}], disabled: true}", "/b", "/b")]
    public void The_most_specific_Telemetry_decides(string settings, string telemetries, string client, string server)
    {
        var sidecar = Sidecar(settings, telemetries);
        Assert.Equal((client, server), (Files(sidecar, ResourceNames.VirtualOutbound), Files(sidecar, ResourceNames.VirtualInbound)));
    }

    /// <summary>Connections that match nothing are logged, too, unless the mesh switches that off.</summary>
    [Theory]
    [InlineData("", "/a")]
    [InlineData("disableEnvoyListenerLog: true", "")]
    public void Unmatched_connections_are_logged_to_the_same_files(string settings, string expected)
    {
        var listener = Listener(Sidecar(settings, "shop - {providers: [{name: a}]}"), ResourceNames.VirtualInbound);
        Assert.Equal(expected, string.Join(' ', listener.AccessLog.Select(File)));
        Assert.All(listener.AccessLog, log => Assert.Equal(["NR"], log.Filter.ResponseFlagFilter.Flags));
    }

    [Theory]
    [InlineData("{text: '%PROTOCOL%'}", "\"inline_string\": \"%PROTOCOL%\\n\"")]
    [InlineData("{text: \"%PROTOCOL%\\n\"}", "\"inline_string\": \"%PROTOCOL%\\n\"")]
    [InlineData("{labels: {p: '%PROTOCOL%', in: {r: '%ROUTE_NAME%'}}}", "\"json_format\": { \"in\": { \"r\": \"%ROUTE_NAME%\" }, \"p\": \"%PROTOCOL%\" }")]
    [InlineData("{labels: {}}", "\"start_time\": \"%START_TIME%\"")]
    [InlineData("{}", "[%START_TIME%]")]
    public void A_file_has_the_format_of_its_provider(string format, string expected)
    {
        var rig = new MeshRig("c1");
        rig.Settings(
            $"extensionProviders: [{{name: lines, envoyFileAccessLog: {{path: /lines, logFormat: {format}}}}}]\ndefaultProviders: {{accessLogging: "
                + $"[lines]}}\naccessLogFormat: unused");
        rig.App("c1", "web", "10.96.0.10", "10.244.0.1");
        var feed = rig.Sidecar("c1", "web-1", "10.244.0.1");
        rig.Push();
        Assert.Contains(expected,
            WireTypes.Json.Format(Assert.Single(Listener(feed, ResourceNames.VirtualInbound).AccessLog).TypedConfig.Unpack<FileAccessLog>()),
            StringComparison.Ordinal);
    }

    private static ProxyFeed Sidecar(string settings, string telemetries)
    {
        var rig = new MeshRig("c1");
        rig.Settings($"{Providers}\n{settings}");
        rig.App("c1", "web", "10.96.0.10", "10.244.0.1");
        rig.Pod("c1", "web", "web-1", "10.244.0.1");
        foreach (var (item, index) in telemetries.Split('|', StringSplitOptions.RemoveEmptyEntries).Select((item, index) => (item.Split(' ', 3), index)))
        {
            var selector = item[1] == "-" ? "" : $"selector: {{matchLabels: {{app: {item[1]}}}}}, ";
            rig.Config(
                $"{{apiVersion: telemetry.istio.io/v1, kind: Telemetry, metadata: {{name: t{index}, namespace: {item[0]}}}, spec: {{{selector}accessLogging: "
                    + $"[{item[2]}]}}}}");
        }
        var feed = rig.Sidecar("c1", "web-1", "10.244.0.1");
        rig.Push();
        return feed;
    }

    private static Listener Listener(ProxyFeed feed, string name) => MeshRig.Listener(feed, name)!;

    /// <summary>The files of the HTTP connection manager of a listener, or of its TCP proxy if it has none.</summary>
    private static string Files(ProxyFeed feed, string name)
    {
        var filters = Listener(feed, name).FilterChains.SelectMany(chain => chain.Filters).Where(filter => filter.TypedConfig is not null).ToList();
        var logs = filters.Select(filter => filter.TypedConfig)
            .FirstOrDefault(config => config.Is(HttpConnectionManager.Descriptor))?.Unpack<HttpConnectionManager>().AccessLog
            ?? filters.Select(filter => filter.TypedConfig).Last(config => config.Is(TcpProxy.Descriptor)).Unpack<TcpProxy>().AccessLog;
        return string.Join(' ', logs.Select(File));
    }

    private static string File(AccessLog log) => log.TypedConfig.Unpack<FileAccessLog>().Path;
}

using Isthmus.Core.Collections;
using Isthmus.Core.Problems;
using Isthmus.Mesh.Spoken;
using Isthmus.Rigs.Mesh;
using Isthmus.Wire.Reports;
using Isthmus.Wire.Xds;
using Xunit;
using Said = Isthmus.Wire.Reports.SpokenPort.Types.Protocol;

namespace Isthmus.Tests.ControlPlane.Telemetry;

/// <summary>What clients speak to proxies, as problems of the ports that declare something else.</summary>
public sealed class SpokenProblemsTests
{
    [Theory]
    [InlineData("http", Said.Tls, Severity.Warning, "is declared HTTP, and clients speak TLS there", "set appProtocol: https")]
    [InlineData("grpc-web", Said.Tls, Severity.Warning, "is declared GRPCWEB, and clients speak TLS there", "set appProtocol: https")]
    [InlineData("http2", Said.Other, Severity.Warning, "is declared HTTP2, and clients speak something that is not HTTP there", "set appProtocol: tcp")]
    [InlineData("http", Said.Http10, Severity.Warning, "is declared HTTP, and clients speak HTTP/1.0 there: the proxy answers 426", "PILOT_HTTP10=true")]
    [InlineData("anything", Said.Http10, Severity.Warning, "declares no protocol, and clients speak HTTP/1.0 there: the proxy answers 426", "HTTP/1.1")]
    [InlineData("https", Said.Http1, Severity.Warning, "is declared HTTPS, and clients speak plain HTTP/1 there", "set appProtocol: http")]
    [InlineData("tls", Said.Http2, Severity.Warning, "is declared TLS, and clients speak plain HTTP/2 there", "set appProtocol: http2")]
    [InlineData("tcp", Said.Http1, Severity.Info, "is declared TCP, and clients speak HTTP/1 there", "set appProtocol: http, unless")]
    [InlineData("redis", Said.Http2, Severity.Info, "is declared REDIS, and clients speak HTTP/2 there", "set appProtocol: http2, unless")]
    public void A_port_that_is_declared_otherwise_is_named_with_what_to_change(string port, Said said, Severity severity, string says, string remedy)
    {
        var (cluster, problem) = Assert.Single(Find(port, new SpokenOnPort(8080, said, 7)));
        Assert.Equal(("c1", "ISM1480", "Service shop/orders", $"spec.ports[{port}]", severity),
            (cluster, problem.Code, problem.Object, problem.Path, problem.Severity));
        Assert.StartsWith(says, problem.Message, StringComparison.Ordinal);
        Assert.EndsWith("(14 connections in the last minute, at 2 proxies, for example orders-10.244.0.1.shop)", problem.Message, StringComparison.Ordinal);
        Assert.Contains(remedy, problem.Remedy, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("http", Said.Http1)]
    [InlineData("grpc", Said.Http2)]
    [InlineData("https", Said.Tls)] // it is now, whatever the proxy had when it met that
    [InlineData("tcp", Said.Other)]
    [InlineData("tcp", Said.Http10)]
    [InlineData("anything", Said.Tls)] // whatever is spoken there is detected
    public void A_port_that_is_declared_as_it_is_spoken_is_not(string port, Said said) => Assert.Empty(Find(port, new SpokenOnPort(8080, said, 1)));

    /// <summary>A DestinationRule lets callers say something else first.</summary>
    [Fact]
    public void A_port_is_not_blamed_for_a_header_of_the_PROXY_protocol()
    {
        var rig = Mesh("http");
        rig.Config("""
            apiVersion: networking.istio.io/v1
            kind: DestinationRule
            metadata: {name: orders, namespace: shop}
            spec: {host: orders, trafficPolicy: {proxyProtocol: {version: V1}}}
            """);
        rig.Push();
        var proxy = rig.Sidecar("c1", "orders-10.244.0.1").Proxy;
        Assert.Empty(SpokenProblems.Of(rig.Mesh.View(), [new(proxy, [new(8080, Said.Other, 1)])]));
        Assert.Single(SpokenProblems.Of(rig.Mesh.View(), [new(proxy, [new(8080, Said.Tls, 1)])]));
    }

    /// <summary>Proxies of callers begin TLS because a DestinationRule says so, and no port is wrong.</summary>
    [Theory]
    [InlineData("istio-system", "host: '*.local', trafficPolicy: {tls: {mode: SIMPLE}}", "spec.trafficPolicy.tls.mode", "SIMPLE")]
    [InlineData("shop", "host: orders, trafficPolicy: {portLevelSettings: [{port: {number: 80}, tls: {mode: SIMPLE}}]}",
        "spec.trafficPolicy.portLevelSettings[0].tls.mode", "SIMPLE")]
    [InlineData("front", "host: orders.shop.svc.cluster.local, subsets: [{name: one, trafficPolicy: {tls: {mode: SIMPLE}}}]",
        "spec.subsets[0].trafficPolicy.tls.mode", "SIMPLE")]
    [InlineData("shop", "host: orders, trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}", "", "")]
    [InlineData("shop", "host: others, trafficPolicy: {tls: {mode: SIMPLE}}", "", "")]
    public void A_DestinationRule_that_lets_callers_begin_TLS_is_named(string ns, string spec, string field, string mode)
    {
        var rig = Mesh("http");
        rig.Config($$"""
            apiVersion: networking.istio.io/v1
            kind: DestinationRule
            metadata: {name: rule, namespace: {{ns}}}
            spec: { {{spec}} }
            """);
        rig.Push();
        var (_, problem) = Assert.Single(SpokenProblems.Of(rig.Mesh.View(), [new(rig.Sidecar("c1", "orders-10.244.0.1").Proxy, [new(8080, Said.Tls, 1)])]));
        Assert.Equal(("ISM1480", mode.Length > 0 ? $"DestinationRule {ns}/rule" : "Service shop/orders", mode.Length > 0 ? field : "spec.ports[http]"),
            (problem.Code, problem.Object, problem.Path));
        if (mode.Length > 0)
            Assert.StartsWith($"is {mode}, so that proxies of callers begin TLS at the Pods of Service shop/orders", problem.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("redirect: {scheme: https}", true)]
    [InlineData("redirect: {scheme: https, port: 443}", false)]
    [InlineData("redirect: {scheme: https, authority: www.example.com}", false)]
    [InlineData("redirect: {uri: /home}", false)]
    public void A_redirect_that_lets_clients_speak_TLS_is_named(string route, bool isNamed)
    {
        var rig = Mesh("http");
        rig.Config($$"""
            apiVersion: networking.istio.io/v1
            kind: VirtualService
            metadata: {name: secure, namespace: shop}
            spec: {hosts: [orders], http: [{ {{route}} }]}
            """);
        rig.Push();
        var (_, problem) = Assert.Single(SpokenProblems.Of(rig.Mesh.View(), [new(rig.Sidecar("c1", "orders-10.244.0.1").Proxy, [new(8080, Said.Tls, 1)])]));
        Assert.Equal(("Service shop/orders", isNamed), (problem.Object,
            problem.Message.EndsWith("; VirtualService shop/secure redirects requests to https there", StringComparison.Ordinal)));
        Assert.Equal(isNamed, problem.Remedy.StartsWith("remove scheme from the redirect, or if", StringComparison.Ordinal));
    }

    [Fact]
    public void A_port_of_no_Service_is_not() => Assert.Empty(Find("http", new SpokenOnPort(80, Said.Tls, 1)));

    [Fact]
    public void A_Sidecar_that_declares_the_ports_itself_leaves_those_of_Services_alone()
    {
        var rig = Mesh("http");
        rig.Config("""
            apiVersion: networking.istio.io/v1
            kind: Sidecar
            metadata: {name: own, namespace: shop}
            spec: {ingress: [{port: {number: 8080, name: tcp, protocol: TCP}, defaultEndpoint: "127.0.0.1:8080"}]}
            """);
        rig.Push();
        Assert.Empty(SpokenProblems.Of(rig.Mesh.View(), [new(rig.Sidecar("c1", "orders-10.244.0.1").Proxy, [new(8080, Said.Tls, 1)])]));
    }

    [Fact]
    public void A_report_of_a_strange_proxy_is_bounded()
    {
        var report = new TelemetryReport();
        report.Spoken.Add(new SpokenPort { Port = 0 });
        report.Spoken.Add(new SpokenPort { Port = 70_000 });
        report.Spoken.Add(new SpokenPort { Port = 80, Protocol = (Said)77 });
        for (var i = 0; i < 1000; i++) report.Spoken.Add(new SpokenPort { Port = 80, Connections = uint.MaxValue });
        Assert.Equal(TelemetryReports.MostSpoken - 3, SpokenOnPort.Of(report).Count);
    }

    private static IReadOnlyList<(string Cluster, Problem Problem)> Find(string port, SpokenOnPort spoken)
    {
        var rig = Mesh(port);
        return SpokenProblems.Of(rig.Mesh.View(), [.. ((string[])["10.244.0.1", "10.244.0.2"]).Select(ip => new SpokenProxy(
            rig.Sidecar("c1", $"orders-{ip}", ip).Proxy, [spoken]))]);
    }

    private static MeshRig Mesh(string port)
    {
        var rig = new MeshRig("c1");
        rig.AppOn("c1", "orders", "10.96.0.10", port, 80, "10.244.0.1", "10.244.0.2");
        rig.App("c1", "others", "10.96.0.11", "10.244.0.3");
        rig.Push();
        return rig;
    }
}

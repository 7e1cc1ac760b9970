using Isthmus.Graph.Intake;
using Isthmus.ControlPlane.Push;
using Isthmus.Graph.Settings;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;
using Isthmus.Rigs.Mesh;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;
using static Isthmus.Rigs.Mesh.MeshRig;

namespace Isthmus.Tests.ControlPlane.Discovery;

/// <summary>As in Istio 1.31, proxies know of endpoints that are not ready, as unhealthy ones, and send them nothing.</summary>
public sealed class UnreadyEndpointsTests
{
    private readonly MeshRig _rig = new("c1", "c2");
    private readonly ProxyFeed _client;

    public UnreadyEndpointsTests() => _client = _rig.Sidecar("c1");

    [Fact]
    public void A_Service_whose_Pods_are_not_ready_is_not_empty()
    {
        Web("c1", ("!web-1", "10.244.0.1"), ("!web-2", "10.244.0.2"));
        _rig.Push();
        Assert.Empty(Endpoints(_client, OutboundName("web")));
        Assert.Equal(["10.244.0.1:8080=1", "10.244.0.2:8080=1"], Endpoints(_client, OutboundName("web"), areHealthy: false));
        Web("c1", ("!web-1", "10.244.0.1"), ("web-2", "10.244.0.2"));
        _rig.Push();
        Assert.Equal(["10.244.0.2:8080=1"], Endpoints(_client, OutboundName("web")));
        Assert.Equal(["10.244.0.1:8080=1"], Endpoints(_client, OutboundName("web"), areHealthy: false));
    }

    [Fact]
    public void Those_that_terminate_are_not_sent()
    {
        Web("c1", ("web-1", "10.244.0.1"));
        _rig.Writer.Put("c1", new EndpointSlice
        {
            Metadata = new() { Name = "web-2", Namespace = MeshRig.Namespace, Labels = { ["kubernetes.io/service-name"] = "web" } },
            Endpoints = [new() { Addresses = ["10.244.0.2"], Conditions = new() { Ready = false, Serving = true, Terminating = true } }],
            Ports = { new() { Name = "http", Port = 8080 } },
        });
        _rig.Push();
        Assert.Equal(["10.244.0.1:8080=1"], Endpoints(_client, OutboundName("web")));
        Assert.Empty(Endpoints(_client, OutboundName("web"), areHealthy: false));
    }

    /// <summary>Others would get a share for nobody.</summary>
    [Fact]
    public void A_gateway_stands_for_the_ready_endpoints_behind_it()
    {
        _rig.EastWest("c2", "172.18.202.1");
        Web("c2", ("!web-1", "10.244.0.1"), ("web-2", "10.244.0.2"));
        _rig.Push();
        Assert.Equal(["172.18.202.1:15443=1"], Endpoints(_client, OutboundName("web")));
        Web("c2", ("!web-1", "10.244.0.1"), ("!web-2", "10.244.0.2"));
        _rig.Push();
        Assert.Empty(Endpoints(_client, OutboundName("web")));
        Assert.Empty(Endpoints(_client, OutboundName("web"), areHealthy: false));
    }

    /// <summary>With a threshold of the user, proxies would call them. Services whose callers stay near need them anyway, as in Istio.</summary>
    [Theory]
    [InlineData("", "", true, 1.0)]
    [InlineData("outlierDetection: {}", "", true, 0.0)]
    [InlineData("outlierDetection: {minHealthPercent: 0}", "", true, 0.0)]
    [InlineData("outlierDetection: {minHealthPercent: 30}", "", false, 30.0)]
    [InlineData("outlierDetection: {minHealthPercent: 30}", "PreferClose", true, 0.0)]
    public void Not_where_a_rule_lets_proxies_call_unhealthy_endpoints(string policy, string distribution, bool areSent, double threshold)
    {
        Web("c1", ("!web-1", "10.244.0.1"), ("web-2", "10.244.0.2"));
        _rig.Writer.Put("c1", new Service
        {
            Metadata = new() { Name = "web", Namespace = MeshRig.Namespace },
            Spec = new()
            {
                Type = "ClusterIP", ClusterIP = "10.96.0.10", ClusterIPs = ["10.96.0.10"], Selector = { ["app"] = "web" },
                Ports = { new() { Name = "http", Port = 80 } }, TrafficDistribution = distribution
            },
        });
        if (policy.Length > 0)
        {
            _rig.Config($$"""
                apiVersion: networking.istio.io/v1
                kind: DestinationRule
                metadata: {name: web, namespace: shop}
                spec: {host: web, trafficPolicy: { {{policy}} } }
                """);
        }
        _rig.Push();
        Assert.Equal(areSent ? ["10.244.0.1:8080=1"] : [], Endpoints(_client, OutboundName("web"), areHealthy: false));
        Assert.Equal(threshold, Cluster(_client, OutboundName("web"))!.CommonLbConfig.HealthyPanicThreshold.Value);
    }

    /// <summary>It cannot tell endpoints that are not ready from ejected ones: in a panic, it would call both.</summary>
    [Fact]
    public void An_Envoy_does_not_panic_where_it_knows_of_them()
    {
        var envoy = _rig.Connect(_client.Proxy with { Name = "envoy", Software = new(true, true, IstioFilters.None) });
        Web("c1", ("!web-1", "10.244.0.1"));
        _rig.Push();
        Assert.Equal(["10.244.0.1:8080=1"], Endpoints(envoy, OutboundName("web"), areHealthy: false));
        var cluster = Cluster(envoy, OutboundName("web"))!;
        Assert.Equal(0, cluster.CommonLbConfig.HealthyPanicThreshold.Value);
        Assert.Equal(50u, cluster.OutlierDetection.MaxEjectionPercent);
        Assert.Equal(1, Cluster(_client, OutboundName("web"))!.CommonLbConfig.HealthyPanicThreshold.Value);
    }

    [Theory]
    [InlineData(null, true)]
    [InlineData("true", true)]
    [InlineData("false", false)]
    public void A_variable_of_the_control_plane_turns_it_off(string? value, bool areSent)
    {
        var settings = DiscoverySettings.Read([], name => name == "PILOT_AUTO_SEND_UNHEALTHY_ENDPOINTS" ? value : null);
        var kind = new SettingsKind("istio", NullLogger.Instance) { SendsUnready = settings.SendsUnready };
        var state = kind.Read("c1",
            new ConfigMap { Metadata = new() { Name = "istio", Namespace = "istio-system" }, Data = { ["mesh"] = "", ["meshNetworks"] = "" } })!;
        Web("c1", ("!web-1", "10.244.0.1"));
        _rig.Mesh.Sources.Settings.Put("", state.Settings);
        _rig.Push();
        Assert.Equal(areSent ? ["10.244.0.1:8080=1"] : [], Endpoints(_client, OutboundName("web"), areHealthy: false));
    }

    private void Web(string cluster, params (string Pod, string Ip)[] pods)
    {
        _rig.Service(cluster, "web", "10.96.0.10");
        foreach (var (pod, ip) in pods) _rig.Pod(cluster, "web", pod.TrimStart('!'), ip);
        _rig.Slice(cluster, "web", 8080, "http", pods);
    }
}

using System.Net;
using Isthmus.Core.Net;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.Nodes.ServiceProxy;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Lab.ServiceProxy;

public sealed class ServiceTableTests
{
    private const string Node = "a-control-plane";

    [Fact]
    public void The_rules_of_every_kind_of_Service()
    {
        var services = new[]
        {
            Make("web", new() { Type = "LoadBalancer", ClusterIP = "10.96.0.20", Ports = [Tcp(80, 30080)] }, "172.18.201.5"),
            Make("empty", new() { Type = "NodePort", ClusterIP = "10.96.0.21", Ports = [Tcp(80, 30081)] }),
            Make("names", new() { ClusterIP = "10.96.0.10", Ports = [new() { Name = "dns", Port = 53, Protocol = "UDP" }], SessionAffinity = "ClientIP" }),
            Make("outer",
                new()
                {
                    Type = "LoadBalancer", ClusterIP = "10.96.0.22", Ports = [Tcp(443, 30443)], ExternalTrafficPolicy = "Local", InternalTrafficPolicy = "Local"
                },
                "172.18.201.6"),
            Make("headless", new() { ClusterIP = "None", Ports = [Tcp(80, 0)] }),
            Make("alias", new() { Type = "ExternalName", ExternalName = "example.org" }),
        };
        var slices = new[]
        {
            Slice("web", "", "TCP", 8080, ("10.244.0.10", Node, null), ("10.244.0.11", Node, null)),
            Slice("names", "dns", "UDP", 5353, ("10.244.0.2", Node, null), ("10.244.0.3", Node, null)),
            Slice("outer", "", "TCP", 8443, ("10.244.1.9", "b", null)),
            Slice("headless", "", "TCP", 80, ("10.244.0.12", Node, null)),
        };
        var ports = ServiceTable.Build(services, slices, Node);
        Golden.Verify(ServiceRules.Render(new(IPAddress.Parse("172.18.0.2"), Cidr.Parse("10.244.0.0/16"), ports)), "rules");
    }

    [Fact]
    public void Endpoints_that_are_going_away_serve_only_while_none_is_ready()
    {
        var service = Make("web", new() { ClusterIP = "10.96.0.20", Ports = [Tcp(80, 0)] });
        var leaving = new SliceConditions { Ready = false, Serving = true, Terminating = true };
        var starting = new SliceConditions { Ready = false, Serving = false, Terminating = false };
        var ready = Slice("web", "", "TCP", 80, ("10.244.0.1", Node, null), ("10.244.0.2", Node, leaving), ("10.244.0.3", Node, starting));
        var none = Slice("web", "", "TCP", 80, ("10.244.0.2", Node, leaving), ("10.244.0.3", Node, starting));
        Assert.Equal(["10.244.0.1"], Targets(ready));
        Assert.Equal(["10.244.0.2"], Targets(none));

        IEnumerable<string> Targets(EndpointSlice slice) => ServiceTable.Build([service], [slice], Node)[0].Targets.Select(target => target.Address.ToString());
    }

    [Theory]
    [InlineData("10.0.0.1 } ; flush ruleset")]
    [InlineData("fd00::1")]
    [InlineData("")]
    public void What_is_no_IPv4_address_never_reaches_the_rules(string text)
    {
        var service = Make("web", new() { ClusterIP = "10.96.0.20", ExternalIPs = [text], Ports = [Tcp(80, 0)] });
        var ports = ServiceTable.Build([service], [Slice("web", "", "TCP", 80, (text, Node, null))], Node);
        Assert.True(ports[0].Targets.IsEmpty);
        Assert.True(ports[0].OuterAddresses.IsEmpty);
        Assert.Empty(ServiceTable.Build([Make("web", new() { ClusterIP = text, Ports = [Tcp(80, 0)] })], [], Node));
    }

    [Fact]
    public void Two_Services_that_claim_one_address_leave_the_table_valid()
    {
        var first = Make("a", new() { ClusterIP = "10.96.0.20", ExternalIPs = ["192.0.2.1"], Ports = [Tcp(80, 0)] });
        var second = Make("b", new() { ClusterIP = "10.96.0.21", ExternalIPs = ["192.0.2.1"], Ports = [Tcp(80, 0)] });
        var ports = ServiceTable.Build([second, first],
            [Slice("a", "", "TCP", 80, ("10.244.0.1", Node, null)), Slice("b", "", "TCP", 80, ("10.244.0.2", Node, null))], Node);
        var text = ServiceRules.Render(new(IPAddress.Parse("172.18.0.2"), Cidr.Parse("10.244.0.0/16"), ports));
        Assert.Contains("192.0.2.1 . tcp . 80 : goto s.ns.a.tcp.80", text);
        Assert.DoesNotContain("192.0.2.1 . tcp . 80 : goto s.ns.b.tcp.80", text);
    }

    [Fact]
    public void Only_UDP_flows_to_endpoints_that_left_are_forgotten()
    {
        var service = Make("names", new() { ClusterIP = "10.96.0.10", Ports = [new() { Port = 53, Protocol = "UDP" }, Tcp(53, 0)] });
        var two = ServiceTable.Build([service], [Slice("names", "", "UDP", 53, ("10.244.0.2", Node, null), ("10.244.0.3", Node, null))], Node);
        var one = ServiceTable.Build([service], [Slice("names", "", "UDP", 53, ("10.244.0.3", Node, null))], Node);
        var node = IPAddress.Parse("172.18.0.2");
        var dns = IPAddress.Parse("10.96.0.10");
        Assert.Equal([new StaleFlow(dns, 53, IPAddress.Parse("10.244.0.2"))], StaleFlows.Between(two, one, node));
        Assert.Empty(StaleFlows.Between(one, two, node));
        Assert.Equal([new StaleFlow(dns, 53, null)], StaleFlows.Between(two, [], node));
        Assert.Equal([new StaleFlow(dns, 53, null)], StaleFlows.Between(null, one, node));
    }

    private static Service Make(string name, ServiceSpec spec, params string[] balancer) => new()
    {
        Metadata = new() { Name = name, Namespace = "ns" },
        Spec = spec,
        Status = new() { LoadBalancer = new() { Ingress = [.. balancer.Select(ip => new LoadBalancerIngress { Ip = ip })] } },
    };

    private static ServicePort Tcp(int port, int nodePort) => new() { Port = port, NodePort = nodePort };

    private static EndpointSlice Slice(string service, string portName, string protocol, int port,
        params (string Address, string Node, SliceConditions? Conditions)[] endpoints) =>
        new()
    {
        Metadata = new() { Name = $"{service}-1", Namespace = "ns", Labels = new() { ["kubernetes.io/service-name"] = service } },
        Ports = [new() { Name = portName, Port = port, Protocol = protocol }],
        Endpoints = [.. endpoints.Select(e => new SliceEndpoint { Addresses = [e.Address], NodeName = e.Node, Conditions = e.Conditions ?? new() })],
    };
}

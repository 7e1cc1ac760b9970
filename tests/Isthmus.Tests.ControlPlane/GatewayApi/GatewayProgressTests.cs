using Isthmus.Graph.Derive;
using Isthmus.Core.Collections;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Mesh.Config.GatewayApi;
using Isthmus.Mesh.Model.GatewayApi;
using Isthmus.Mesh.Resolve.GatewayApi;
using Xunit;

namespace Isthmus.Tests.ControlPlane.GatewayApi;

/// <summary>Whether Gateways are served, and at which addresses.</summary>
public sealed class GatewayProgressTests
{
    private const string Controller = GatewayClasses.Controller;

    [Theory]
    [InlineData("", null, false, "Programmed False Pending", "")]
    [InlineData("", "LoadBalancer", true, "Programmed False AddressNotAssigned", "")]
    [InlineData("", "LoadBalancer 192.0.2.1", false, "Programmed False Pending", "IPAddress 192.0.2.1")]
    [InlineData("", "LoadBalancer 192.0.2.1", true, "Programmed True Programmed", "IPAddress 192.0.2.1")]
    [InlineData("", "LoadBalancer lb.example", true, "Programmed True Programmed", "Hostname lb.example")]
    [InlineData("", "ClusterIP", true, "Programmed True Programmed", "Hostname front.shop.svc.cluster.local")]
    [InlineData("{value: 192.0.2.1}", "LoadBalancer 192.0.2.1", true, "Programmed True Programmed", "IPAddress 192.0.2.1")]
    [InlineData("{value: 192.0.2.9}", "LoadBalancer", true, "Programmed False AddressNotUsable", "")]
    [InlineData("{value: 192.0.2.1}, {value: 192.0.2.9}", "LoadBalancer 192.0.2.1", true, "Programmed False AddressNotUsable", "IPAddress 192.0.2.1")]
    [InlineData("{type: IPAddress}", "LoadBalancer 192.0.2.1", true, "Programmed True Programmed", "IPAddress 192.0.2.1")]
    [InlineData("{type: Hostname, value: front}", "ClusterIP", true, "Programmed True Programmed", "Hostname front.shop.svc.cluster.local")]
    [InlineData("{type: Hostname, value: front.shop.svc.cluster.local}", null, false, "Programmed False AddressNotUsable", "")]
    [InlineData("{type: Hostname, value: front.other}", "ClusterIP", true, "Programmed False AddressNotUsable", "")]
    [InlineData("{type: Hostname, value: www.example.com}", null, false, "Programmed False AddressNotUsable", "")]
    [InlineData("{type: example.com/name, value: a}", null, false, "Accepted False UnsupportedAddress, Programmed False Invalid", "")]
    [InlineData("{type: Hostname, value: front}, {value: 192.0.2.1}", null, false, "Accepted False UnsupportedAddress, Programmed False Invalid", "")]
    public void The_Service_says_so(string addresses, string? service, bool isReady, string conditions, string reported)
    {
        var status = Complete(Gateway(addresses), new(service is null ? null : ServiceOf(service), isReady, null));
        Assert.Equal(conditions, Text(status, conditions.Contains("Accepted", StringComparison.Ordinal)));
        Assert.Equal(reported, string.Join(", ", status.Addresses.Select(address => $"{address.Type} {address.Value}")));
    }

    [Fact]
    public void A_port_that_the_bound_Service_lacks_is_named()
    {
        var gateway = Gateway("{type: Hostname, value: front}", "{name: other, port: 9090, protocol: HTTP}");
        var programmed = Complete(gateway, new(ServiceOf("ClusterIP"), true, null)).Conditions.Single(condition => condition.Type == "Programmed");
        Assert.Equal((false, "AddressNotUsable", "Service shop/front has no port 9090 (listener other)"),
            (programmed.Status, programmed.Reason, programmed.Message));
    }

    [Fact]
    public void What_the_cluster_refuses_is_in_the_status()
    {
        Assert.Equal("Programmed False NoResources",
            Text(Complete(Gateway(""), new(ServiceOf("LoadBalancer 192.0.2.1"), true, new(false, "NoResources", "exceeded quota"))), false));
        Assert.Equal("Accepted False InvalidParameters, Programmed False Invalid",
            Text(Complete(Gateway(""), new(null, false, new(true, "InvalidParameters", "no such map"))), true));
    }

    [Fact]
    public void Listeners_that_are_not_valid_weigh_more()
    {
        var judged = new GatewayStatus(default, 1, [new("Accepted", false, "ListenersNotValid", "none"), new("Programmed", false, "ListenersNotValid", "none")],
            default, default, 0);
        Assert.Equal("Accepted False ListenersNotValid, Programmed False ListenersNotValid",
            Text(GatewayProgress.Complete(judged, Gateway(""), Controller, new(ServiceOf("LoadBalancer 192.0.2.1"), true, null)), true));
    }

    [Fact]
    public void A_Gateway_that_runs_elsewhere_has_the_addresses_that_it_says()
    {
        var status = GatewayProgress.Complete(Judged, Gateway("{value: 198.51.100.1}"), GatewayClasses.Unmanaged, new(null, false, null));
        Assert.Equal("Programmed True Programmed", Text(status, false));
        Assert.Equal([new("IPAddress", "198.51.100.1")], status.Addresses);
        Assert.Equal("AddressesAssigned True Assigned", TextOf(status, "AddressesAssigned"));
        Assert.Equal("Programmed False AddressNotAssigned",
            Text(GatewayProgress.Complete(Judged, Gateway(""), GatewayClasses.Unmanaged, new(null, false, null)), false));
    }

    [Fact]
    public void Gateways_for_other_clusters_have_their_ClusterIP_too() =>
        Assert.Equal(
            [
                new("IPAddress", "10.96.0.7") { Routability = "Cluster" },
                new("Hostname", "front.shop.svc.cluster.local") { Routability = "Cluster" },
            ],
            GatewayProgress.Complete(Judged, Gateway(""), GatewayClasses.EastWest, new(ServiceOf("ClusterIP"), true, null)).Addresses);

    /// <summary>Each address is for one request, with the routability that was asked for.</summary>
    [Theory]
    [InlineData("", "LoadBalancer 192.0.2.1", "True Assigned", "True Programmed", "192.0.2.1 ")]
    [InlineData("", "LoadBalancer", "False NotAssigned", "False AddressNotAssigned", "")]
    [InlineData("{type: IPAddress, routability: ''}", "LoadBalancer 192.0.2.1", "True Assigned", "True Programmed", "192.0.2.1 ")]
    [InlineData("{routability: testing.x-k8s.io/sentinel}", "LoadBalancer 192.0.2.1", "True Assigned", "True Programmed",
        "192.0.2.1 testing.x-k8s.io/sentinel")]
    [InlineData("{routability: External}", "LoadBalancer 192.0.2.1", "True Assigned", "True Programmed", "192.0.2.1 External")]
    [InlineData("{routability: Cluster}", "ClusterIP", "True Assigned", "True Programmed", "10.96.0.7 Cluster")]
    [InlineData("{value: 10.96.0.7, routability: Cluster}", "ClusterIP", "True Assigned", "True Programmed", "10.96.0.7 Cluster")]
    [InlineData("{routability: Cluster}, {routability: ''}", "LoadBalancer 192.0.2.1", "True Assigned", "True Programmed", "10.96.0.7 Cluster, 192.0.2.1 ")]
    [InlineData("{routability: Cluster}, {routability: ''}", "LoadBalancer", "False PartiallyAssigned", "True Programmed", "10.96.0.7 Cluster")]
    [InlineData("{value: 192.0.2.9, routability: Cluster}, {routability: ''}", "LoadBalancer 192.0.2.1", "False PartiallyAssigned", "True Programmed",
        "192.0.2.1 ")]
    [InlineData("{value: 192.0.2.9, routability: Cluster}", "ClusterIP", "False NotAssigned", "False AddressNotAssigned", "")]
    [InlineData("{routability: example.com/wan}", "LoadBalancer 192.0.2.1", "False NotAssigned", "False AddressNotAssigned", "")]
    [InlineData("{routability: External}", "ClusterIP", "False NotAssigned", "False AddressNotAssigned", "")]
    [InlineData("{type: IPAddress}, {type: IPAddress}", "LoadBalancer 192.0.2.1", "False PartiallyAssigned", "True Programmed", "192.0.2.1 ")]
    [InlineData("{value: '2001:DB8::0:1'}", "LoadBalancer 2001:db8::1", "True Assigned", "True Programmed", "2001:db8::1 ")]
    public void Each_request_has_an_address_of_its_own(string addresses, string service, string assigned, string programmed, string reported)
    {
        var status = Complete(Gateway(addresses), new(ServiceOf(service), true, null));
        Assert.Equal($"AddressesAssigned {assigned}, Programmed {programmed}", TextOf(status, "AddressesAssigned", "Programmed"));
        Assert.Equal(reported, string.Join(", ", status.Addresses.Select(address => $"{address.Value} {address.Routability}")));
    }

    /// <summary>Then it was not deployed, or its Service has another address.</summary>
    [Fact]
    public void An_address_that_the_cluster_refuses_leaves_none()
    {
        var status = Complete(Gateway("{value: 192.0.2.9, routability: Cluster}, {routability: ''}"),
            new(ServiceOf("LoadBalancer 192.0.2.1"), true, new(false, GatewayTrouble.NoAddress, "192.0.2.9 is not in the valid range")));
        Assert.Equal("AddressesAssigned False NotAssigned, Programmed False AddressNotAssigned", TextOf(status, "AddressesAssigned", "Programmed"));
        Assert.All(status.Conditions.Where(condition => condition.Status is false), condition => Assert.Contains("192.0.2.9", condition.Message,
            StringComparison.Ordinal));
        Assert.Empty(status.Addresses);
    }

    [Fact]
    public void What_is_missing_is_named()
    {
        var gateway = Gateway("{value: 192.0.2.9, routability: Cluster}, {routability: ''}, {routability: example.com/wan}");
        var condition = Complete(gateway, new(ServiceOf("LoadBalancer 192.0.2.1"), true, null)).Conditions
            .Single(condition => condition.Type == "AddressesAssigned");
        Assert.Equal("The Gateway did not get 192.0.2.9 with the routability Cluster, an address of type IPAddress with the routability example.com/wan, which "
            + "is not known: ask for Cluster, or leave it out", condition.Message);
    }

    private static GatewayStatus Judged => new(default, 1, [new("Accepted", true, "Accepted", "")], default, default, 0);

    private static GatewayStatus Complete(ApiGateway gateway, GatewayPlace place) => GatewayProgress.Complete(Judged, gateway, Controller, place);

    private static string Text(GatewayStatus status, bool withAccepted) =>
        string.Join(", ", status.Conditions
        .Where(condition => condition.Type == "Programmed" || (withAccepted && condition.Type != "AddressesAssigned"))
        .Select(condition => $"{condition.Type} {condition.Status} {condition.Reason}"));

    private static string TextOf(GatewayStatus status, params string[] types) => string.Join(", ", status.Conditions
        .Where(condition => types.Contains(condition.Type)).Select(condition => $"{condition.Type} {condition.Status} {condition.Reason}"));

    private static ApiGateway Gateway(string addresses, string listeners = "{name: http, port: 80, protocol: HTTP}") =>
        ApiGatewayReader.Read("c1", (System.Text.Json.Nodes.JsonObject)YamlText.Parse(
        $"{{metadata: {{name: front, namespace: shop}}, spec: {{gatewayClassName: istio, addresses: [{addresses}], listeners: [{listeners}]}}}}", "gateway")!);

    /// <param name="text">Its type, and the address of its load balancer.</param>
    private static Mesh.Model.ClusterService ServiceOf(string text)
    {
        var (type, address) = text.Split(' ') is [var first, var second] ? (first, second) : (text, "");
        var isIp = System.Net.IPAddress.TryParse(address, out _);
        return KubeFacts.Of("c1", new Service
        {
            Metadata = new() { Name = "front", Namespace = "shop" },
            Spec = new() { Type = type, ClusterIP = "10.96.0.7", ClusterIPs = ["10.96.0.7"], Ports = [new() { Name = "http", Port = 80 }] },
            Status = new() { LoadBalancer = new() { Ingress = address.Length == 0 ? [] : [isIp ? new() { Ip = address } : new() { Hostname = address }] } },
        });
    }
}

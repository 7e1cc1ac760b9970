using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.Controllers.Framework;
using Isthmus.Lab.Controllers.Network;
using Xunit;

namespace Isthmus.Tests.Lab.Controllers;

public class LoadBalancerPlanTests
{
    private static readonly AddressPool Small = new("small", [AddressRange.Parse("172.18.1.1-172.18.1.2")!.Value]);
    private static readonly AddressPool Named = new("named", [AddressRange.Parse("172.18.2.0/30")!.Value], AutoAssign: false);

    [Fact]
    public void The_first_free_address_is_given() => Assert.Equal("172.18.1.2", Address(For(Service("a"), [Service("b", "172.18.1.1")])));

    [Fact]
    public void An_address_that_it_has_stays() => Assert.Empty(For(Service("a", "172.18.1.2"), []).Writes);

    [Fact]
    public void When_none_is_left_an_event_says_so()
    {
        var plan = For(Service("a"), [Service("b", "172.18.1.1"), Service("c", "172.18.1.2")]);
        Assert.Empty(plan.Writes);
        Assert.Equal("Failed to allocate IP for \"n/a\": no available IPs", plan.Notes.Single().Message);
    }

    [Theory]
    [InlineData("metallb.universe.tf/address-pool", "named", "172.18.2.0")]
    [InlineData("metallb.universe.tf/loadBalancerIPs", "172.18.2.3", "172.18.2.3")]
    public void Annotations_choose(string annotation, string value, string address) =>
        Assert.Equal(address, Address(For(Service("a", annotation: (annotation, value)), [])));

    [Theory]
    [InlineData("metallb.universe.tf/address-pool", "none", "unknown pool")]
    [InlineData("metallb.universe.tf/loadBalancerIPs", "10.0.0.1", "is not allowed")]
    [InlineData("metallb.universe.tf/loadBalancerIPs", "172.18.1.1", "already in use")]
    public void What_cannot_be_is_said(string annotation, string value, string says) =>
        Assert.Contains(says, For(Service("a", annotation: (annotation, value)), [Service("b", "172.18.1.1")]).Notes.Single().Message,
            StringComparison.Ordinal);

    [Theory]
    [InlineData("metallb.universe.tf/loadBalancerIPs", "172.18.2.3, 172.18.1.2", "172.18.2.3 172.18.1.2", "")]
    [InlineData("metallb.io/loadBalancerIPs", "172.18.2.3,192.0.2.1", "172.18.2.3", "[\"192.0.2.1\"] is not allowed")]
    public void Several_addresses_are_given_and_those_that_cannot_be_are_named(string annotation, string value, string addresses, string says)
    {
        var plan = For(Service("a", annotation: (annotation, value)), [Service("b", "172.18.1.1")]);
        Assert.Equal(addresses.Split(' '), plan.Writes.Single().Body!["status"]!["loadBalancer"]!["ingress"]!.AsArray().Select(item => (string?)item!["ip"]));
        Assert.Equal(says.Length > 0, plan.Notes.Any(note => note.Message.Contains("is not allowed", StringComparison.Ordinal)));
        Assert.Contains(plan.Notes, note => note.Message.Contains(says, StringComparison.Ordinal));
    }

    [Fact]
    public void Another_type_gives_the_address_back()
    {
        var plan = For(Service("a", "172.18.1.1", type: "ClusterIP"), []);
        Assert.Null(plan.Writes.Single().Body!["status"]!["loadBalancer"]!["ingress"]);
    }

    [Theory]
    [InlineData("172.18.1.230-172.18.1.240", 11)]
    [InlineData("172.18.0.0/24", 256)]
    [InlineData("172.18.0.9", 1)]
    [InlineData("172.18.0.9-172.18.0.1", 0)]
    [InlineData("fc00::/64", 0)]
    [InlineData("nonsense", 0)]
    public void Ranges_are_read_as_people_write_them(string text, int count) =>
        Assert.Equal(count, AddressRange.Parse(text) is { } range ? (int)(range.Last - range.First + 1) : 0);

    [Fact]
    public void Addresses_that_old_systems_mistake_can_be_left_out() =>
        Assert.Equal(AddressRange.Number("172.18.0.1"),
            new AddressPool("p", [AddressRange.Parse("172.18.0.0/24")!.Value], AvoidBuggyIPs: true).FirstFree(new HashSet<uint>()));

    private static Plan For(Service service, Service[] others) => LoadBalancerPlan.For(service, [service, .. others], [Small, Named]);

    private static string? Address(Plan plan) => (string?)plan.Writes.Single().Body!["status"]!["loadBalancer"]!["ingress"]![0]!["ip"];

    private static Service Service(string name, string? address = null, string type = "LoadBalancer", (string Key, string Value)? annotation = null) => new()
    {
        Metadata = new() { Name = name, Namespace = "n", Annotations = annotation is { } pair ? new() { [pair.Key] = pair.Value } : [] },
        Spec = new() { Type = type }, Status = new() { LoadBalancer = new() { Ingress = address is null ? [] : [new() { Ip = address }] } },
    };
}

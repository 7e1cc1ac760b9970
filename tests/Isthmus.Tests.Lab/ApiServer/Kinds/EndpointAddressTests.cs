using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Kinds;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Registry;
using Xunit;

namespace Isthmus.Tests.Lab.ApiServer.Kinds;

/// <summary>Endpoints lead the traffic of others, so none may lead to what is local to a node, such as the API server's own loopback.</summary>
public sealed class EndpointAddressTests : IDisposable
{
    private const string Loopback = "may not be in the loopback range (127.0.0.0/8, ::1/128)";
    private const string LinkLocal = "may not be in the link-local range (169.254.0.0/16, fe80::/10)";
    private const string Multicast = "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)";

    private readonly StoreRig _rig = new();

    public void Dispose() => _rig.Dispose();

    [Theory]
    [InlineData("127.0.0.1", Loopback)]
    [InlineData("127.255.0.9", Loopback)]
    [InlineData("::1", Loopback)]
    [InlineData("::ffff:127.0.0.1", Loopback)]
    [InlineData("169.254.169.254", LinkLocal)]
    [InlineData("fe80::1", LinkLocal)]
    [InlineData("febf::1", LinkLocal)]
    [InlineData("224.0.0.251", Multicast)]
    [InlineData("ff02::fb", Multicast)]
    [InlineData("ff12::1", Multicast)]
    [InlineData("0.0.0.0", "may not be unspecified (0.0.0.0)")]
    [InlineData("::", "may not be unspecified (::)")]
    public void Special_addresses_are_refused_wherever_nodes_send_traffic_to_them(string address, string problem)
    {
        var type = address.Contains(':', StringComparison.Ordinal) ? "IPv6" : "IPv4";
        var expected = $"Invalid value: \"{address}\": {problem}";
        Assert.Equal($"endpoints[0].addresses[0]: {expected}", Assert.Single(Slice(type, address)));
        Assert.Equal(
            [$"subsets[0].addresses[0].ip: {expected}", $"subsets[0].notReadyAddresses[0].ip: {expected}"],
            Errors("", "endpoints",
                $$$"""{"subsets": [{"addresses": [{"ip": "{{{address}}}"}], "notReadyAddresses": [{"ip": "{{{address}}}"}], "ports": [{"port": 80}]}]}"""));
        Assert.Contains($"spec.externalIPs[0]: {expected}",
            Errors("", "services", $$$"""{"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}], "externalIPs": ["{{{address}}}"]}}"""));
    }

    [Theory]
    [InlineData("IPv4", "10.244.0.7")]
    [InlineData("IPv4", "169.253.0.1")]
    [InlineData("IPv4", "224.0.1.1")]
    [InlineData("IPv6", "2001:db8::7")]
    [InlineData("IPv6", "fec0::1")]
    [InlineData("IPv6", "ff05::1")]
    [InlineData("FQDN", "web.example.org")]
    public void Others_pass(string type, string address) => Assert.Empty(Slice(type, address));

    [Theory]
    [InlineData("IPv4", "2001:db8::7")]
    [InlineData("IPv4", "010.0.0.1")]
    [InlineData("IPv4", "10.1")]
    [InlineData("IPv6", "10.244.0.7")]
    [InlineData("IPv6", "[2001:db8::7]")]
    [InlineData("IPv6", "[2001:db8::7]:80")]
    [InlineData("IPv6", "2001:db8::7%eth0")]
    public void An_address_is_one_of_its_family(string type, string address) =>
        Assert.Equal($"endpoints[0].addresses[0]: Invalid value: \"{address}\": must be a valid {type} address", Assert.Single(Slice(type, address)));

    [Fact]
    public void A_host_of_Pods_without_networks_may_allow_loopback_and_nothing_else()
    {
        var slices = new EndpointSliceStrategy(loopback: true);
        Assert.Empty(Slice("IPv4", "127.1.2.3", slices));
        Assert.Single(Slice("IPv4", "169.254.169.254", slices));
    }

    private IEnumerable<string> Slice(string type, string address, KindStrategy? strategy = null) => Errors(
        Resources.DiscoveryGroup, "endpointslices",
        $$$"""{"addressType": "{{{type}}}", "endpoints": [{"addresses": ["{{{address}}}"]}], "ports": [{"name": "", "port": 80, "protocol": "TCP"}]}""",
        strategy);

    private IEnumerable<string> Errors(string group, string plural, string json, KindStrategy? strategy = null)
    {
        var kind = _rig.Kind(group, "v1", plural);
        var o = (JsonObject)JsonNode.Parse(json)!;
        kind.Strategy.Default(o);
        return (strategy ?? kind.Strategy).Validate(o, _rig.Write(kind)).Select(error => error.ToString());
    }
}

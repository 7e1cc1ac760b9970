using Google.Protobuf.WellKnownTypes;
using Isthmus.Proxy.Filters;
using Isthmus.Proxy.Matching;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.HttpFilters.CdnLoops;
using Isthmus.Wire.Envoy.NetworkFilters;
using Xunit;

namespace Isthmus.Tests.Proxy;

/// <summary>The name of a network in a cdn_loop filter. What becomes of requests, the cases beside Envoy show.</summary>
public sealed class LoopFilterTests
{
    [Theory]
    [InlineData("shop", true)]
    [InlineData("shop.example:8080", true)]
    [InlineData("[2001:db8::1]:80", true)]
    [InlineData("", false)]
    [InlineData("a b", false)]
    [InlineData("a, b", false)]
    [InlineData("a;b=c", false)]
    [InlineData("[::1", false)]
    [InlineData("é", false)]
    public void A_network_is_a_host_or_a_name(string id, bool isTaken)
    {
        Any config = TypeNames.Pack(new CdnLoopConfig { CdnId = id });
        var filters = new HttpFilters("", [new HttpFilter { Name = "loops", TypedConfig = config }], []);
        if (isTaken) filters.TakeAll();
        else Assert.Contains("cdn_loop: ", Assert.Throws<ResourceException>(filters.TakeAll).Message, StringComparison.Ordinal);
        Assert.Equal(isTaken ? ["loops"] : [], filters.Policies);
    }
}

using Isthmus.Operate.GlobalNames;
using Xunit;

namespace Isthmus.Tests.Operate.GlobalNames;

public sealed class CorefileZoneTests
{
    private const string Own =
        ".:53 {\n    errors\n    health {\n        lameduck 5s\n    }\n    forward . /etc/resolv.conf {\n      max_concurrent 1000\n    }\n}\n";
    private static readonly string Block = CorefileZone.Block("global", "10.96.1.2");

    [Fact]
    public void A_zone_that_comes_and_goes_leaves_the_rest_to_the_letter()
    {
        var with = CorefileZone.With(Own, "global", Block);
        Assert.Equal(Own + Block, with);
        Assert.Equal(Block, CorefileZone.Find(with, "global"));
        Assert.Equal(Own, CorefileZone.Without(with, "global"));
    }

    [Theory]
    [InlineData("global:53 {\n    errors\n    forward . 10.0.0.9:53 {\n    }\n}\n")]
    [InlineData("global {\n    forward . 10.0.0.9\n}\n")]
    public void A_block_of_the_zone_is_replaced_where_it_stands(string other)
    {
        Assert.Equal(other, CorefileZone.Find(other + Own, "global"));
        Assert.Equal(Block + Own, CorefileZone.With(other + Own, "global", Block));
    }

    [Theory]
    [InlineData("")]
    [InlineData("# global:53 {\n")]
    [InlineData("example.global:53 {\n    errors\n}\n")]
    public void Other_zones_are_not_mistaken_for_it(string corefile)
    {
        Assert.Null(CorefileZone.Find(corefile, "global"));
        Assert.Equal(corefile, CorefileZone.Without(corefile, "global"));
    }
}

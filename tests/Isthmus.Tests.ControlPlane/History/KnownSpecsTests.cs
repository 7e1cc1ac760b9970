using System.Text.Json.Nodes;
using Isthmus.Graph.History;
using Xunit;

namespace Isthmus.Tests.ControlPlane.History;

/// <summary>With what the next version of an object is compared.</summary>
public sealed class KnownSpecsTests
{
    /// <summary>A list whose last page fails has no effect, and is read once more.</summary>
    [Fact]
    public void What_was_read_of_a_list_that_failed_is_still_a_change_when_it_is_read_again()
    {
        var (room, key) = (new SpecRoom(1 << 20), "shop/rule");
        var specs = new KnownSpecs(room);
        Assert.Empty(specs.Changed(key, Spec(1)));
        specs.Passed([(key, false)]);
        Assert.Equal(["spec.a"], specs.Changed(key, Spec(2)));
        Assert.Empty(specs.Changed("shop/gone", Spec(1)));
        Assert.Equal(["spec.a"], specs.Changed(key, Spec(2)));
        specs.Passed([(key, false)]);
        Assert.Empty(specs.Changed(key, Spec(2)));
        Assert.Equal(["spec.a"], specs.Changed(key, Spec(3)));
        Assert.Equal(Length(1), room.Taken);
    }

    [Fact]
    public void A_deletion_that_comes_late_does_not_take_along_what_is_read_after_it()
    {
        var specs = new KnownSpecs(new(1 << 20));
        specs.Changed("shop/rule", Spec(1));
        specs.Passed([("shop/rule", false)]);
        specs.Passed([("shop/rule", true)]);
        Assert.Empty(specs.Changed("shop/rule", Spec(2)));
        specs.Passed([("shop/rule", false)]);
        Assert.Equal(["spec.a"], specs.Changed("shop/rule", Spec(3)));
    }

    [Fact]
    public void All_watches_share_the_room_and_give_back_what_they_do_not_need()
    {
        var room = new SpecRoom(2 * Length(1));
        var (one, other) = (new KnownSpecs(room), new KnownSpecs(room));
        foreach (var key in (string[])["a", "b"]) one.Changed(key, Spec(1));
        one.Passed([("a", false), ("b", false)]);
        Assert.Empty(other.Changed("c", Spec(1)));
        other.Passed([("c", false)]);
        // Of this one nothing is known.
        Assert.Empty(other.Changed("c", Spec(2)));
        Assert.Equal(2 * Length(1), room.Taken);
        // The next version of an object takes the place of the one before, and gives it back if it is not passed on.
        Assert.Equal(["spec.a"], one.Changed("a", Spec(2)));
        Assert.Equal(["spec.a"], one.Changed("a", new JsonObject { ["a"] = "longer than there is room for" }));
        one.Passed([]);
        Assert.Equal(2 * Length(1), room.Taken);
        one.Passed([("a", true)]);
        other.Passed([]);
        other.Changed("c", Spec(2));
        other.Passed([("c", false)]);
        Assert.Equal(["spec.a"], other.Changed("c", Spec(3)));
        other.Clear();
        one.Clear();
        Assert.Equal(0, room.Taken);
    }

    private static JsonObject Spec(int a) => new() { ["a"] = a };

    private static int Length(int a) => Spec(a).ToJsonString().Length;
}

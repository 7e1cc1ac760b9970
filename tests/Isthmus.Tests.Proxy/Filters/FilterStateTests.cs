using FsCheck;
using FsCheck.Fluent;
using Isthmus.Proxy.Transports;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Proxy.Filters;

/// <summary>What filters say of a request, and who else hears of it.</summary>
public sealed class FilterStateTests
{
    // Texts that look like pieces of the written form.
    private static readonly string[] Texts = ["", "a", "b", "a=1:b0w", "1:a=", "0w", "1:b0w1:a=1:b0w", "é"];

    [Fact]
    public void Objects_go_as_far_as_their_sharing_says()
    {
        var here = FilterState.Empty.With("own", new("1")).With("once", new("2", StateSharing.Once)).With("all", new("3", StateSharing.Transitive));
        Assert.Equal(("1", "2", "3"), (here.Find("own"), here.Find("once"), here.Find("all")));
        var next = here.Shared;
        Assert.Equal((null, "2", "3"), (next.Find("own"), next.Find("once"), next.Find("all")));
        var last = next.Shared;
        Assert.Equal((null, null, "3"), (last.Find("own"), last.Find("once"), last.Find("all")));
        Assert.Equal("3", last.Shared.Find("all"));
    }

    [Fact]
    public void What_is_not_shared_leaves_nothing()
    {
        Assert.True(FilterState.Empty.With("own", new("1")).Shared.IsEmpty);
        Assert.Same(FilterState.Empty, FilterState.Empty.Shared);
        Assert.True(FilterState.Empty.With("once", new("1", StateSharing.Once)).Shared.Shared.IsEmpty);
    }

    [Fact]
    public void Another_value_takes_the_place_of_one_that_is_not_read_only()
    {
        var first = FilterState.Empty.With("a", new("1")).With("fixed", new("1", IsReadOnly: true));
        var changed = first.With("a", new("2")).With("fixed", new("2"));
        Assert.Equal(("2", "1"), (changed.Find("a"), changed.Find("fixed")));
        Assert.Equal("1", first.Find("a"));
    }

    [Theory]
    [InlineData("10.0.0.1:80", "10.0.0.1:80")]
    [InlineData("[2001:db8::1]:80", "[2001:db8::1]:80")]
    // Ranges of IPv4 in chains and policies see an IPv4 address, however a client writes it.
    [InlineData("[::ffff:10.0.0.1]:80", "10.0.0.1:80")]
    [InlineData("10.0.0.1", null)]
    [InlineData("10.0.0.1:", null)]
    [InlineData("10.0.0.1:0", null)]
    [InlineData("10.0.0.1:65536", null)]
    [InlineData("10.0.0.1: 80", null)]
    [InlineData("10.1:80", null)]
    [InlineData("[10.0.0.1]:80", null)]
    [InlineData("2001:db8::1:80", null)]
    [InlineData("[2001:db8::1]", null)]
    [InlineData("8080", null)]
    [InlineData("shop:80", null)]
    [InlineData("-", null)]
    [InlineData("", null)]
    public void Only_an_IP_address_with_a_port_is_an_address(string text, string? address)
    {
        var state = FilterState.Empty.With("a", new(text));
        Assert.Equal((address, text, null), (state.Address("a")?.ToString(), state.Find("a"), state.Address("b")));
    }

    /// <summary>Connections are shared by those who have the same text, so two callers must not have the same.</summary>
    [Fact]
    public void The_same_text_is_that_of_the_same_objects() => Prop.ForAll(ArbMap.Default.ArbFor<int>(), seed =>
    {
        var random = new System.Random(seed);
        string Text() => string.Concat(Enumerable.Range(0, random.Next(1, 3)).Select(_ => Texts[random.Next(Texts.Length)]));
        Dictionary<string, StateObject> Objects() => Enumerable.Range(0, random.Next(4)).Select(_ => Text()).Distinct()
            .ToDictionary(key => key, _ => new StateObject(Text(), (StateSharing)random.Next(3), random.Next(2) == 0));
        FilterState State(IEnumerable<KeyValuePair<string, StateObject>> objects) =>
            objects.Aggregate(FilterState.Empty, (state, one) => state.With(one.Key, one.Value));
        var one = Objects();
        Assert.Equal(State(one).Text, State(one.Reverse()).Text);
        for (var i = 0; i < 20; i++)
        {
            var other = Objects();
            Assert.Equal(one.Count == other.Count && one.All(pair => other.TryGetValue(pair.Key, out var value) && value == pair.Value),
                State(one).Text == State(other).Text);
        }
    }).MustHold(500);

    [Fact]
    public void A_key_that_looks_like_another_object_is_not_that_object() => Assert.NotEqual(
        FilterState.Empty.With("a", new("b")).With("c", new("d")).Text, FilterState.Empty.With("a=1:b0wc", new("d")).Text);
}

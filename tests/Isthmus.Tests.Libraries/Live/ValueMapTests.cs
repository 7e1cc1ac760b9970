using FsCheck.Fluent;
using Isthmus.Core.Collections;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Libraries.Live;

/// <summary>Maps are equal when their pairs are, however they were made.</summary>
public sealed class ValueMapTests
{
    private static readonly ValueMap<string> Labels = Of(("app", "web"), ("version", "v1"));

    [Fact]
    public void A_map_equals_one_with_the_same_pairs()
    {
        Assert.Equal(Labels, Labels);
        Assert.Equal(Labels, Of(("version", "v1"), ("app", "web")));
        Assert.Equal(ValueMap<string>.Empty, Of());
        Assert.Equal(default, Of());
    }

    [Fact]
    public void Another_key_value_or_number_of_pairs_makes_another_map()
    {
        Assert.NotEqual(Labels, Of(("app", "web"), ("version", "v2")));
        Assert.NotEqual(Labels, Of(("app", "web"), ("revision", "v1")));
        Assert.NotEqual(Labels, Of(("app", "web")));
        Assert.NotEqual(Of(("app", "web")), Labels);
        Assert.NotEqual(Labels, default);
        // Keys are not words: case counts.
        Assert.NotEqual(Labels, Of(("App", "web"), ("version", "v1")));
    }

    [Fact]
    public void Equality_is_that_of_the_pairs()
    {
        var map = Gen.Choose(0, 3).ListOf(3).Select(values => values.Index().Where(item => item.Item > 0)
            .Select(item => KeyValuePair.Create($"key{item.Index}", $"{item.Item}")).ToValueMap());
        Prop.ForAll(map.Two().ToArbitrary(), pair =>
        {
            var (one, other) = pair;
            var isSame = one.Items.Keys.Union(other.Items.Keys).All(key => one.Items.GetValueOrDefault(key) == other.Items.GetValueOrDefault(key));
            return one.Equals(other) == isSame && (!isSame || one.GetHashCode() == other.GetHashCode());
        }).MustHold(1000);
    }

    private static ValueMap<string> Of(params (string Key, string Value)[] pairs) =>
        pairs.Select(pair => KeyValuePair.Create(pair.Key, pair.Value)).ToValueMap();
}

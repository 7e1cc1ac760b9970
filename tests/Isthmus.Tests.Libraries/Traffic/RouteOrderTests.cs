using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;
using Xunit;

namespace Isthmus.Tests.Libraries.Traffic;

/// <summary>Which rule of several objects applies.</summary>
public sealed class RouteOrderTests
{
    [Fact]
    public void Listed_sets_stay_as_they_are()
    {
        RouteSet[] sets = [Set("b", 2, RoutePrecedence.Listed, Rule("late")), Set("a", 1, RoutePrecedence.Listed, Rule("early", Path(MatchKind.Exact, "/x")))];
        Assert.Equal(sets, RouteOrder.Settled(sets));
    }

    [Fact]
    public void The_most_exact_match_comes_first_whichever_object_has_it()
    {
        var older = Set("older", 1, RoutePrecedence.Exactness,
            Rule("everything"),
            Rule("regex", Path(MatchKind.Regex, "/a/very/long/.*")),
            Rule("both", Path(MatchKind.PathPrefix, "/a"), Path(MatchKind.Exact, "/a")));
        var newer = Set("newer", 2, RoutePrecedence.Exactness,
            Rule("queries", Path(MatchKind.PathPrefix, "/a") with { QueryParams = One("q") }),
            Rule("headers", Path(MatchKind.PathPrefix, "/a") with { Headers = One("h") }),
            Rule("method", Path(MatchKind.PathPrefix, "/a") with { Method = new(MatchKind.Exact, "GET") }),
            Rule("longer", Path(MatchKind.PathPrefix, "/a/b")));
        var settled = Assert.Single(RouteOrder.Settled([newer, older]));
        Assert.Equal("both longer method headers queries both everything regex", string.Join(' ', settled.Rules.Select(rule => rule.Name)));
        Assert.Equal(("older", RoutePrecedence.Listed), (settled.Name, settled.Precedence));
        Assert.All(settled.Rules, rule => Assert.True(rule.Matches.Count <= 1));
    }

    [Fact]
    public void Of_equal_matches_the_older_object_wins_then_the_name_then_the_place_in_the_list()
    {
        var match = Path(MatchKind.PathPrefix, "/a");
        var settled = Assert.Single(RouteOrder.Settled(
        [
            Set("b", 1, RoutePrecedence.Exactness, Rule("b1", match), Rule("b2", match)),
            Set("a", 1, RoutePrecedence.Exactness, Rule("a1", match)),
            Set("z", 0, RoutePrecedence.Exactness, Rule("z1", match)),
        ]));
        Assert.Equal(["z1", "a1", "b1", "b2"], settled.Rules.Select(rule => rule.Name));
    }

    [Fact]
    public void Rules_compete_with_those_of_the_same_host_and_parent_only()
    {
        var two = Set("two", 1, RoutePrecedence.Exactness, Rule("two")) with { Hosts = ["x", "y"] };
        var one = Set("one", 2, RoutePrecedence.Exactness, Rule("one", Path(MatchKind.Exact, "/"))) with { Hosts = ["y"] };
        var settled = RouteOrder.Settled([two, one, Set("listed", 0, RoutePrecedence.Listed, Rule("listed"))]).ToList();
        Assert.Equal(["x: listed", "x: two", "y: one two"], settled.Select(set => $"{set.Hosts[0]}: {string.Join(' ', set.Rules.Select(rule => rule.Name))}"));
    }

    private static RouteSet Set(string name, long created, RoutePrecedence precedence, params RouteRule[] rules) =>
        new(new("c1", "HTTPRoute", "shop", name), ["x"], [RouteSet.Mesh], ["*"], [.. rules], default, default, created) { Precedence = precedence };

    private static RouteRule Rule(string name, params HttpMatch[] matches) => new(name, [.. matches], default, RouteFilters.None);

    private static HttpMatch Path(MatchKind kind, string path) =>
        new("", new(kind, path), false, null, null, null, default, default, default, 0, default, "", default);

    private static ValueMap<StringMatch> One(string name) =>
        new[] { KeyValuePair.Create(name, new StringMatch(MatchKind.Exact, "1")) }.ToValueMap();
}

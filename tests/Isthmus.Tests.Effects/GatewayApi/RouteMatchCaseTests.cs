using Xunit;
using static Isthmus.Tests.Effects.GatewayApi.RoutedCalls;

namespace Isthmus.Tests.Effects.GatewayApi;

/// <summary>Which rule of a route applies, at a Gateway and in the mesh.</summary>
public sealed class RouteMatchCaseTests
{
    [Theory]
    [InlineData(Place.Gateway)]
    [InlineData(Place.Mesh)]
    public async Task Prefixes_are_of_whole_elements_and_a_match_with_a_header_counts_more_than_the_root(Place place)
    {
        await using var calls = await OfRulesAsync(place, $$"""
            {matches: [{path: {type: PathPrefix, value: /} }, {headers: [{name: version, value: one}]}], {{V1}} },
            {matches: [{path: {type: PathPrefix, value: /v2} }, {headers: [{name: version, value: two}]}], {{V2}} }
            """);
        await calls.ExpectAsync("""
            GET / => v1
            GET /example => v1
            GET / (version: one) => v1
            GET /v2 => v2
            GET /v2/example => v2
            GET / (version: two) => v2
            GET /v2/ => v2
            GET /v2example => v1
            GET /foo/v2/example => v1
            """);
    }

    [Fact]
    public async Task Exact_paths_have_no_other_slash_and_no_other_case()
    {
        await using var calls = await OfRulesAsync(Place.Gateway, $$"""
            {matches: [{path: {type: Exact, value: /one} }], {{V1}} }, {matches: [{path: {type: Exact, value: /two} }], {{V2}} }
            """);
        await calls.ExpectAsync("""
            GET /one => v1
            GET /two => v2
            GET / => 404
            GET /one/example => 404
            GET /two/ => 404
            GET /Two => 404
            """);
    }

    [Fact]
    public async Task Of_paths_the_exact_one_applies_and_then_the_longest_prefix()
    {
        await using var calls = await OfRulesAsync(Place.Gateway, $$"""
            {matches: [{path: {type: Exact, value: /match} }], {{V1}} },
            {matches: [{path: {type: Exact, value: /match/exact} }], {{V2}} },
            {matches: [{path: {type: Exact, value: /match/exact/one} }], {{V3}} },
            {matches: [{path: {type: PathPrefix, value: /match/} }], {{V3}} },
            {matches: [{path: {type: PathPrefix, value: /match/prefix/} }], {{V1}} },
            {matches: [{path: {type: PathPrefix, value: /match/prefix/one} }], {{V2}} }
            """);
        await calls.ExpectAsync("""
            GET /match/exact/one => v3
            GET /match/exact => v2
            GET /match => v1
            GET /match/prefix/one/any => v2
            GET /match/prefix/any => v1
            GET /match/any => v3
            """);
    }

    [Fact]
    public async Task More_headers_count_more_than_fewer()
    {
        await using var calls = await OfRulesAsync(Place.Gateway, $$"""
            {matches: [{headers: [{name: version, value: one}]}], {{V1}} },
            {matches: [{headers: [{name: version, value: two}]}], {{V2}} },
            {matches: [{headers: [{name: version, value: two}, {name: color, value: orange}]}], {{V1}} },
            {matches: [{headers: [{name: color, value: blue}]}, {headers: [{name: color, value: green}]}], {{V1}} },
            {matches: [{headers: [{name: color, value: red}]}, {headers: [{name: color, value: yellow}]}], {{V2}} }
            """);
        await calls.ExpectAsync("""
            GET / (Version: one) => v1
            GET / (Version: two) => v2
            GET / (Version: two; Color: orange) => v1
            GET / (Version: two; Color: blue) => v2
            GET / (Color: orange) => 404
            GET / (Some-Other: one) => 404
            GET / (Color: blue) => v1
            GET / (Color: green) => v1
            GET / (Color: red) => v2
            GET / (Color: yellow) => v2
            GET / (Color: purple) => 404
            """);
    }

    [Fact]
    public async Task Methods_count_more_than_headers_and_less_than_paths()
    {
        await using var calls = await OfRulesAsync(Place.Gateway, $$"""
            {matches: [{method: POST}], {{V1}} },
            {matches: [{method: GET}], {{V2}} },
            {matches: [{path: {type: PathPrefix, value: /path1}, method: GET}], {{V1}} },
            {matches: [{headers: [{name: version, value: one}], method: PUT}], {{V2}} },
            {matches: [{path: {type: PathPrefix, value: /path2}, headers: [{name: version, value: two}], method: POST}], {{V3}} },
            {matches: [{path: {type: PathPrefix, value: /path3}, method: PATCH},
              {path: {type: PathPrefix, value: /path4}, headers: [{name: version, value: three}], method: DELETE}], {{V1}} },
            {matches: [{path: {type: PathPrefix, value: /path5} }], {{V1}} },
            {matches: [{method: PATCH}], {{V2}} },
            {matches: [{headers: [{name: version, value: four}]}], {{V3}} }
            """);
        await calls.ExpectAsync("""
            POST / => v1
            GET / => v2
            HEAD / => 404
            GET /path1 => v1
            PUT / (version: one) => v2
            POST /path2 (version: two) => v3
            PATCH /path3 => v1
            DELETE /path4 (version: three) => v1
            PUT / => 404
            DELETE /path4 => 404
            PATCH /path5 => v1
            PATCH / (version: four) => v2
            """);
    }

    [Theory]
    [InlineData(Place.Gateway)]
    [InlineData(Place.Mesh)]
    public async Task Query_parameters_count_less_than_paths_and_headers_and_have_a_case(Place place)
    {
        await using var calls = await OfRulesAsync(place, $$"""
            {matches: [{queryParams: [{name: animal, value: whale}]}], {{V1}} },
            {matches: [{queryParams: [{name: animal, value: dolphin}]}], {{V2}} },
            {matches: [{queryParams: [{name: animal, value: dolphin}, {name: color, value: blue}]},
              {queryParams: [{name: ANIMAL, value: Whale}]}], {{V3}} },
            {matches: [{path: {type: PathPrefix, value: /path1}, queryParams: [{name: animal, value: whale}]}], {{V1}} },
            {matches: [{headers: [{name: version, value: one}], queryParams: [{name: animal, value: whale}]}], {{V2}} },
            {matches: [{path: {type: PathPrefix, value: /path2}, headers: [{name: version, value: two}],
              queryParams: [{name: animal, value: whale}]}], {{V3}} },
            {matches: [{path: {type: PathPrefix, value: /path3}, queryParams: [{name: animal, value: shark}]},
              {path: {type: PathPrefix, value: /path4}, headers: [{name: version, value: three}], queryParams: [{name: animal, value: kraken}]}], {{V1}} },
            {matches: [{path: {type: PathPrefix, value: /path5} }], {{V1}} },
            {matches: [{queryParams: [{name: animal, value: hydra}]}], {{V2}} },
            {matches: [{headers: [{name: version, value: four}]}], {{V3}} }
            """);
        await calls.ExpectAsync("""
            GET /?animal=whale => v1
            GET /?animal=dolphin => v2
            GET /?animal=dolphin&color=blue => v3
            GET /?ANIMAL=Whale => v3
            GET /?animal=whale&otherparam=irrelevant => v1
            GET /?animal=dolphin&color=yellow => v2
            GET /?color=blue => 404
            GET /?animal=dog => 404
            GET /?animal=whaledolphin => 404
            GET / => 404
            GET /path1?animal=whale => v1
            GET /?animal=whale (version: one) => v2
            GET /path2?animal=whale (version: two) => v3
            GET /path3?animal=shark => v1
            GET /path4?animal=kraken (version: three) => v1
            GET /?animal=shark => 404
            GET /path4?animal=kraken => 404
            GET /path5?animal=hydra => v1
            GET /?animal=hydra (version: four) => v3
            """);
    }

    [Fact]
    public async Task The_rules_of_several_routes_are_those_of_each_of_their_hosts()
    {
        await using var calls = await AtGatewayAsync(
            Route("one", "{name: front}", $$"""
                {matches: [{path: {type: PathPrefix, value: /} }, {headers: [{name: version, value: one}]}], {{V1}} }
                """, "example.com, example.net")
            + Route("two", "{name: front}", $$"""
                {matches: [{path: {type: PathPrefix, value: /v2} }, {headers: [{name: version, value: two}]}], {{V2}} }
                """, "example.com"));
        await calls.ExpectAsync("""
            GET example.com/ => v1
            GET example.com/example => v1
            GET example.net/example => v1
            GET example.com/example (Version: one) => v1
            GET example.com/v2 => v2
            GET example.net/v2 => v1
            GET example.com/v2/example => v2
            GET example.com/ (Version: two) => v2
            """);
    }

    [Theory]
    [InlineData(Place.Gateway)]
    [InlineData(Place.Mesh)]
    public async Task Rules_apply_with_a_name_and_without_one(Place place)
    {
        await using var calls = await OfRulesAsync(place, $$"""
            {name: first, matches: [{path: {type: PathPrefix, value: /named} }], {{V1}} },
            {matches: [{path: {type: PathPrefix, value: /unnamed} }], {{V2}} }
            """);
        await calls.ExpectAsync("""
            GET /named => v1
            GET /unnamed => v2
            """);
    }

    [Theory]
    [InlineData(Place.Gateway)]
    [InlineData(Place.Mesh)]
    public async Task Requests_are_shared_by_weight(Place place)
    {
        await using var calls = await OfRulesAsync(place, """
            {backendRefs: [{name: v1, port: 80, weight: 70}, {name: v2, port: 80, weight: 30}, {name: v3, port: 80, weight: 0}]}
            """);
        var shares = await calls.SharesAsync("/", 500);
        // Six standard deviations.
        Assert.InRange(shares[0], 288, 412);
        Assert.Equal(0, shares[2]);
    }

    [Theory]
    [InlineData(Place.Gateway)]
    [InlineData(Place.Mesh)]
    public async Task Of_rules_that_match_equally_the_first_one_applies_even_without_its_backend(Place place)
    {
        const string Path = "path: {type: Exact, value: /order}", One = "{name: x-version, value: one}", Blue = "{name: x-color, value: blue}";
        await using var calls = await OfRulesAsync(place, $$"""
            {matches: [{ {{Path}}, headers: [{{One}}, {{Blue}}]}], {{V1}} },
            {matches: [{ {{Path}}, headers: [{{Blue}}, {{One}}]}], {{V2}} },
            {matches: [{path: {type: Exact, value: /lost} }], backendRefs: [{name: nobody, port: 80}]},
            {matches: [{path: {type: Exact, value: /lost} }], {{V2}} }
            """);
        await calls.ExpectAsync("""
            GET /order (x-color: blue; x-version: one) => v1
            GET /lost => 500
            """);
    }

    [Theory]
    [InlineData(Place.Gateway)]
    [InlineData(Place.Mesh)]
    public async Task A_rule_without_a_backend_is_answered_with_500_and_others_apply(Place place)
    {
        await using var calls = await OfRulesAsync(place, $$"""
            {matches: [{path: {type: PathPrefix, value: /forward} }], {{V1}} },
            {matches: [{path: {type: PathPrefix, value: /omitted} }]},
            {matches: [{path: {type: PathPrefix, value: /empty} }], backendRefs: []},
            {matches: [{path: {type: PathPrefix, value: /unknown} }], backendRefs: [{group: example.com, kind: Thing, name: v1, port: 80}]}
            """);
        await calls.ExpectAsync("""
            GET /forward => v1
            GET /omitted => 500
            GET /empty => 500
            GET /unknown => 500
            """);
    }
}

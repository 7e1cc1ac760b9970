using System.Net;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Proxy.Matching;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Policy;
using Isthmus.Proxy.Snapshot;
using Isthmus.Testing;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.HttpFilters;
using Isthmus.Wire.Envoy.Rbac;
using Isthmus.Wire.Envoy.Routes;
using Xunit;
using RouteLimit = Isthmus.Wire.Envoy.Routes.RateLimit;

namespace Isthmus.Tests.Proxy.KnownKinds;

/// <summary>A field, a parameter or a token that is given twice passes no policy that one of its values would not pass.</summary>
public sealed class ValuesGivenTwiceTests
{
    private const string Issuer = "https://accounts.example";
    private static readonly DateTimeOffset Now = new(2026, 5, 1, 12, 0, 0, TimeSpan.Zero);

    [Theory]
    // DENY: one value is enough.
    [InlineData("DENY", "is red", "red", false)]
    [InlineData("DENY", "is red", "blue", true)]
    [InlineData("DENY", "is red", "red|blue", false)]
    [InlineData("DENY", "is red", "blue|red", false)]
    [InlineData("DENY", "is red", "blue|green", true)]
    [InlineData("DENY", "is red", "blue, red", false)]
    [InlineData("DENY", "is red", "blue,red|green", false)]
    [InlineData("DENY", "is blue,red", "blue|red", false)]
    [InlineData("DENY", "is red", "", true)]
    [InlineData("DENY", "begins red", "blue|red1", false)]
    [InlineData("DENY", "ends red", "dark-red|blue", false)]
    [InlineData("DENY", "like r.d", "blue|rod", false)]
    [InlineData("DENY", "present", "blue|red", false)]
    // DENY of what is not: each value must be one of those.
    [InlineData("DENY", "not is blue;begins green", "green1|red", false)]
    [InlineData("DENY", "not is blue;begins green", "red|green1", false)]
    [InlineData("DENY", "not is blue;begins green", "blue|red", false)]
    [InlineData("DENY", "not is blue;begins green", "blue|green1", true)]
    [InlineData("DENY", "not is blue;begins green", "blue", true)]
    [InlineData("DENY", "not is blue;begins green", "", false)]
    [InlineData("DENY", "invert is blue", "blue|red", false)]
    [InlineData("DENY", "invert is blue", "blue|blue", true)]
    // ALLOW: each value must match.
    [InlineData("ALLOW", "is red", "red", true)]
    [InlineData("ALLOW", "is red", "red|blue", false)]
    [InlineData("ALLOW", "is red", "blue|red", false)]
    [InlineData("ALLOW", "is red", "red|red", true)]
    [InlineData("ALLOW", "is red;is blue", "red|blue", true)]
    [InlineData("ALLOW", "is red;is blue", "red|blue|green", false)]
    [InlineData("ALLOW", "is red", "red,blue", false)]
    [InlineData("ALLOW", "begins red", "red1|blue", false)]
    [InlineData("ALLOW", "ends red", "blue|red", false)]
    [InlineData("ALLOW", "like r.*", "red|blue", false)]
    [InlineData("ALLOW", "present", "red|blue", true)]
    // ALLOW of what is not: no value may be one of those.
    [InlineData("ALLOW", "not is blue;begins green", "red|blue", false)]
    [InlineData("ALLOW", "not is blue;begins green", "red|green1", false)]
    [InlineData("ALLOW", "not is blue;begins green", "red, blue", false)]
    [InlineData("ALLOW", "not is blue;begins green", "red|white", true)]
    [InlineData("ALLOW", "invert is blue", "red|blue", false)]
    [InlineData("ALLOW", "not not is red", "red|blue", false)]
    [InlineData("DENY", "not not is red", "red|blue", false)]
    public void Every_value_of_a_field_counts(string action, string rule, string values, bool allowed)
    {
        var request = Request(values);
        foreach (var isPermission in (bool[])[true, false])
        {
            var (ruled, other) = isPermission ? ("permissions", "principals") : ("principals", "permissions");
            var policy = RbacPolicy.From(WireTypes.Strict.Parse<Isthmus.Wire.Envoy.Rbac.RBAC>(
                $$$"""{"action": "{{{action}}}", "policies": {"p": {"{{{other}}}": [{"any": true}], "{{{ruled}}}": [{{{Rule(rule, isPermission)}}}] } } }"""))!;
            Assert.Equal(allowed, policy.Decide(Facts(request)).IsAllowed);
        }
    }

    [Fact]
    public void The_field_host_is_the_authority()
    {
        var request = Request("");
        request.Authority = "shop.example";
        var policy = RbacPolicy.From(WireTypes.Strict.Parse<Isthmus.Wire.Envoy.Rbac.RBAC>("""
            {"action": "DENY", "policies": {"p": {"permissions": [{"any": true}], "principals": [{"header": {"name": "Host", "exact_match": "shop.example"}}] } } }
            """))!;
        Assert.False(policy.Decide(Facts(request)).IsAllowed);
    }

    [Theory]
    [InlineData("is red", "red|blue", false)]
    [InlineData("is red,blue", "red|blue", true)]
    [InlineData("begins red", "red|blue", true)]
    public void Routes_compare_the_joined_text(string rule, string values, bool matches) =>
        Assert.Equal(matches, MatchDecoder.Header(WireTypes.Strict.Parse<HeaderMatcher>(Matcher(rule))).IsMatch(Request(values), "http"));

    [Theory]
    [InlineData("/?tenant=red&tenant=blue", true, false, true)]
    [InlineData("/?tenant=blue&tenant=red", false, false, true)]
    [InlineData("/?tenant=red&tenant=red", true, true, true)]
    [InlineData("/?tenant=blue", false, false, false)]
    [InlineData("/?other=red", false, false, false)]
    [InlineData("/", false, false, false)]
    public void Parameters_that_are_given_twice_match_by_the_first_by_each_or_by_one(string target, bool first, bool each, bool one)
    {
        var match = MatchDecoder.Query(WireTypes.Strict.Parse<QueryParameterMatcher>("""{"name": "tenant", "string_match": {"exact": "red"}}"""));
        var bytes = Encoding.ASCII.GetBytes(target);
        Assert.Equal((first, each, one), (match.IsMatch(bytes), match.IsMatch(bytes, Reading.All), match.IsMatch(bytes, Reading.Any)));
    }

    [Theory]
    [InlineData("""{"header_value_match": {"descriptor_value": "d", "headers": [{"name": "x-tenant", "exact_match": "red"}]}}""", "red|blue", "/", true)]
    [InlineData("""{"header_value_match": {"descriptor_value": "d", "headers": [{"name": "x-tenant", "exact_match": "red"}]}}""", "green|blue", "/", false)]
    [InlineData("""{"header_value_match": {"descriptor_value": "d", "expect_match": false, "headers": [{"name": "x-tenant", "exact_match": "red"}]}}""",
        "red|blue", "/", true)]
    [InlineData("""{"header_value_match": {"descriptor_value": "d", "expect_match": false, "headers": [{"name": "x-tenant", "exact_match": "red"}]}}""",
        "red|red", "/", false)]
    [InlineData("""{"query_parameter_value_match": {"descriptor_value": "d", "query_parameters": [{"name": "t", "string_match": {"exact": "red"}}]}}""", "",
        "/?t=blue&t=red", true)]
    [InlineData(
        """{"query_parameter_value_match": {"descriptor_value": "d", "expect_match": false, "query_parameters": [{"name": "t", "string_match": {"exact": "red"}}]}}""",
        "", "/?t=red&t=blue", true)]
    public void Another_value_leaves_no_limit(string action, string values, string target, bool isLimited)
    {
        var request = Request(values);
        request.SetTarget(Encoding.ASCII.GetBytes(target));
        var rule = LimitDecoder.Rule(WireTypes.Strict.Parse<RouteLimit>($$"""{"actions": [{{action}}]}"""));
        Assert.Equal(isLimited, rule.Describe(new(request, "http", IPAddress.Loopback, "", "")) is not null);
    }

    [Fact]
    public async Task Every_token_of_a_place_is_checked_and_two_are_refused()
    {
        using var mint = new TokenMint();
        var (ann, bob, forged) = (mint.Sign(Claims("ann")), mint.Sign(Claims("bob")), mint.Forge(Claims("root")));
        foreach (var (first, second, failure) in new[]
        {
            (ann, forged, "Jwks doesn't have key to match kid or alg from Jwt"), (forged, ann, "Jwks doesn't have key to match kid or alg from Jwt"),
            (ann, bob, "Jwt is given twice at the same place"), (ann, ann, ""),
        })
        {
            foreach (var place in (string[])["lines", "items", "parameters", "cookies", "cookie"])
            {
                var request = Request("");
                if (place == "lines")
                    foreach (var token in (string[])[first, second]) request.Headers.Add("authorization"u8, $"Bearer {token}");
                if (place == "items") request.Headers.Add("authorization"u8, $"Bearer {first}, Bearer {second}");
                if (place == "parameters") request.SetTarget(Encoding.ASCII.GetBytes($"/?access_token={first}&access_token={second}"));
                if (place == "cookies")
                    foreach (var token in (string[])[first, second]) request.Headers.Add("cookie"u8, $"session={token}");
                if (place == "cookie") request.Headers.Add("cookie"u8, $"session={first}; session={second}");
                var check = new TokenCheck(WireTypes.Strict.Parse<JwtAuthentication>($$$"""
                    {"providers": {"p": {"issuer": "{{{Issuer}}}", {{{(place.StartsWith("cookie", StringComparison.Ordinal) ? "\"from_cookies\": [\"session\"], " : "")}}}
                      "local_jwks": {"inline_string": {{{JsonSerializer.Serialize(mint.Keys)}}} } } },
                     "rules": [{"match": {"prefix": "/"}, "requires": {"requires_any": {"requirements": [{"provider_name": "p"}, {"allow_missing": {} }] } } }]}
                    """));
                var verdict = await check.DecideAsync(request, "http", (_, _) => throw new InvalidOperationException(), Now);
                // A field has one token, as with Envoy.
                var expected = failure.Length == 0 && place is ("lines" or "items") ? "Jwt is given twice at the same place" : failure;
                Assert.Equal((expected.Length == 0 ? 0 : 401, expected), (verdict.Status, verdict.Failure));
            }
        }
    }

    private static JsonObject Claims(string subject) => new() { ["iss"] = Issuer, ["sub"] = subject, ["exp"] = Now.AddHours(1).ToUnixTimeSeconds() };

    private static RequestHead Request(string values)
    {
        var request = new RequestHead { Method = "GET", Authority = "a" };
        request.SetTarget("/"u8);
        foreach (var value in values.Split('|', StringSplitOptions.RemoveEmptyEntries)) request.Headers.Add("x-tenant"u8, value);
        return request;
    }

    private static PolicyFacts Facts(RequestHead request) =>
        new(request, "http", null, new(IPAddress.Loopback, 1), IPAddress.Loopback, new(IPAddress.Loopback, 8080), "");

    /// <summary>A rule as the control plane writes it: alternatives, perhaps negated.</summary>
    private static string Rule(string rule, bool isPermission)
    {
        var (not, or, list) = isPermission ? ("not_rule", "or_rules", "rules") : ("not_id", "or_ids", "ids");
        if (rule.StartsWith("not ", StringComparison.Ordinal)) return $$"""{"{{not}}": {{Rule(rule[4..], isPermission)}} }""";
        return $$"""{"{{or}}": {"{{list}}": [{{string.Join(", ", rule.Split(';').Select(one => $$"""{"header": {{Matcher(one)}} }"""))}}] } }""";
    }

    private static string Matcher(string rule)
    {
        var words = rule.Split(' ');
        var invert = words[0] == "invert";
        if (invert) words = words[1..];
        var match = words[0] switch
        {
            "is" => $"\"exact_match\": \"{words[1]}\"",
            "begins" => $"\"prefix_match\": \"{words[1]}\"",
            "ends" => $"\"string_match\": {{\"suffix\": \"{words[1]}\"}}",
            "like" => $"\"string_match\": {{\"safe_regex\": {{\"regex\": \"{words[1]}\"}}}}",
            _ => "\"present_match\": true",
        };
        return $$"""{"name": "X-Tenant", {{match}}, "invert_match": {{(invert ? "true" : "false")}} }""";
    }
}

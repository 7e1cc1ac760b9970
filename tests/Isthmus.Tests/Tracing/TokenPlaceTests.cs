using System.Buffers.Text;
using System.Net;
using System.Text;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Causes;
using Isthmus.Mesh.Model;
using Isthmus.Proxy.Decisions;
using Xunit;

namespace Isthmus.Tests.Tracing;

/// <summary>A request has a token, and not where or how the callee's proxy reads one: the trace says so of the headers of the call.</summary>
public sealed class TokenPlaceTests
{
    private static readonly string Token = $"{Part("{\"alg\":\"RS256\"}")}.{Part("{\"iss\":\"a.example\",\"sub\":\"ann\"}")}.{Part("x")}";

    [Theory]
    [InlineData("", "authorization: TOKEN", "carries its token in header authorization with nothing before it, and RequestAuthentication shop/tokens reads "
        + "tokens there after \"Bearer \" only", "send the header as 'Authorization: Bearer TOKEN' (isthmus trace --jwt TOKEN)")]
    [InlineData("", "authorization: Token TOKEN", "carries its token in header authorization after \"Token \"",
        "send the header as 'Authorization: Bearer TOKEN'")]
    [InlineData("", "x-auth: Bearer TOKEN", "carries its token in header x-auth, where RequestAuthentication shop/tokens does not look for one: it reads "
        + "header Authorization after \"Bearer \", query parameter access_token", "add {name: x-auth, prefix: \"Bearer \"} to spec.jwtRules[0].fromHeaders")]
    [InlineData("", "cookie: a=b; session=TOKEN", "carries its token in cookie session, where", "send the token in header Authorization after \"Bearer \"")]
    [InlineData(", fromHeaders: [{name: x-auth}]", "authorization: Bearer TOKEN", "carries its token in header authorization, where RequestAuthentication "
        + "shop/tokens does not look for one: it reads header x-auth", "send the token in header x-auth, or add {name: Authorization, prefix: \"Bearer \"} to")]
    [InlineData(", fromHeaders: [{name: x-auth, prefix: 'Token '}]", "x-auth: TOKEN", "reads tokens there after \"Token \" only",
        "send the header as 'x-auth: Token TOKEN', or correct the prefix in spec.jwtRules[0].fromHeaders")]
    [InlineData(", fromHeaders: [{name: x-auth}]", "x-auth: TOKEN", "carries no token that Pod shop/orders-a in c1 accepts", "send a token of a.example")]
    [InlineData("", "x-auth: plain", "carries no valid token", "send a token (isthmus trace --jwt TOKEN)")]
    public void A_token_where_no_rule_reads_it_is_named(string rule, string header, string says, string remedy)
    {
        var problem = Denied(rule, header);
        Assert.Equal(("ISM2064", "AuthorizationPolicy shop/barred in c1"), (problem.Code, problem.Object));
        Assert.Contains(says, problem.Message, StringComparison.Ordinal);
        Assert.Contains(remedy, problem.Remedy, StringComparison.Ordinal);
        Assert.DoesNotContain(Token, problem.ToString(), StringComparison.Ordinal);
    }

    /// <summary>A rule that names the header without a prefix takes <c>Bearer</c> for the token.</summary>
    [Fact]
    public void A_prefix_that_the_rule_lacks_is_why_a_token_has_a_wrong_form()
    {
        var cluster = new TraceScenario().Facts().Home;
        RequestAuthentication tokens = new(new("c1", "RequestAuthentication", "shop", "tokens"), default,
            [new TokenRule("a.example", [], "", "", [new("Authorization", "")], [], [], "", [], false)], 0);
        var request = new AskedRequest("GET", false, "orders", "/", [("authorization", $"Bearer {Token}")]);
        var problem = TokenRefusals.Find([tokens], request, 401, "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections",
            new(cluster, cluster.Pods.First(pod => pod.Metadata.Name == "orders-a"), new(IPAddress.Loopback, 80)), "c1", static (_, _) => null);
        Assert.Equal(("ISM2082", "RequestAuthentication shop/tokens in c1", "spec.jwtRules[*].fromHeaders"), (problem.Code, problem.Object, problem.Path));
        Assert.Contains("reads tokens there with nothing before them only", problem.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Jwt not yet valid", ": it is valid from 2027-01-15 08:00:00Z on (claim nbf)", "correct the clock of a.example")]
    [InlineData("Jwt is expired", ": it was valid until 2027-01-15 09:00:00Z (claim exp)", "send a newer token")]
    public void The_time_of_a_token_is_told(string why, string says, string remedy)
    {
        var cluster = new TraceScenario().Facts().Home;
        RequestAuthentication tokens = new(new("c1", "RequestAuthentication", "shop", "tokens"), default,
            [new TokenRule("a.example", [], "", "", [], [], [], "", [], false)], 0);
        var claims = Base64Url.EncodeToString("""{"iss":"a.example","nbf":1800000000,"exp":1800003600}"""u8);
        var request = new AskedRequest("GET", false, "orders", "/", [("authorization", $"Bearer {Token.Split('.')[0]}.{claims}.c2ln")]);
        var problem = TokenRefusals.Find([tokens], request, 401, why,
            new(cluster, cluster.Pods.First(pod => pod.Metadata.Name == "orders-a"), new(IPAddress.Loopback, 80)), "c1", static (_, _) => null);
        Assert.Contains(says, problem.Message, StringComparison.Ordinal);
        Assert.Contains(remedy, problem.Remedy, StringComparison.Ordinal);
    }

    /// <summary>No key of the issuer is of the kind with which it signed: a shared secret does not belong into an object that many may read.</summary>
    [Theory]
    [InlineData("HS256", "it is signed with HS256, a shared secret, and the keys of a.example are for RS256 only", "let a.example sign with RS256")]
    [InlineData("ES256", "it is signed with ES256, and the keys of a.example are for RS256 only",
        "let a.example sign with RS256, or let jwks give its key for ES256 as well")]
    public void A_token_of_another_algorithm_than_those_of_the_keys_is_told(string algorithm, string says, string remedy)
    {
        var scenario = new TraceScenario();
        var cluster = scenario.Facts().Home;
        RequestAuthentication tokens = new(new("c1", "RequestAuthentication", "shop", "tokens"), default,
            [new TokenRule("a.example", [], "", "{}", [], [], [], "", [], false)], 0);
        var header = Part($"{{\"alg\":\"{algorithm}\"}}");
        var request = new AskedRequest("GET", false, "orders", "/", [("authorization", $"Bearer {header}.{Token.Split('.')[1]}.c2ln")]);
        var problem = TokenRefusals.Find([tokens], request, 401, "Jwks doesn't have key to match kid or alg from Jwt",
            new(cluster, cluster.Pods.First(pod => pod.Metadata.Name == "orders-a"), new(IPAddress.Loopback, 80)), "c1",
            (issuer, asked) => (issuer, asked) == ("a.example", algorithm) ? ["RS256"] : null);
        Assert.Equal(("ISM2082", "RequestAuthentication shop/tokens in c1", "spec.jwtRules[0].jwks"), (problem.Code, problem.Object, problem.Path));
        Assert.Contains(says, problem.Message, StringComparison.Ordinal);
        Assert.Equal(remedy, problem.Remedy);
    }

    private static Problem Denied(string rule, string header)
    {
        var scenario = new TraceScenario { Sent = SentRequest.Parse("", [header.Replace("TOKEN", Token, StringComparison.Ordinal)], "", "") };
        TraceWalkTests.Inject(scenario, "denied");
        scenario.Callee = scenario.Callee.Replace("\"action\": \"DENY\", \"policies\": {\"ns[shop]-policy[barred]-rule[0]\": {\"permissions\": "
            + "[{\"any\": true}], \"principals\": [{\"any\": true}]}}", "\"action\": \"ALLOW\"", StringComparison.Ordinal);
        scenario.One += $$$"""

            ---
            {apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: barred, namespace: shop}, spec: {rules: [{from: [{source: {requestPrincipals: ['*']} }]}]} }
            ---
            {apiVersion: security.istio.io/v1, kind: RequestAuthentication, metadata: {name: tokens, namespace: shop}, spec: {jwtRules: [{issuer: a.example{{{rule}}} }]} }
            """;
        return scenario.Walk("http://orders").Failure!.Problem!;
    }

    private static string Part(string text) => Base64Url.EncodeToString(Encoding.UTF8.GetBytes(text));
}

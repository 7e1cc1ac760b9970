using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Mesh.Generate;
using Xunit;

namespace Isthmus.Tests.Tracing;

/// <summary>A call without a token, where a policy wants one and the control plane cannot fetch the keys of its issuer: to send a token would not
/// help.</summary>
public sealed class KeylessIssuerTests
{
    private const string NoneOfIt = "its control plane has no keys of a.example, because it cannot fetch them from https://a.example/keys: every token of it "
        + "is refused; and AuthorizationPolicy shop/barred in c1 wants one, which this call does not have either: ";

    [Theory]
    [InlineData("from: [{source: {requestPrincipals: ['*']}}]", "ALLOW")]
    [InlineData("when: [{key: 'request.auth.claims[role]', values: [admin]}]", "ALLOW")]
    [InlineData("from: [{source: {notRequestPrincipals: ['a.example/*']}}]", "DENY")]
    public void Keys_that_cannot_be_fetched_come_before_the_missing_token(string rule, string action)
    {
        var problem = Denied(rule, action, ("a.example", TokenChecks.NoKeys));
        Assert.Equal(("ISM2096", "RequestAuthentication shop/tokens in c1", "spec.jwtRules[0].jwksUri"), (problem.Code, problem.Object, problem.Path));
        Assert.StartsWith(NoneOfIt, problem.Message, StringComparison.Ordinal);
        Assert.StartsWith("make the address reachable from the control plane, or put the keys into jwks", problem.Remedy, StringComparison.Ordinal);
        Assert.EndsWith("; then send a token (isthmus trace --jwt TOKEN)", problem.Remedy, StringComparison.Ordinal);
    }

    /// <summary>Tokens of another issuer are accepted, unless the policy wants those of the first only.</summary>
    [Theory]
    [InlineData("*", "ISM2064", "send a token (isthmus trace --jwt TOKEN) of b.example: the control plane cannot fetch the keys of a.example, so that tokens "
        + "of it are refused, or allow the call without one")]
    [InlineData("b.example/*", "ISM2064", "send a token (isthmus trace --jwt TOKEN), or allow the call without one")]
    [InlineData("a.example/ann", "ISM2096", "make the address reachable")]
    public void Of_several_issuers_those_with_keys_are_told(string principals, string code, string remedy)
    {
        var problem = Denied($"from: [{{source: {{requestPrincipals: ['{principals}']}}}}]", "ALLOW", ("a.example", TokenChecks.NoKeys),
            ("b.example", """{"keys":[]}"""));
        Assert.Equal(code, problem.Code);
        Assert.StartsWith(remedy, problem.Remedy, StringComparison.Ordinal);
    }

    [Fact]
    public void A_missing_token_of_an_issuer_with_keys_is_what_is_told()
    {
        var problem = Denied("from: [{source: {requestPrincipals: ['*']}}]", "ALLOW", ("a.example", """{"keys":[]}"""));
        Assert.Equal(("ISM2064", "send a token (isthmus trace --jwt TOKEN), or allow the call without one"), (problem.Code, problem.Remedy));
    }

    /// <summary>Routes of a gateway match claims: no token has any that its proxy believes.</summary>
    [Theory]
    [InlineData(true, "ISM2096", "make the address reachable")]
    [InlineData(false, "ISM2024", "send a token (isthmus trace --jwt TOKEN)")]
    public void Routes_for_claims_of_tokens_whose_keys_are_not_there_are_told(bool isKeyless, string code, string remedy)
    {
        var scenario = new TraceScenario();
        scenario.Client = scenario.Client.Replace("\"match\": {\"prefix\": \"/\"}, \"route\": {\"cluster\": \"outbound", "\"match\": {\"prefix\": \"/\", "
            + "\"dynamic_metadata\": [{\"filter\": \"istio_authn\", \"path\": [{\"key\": \"request.auth.claims\"}, {\"key\": \"sub\"}], "
            + "\"value\": {\"string_match\": {\"exact\": \"me\"}}}]}, \"route\": {\"cluster\": \"outbound", StringComparison.Ordinal)
            .Replace(Router, $"{Checking(("a.example", isKeyless ? TokenChecks.NoKeys : """{"keys":[]}"""))}, {Router}", StringComparison.Ordinal);
        scenario.Client = JsonNode.Parse(scenario.Client)!.ToJsonString();
        scenario.One += "\n---\n{apiVersion: security.istio.io/v1, kind: RequestAuthentication, metadata: {name: tokens, namespace: shop}, spec: {jwtRules: ["
            + "{issuer: a.example, jwksUri: 'https://a.example/keys'}]}}"
            + "\n---\n{apiVersion: networking.istio.io/v1, kind: Gateway, metadata: {name: front, namespace: shop}, spec: {selector: {app: buyer}, "
            + "servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]}}"
            + "\n---\n{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: orders, namespace: shop}, spec: {hosts: ['*'], "
            + "gateways: [front], http: [{match: [{headers: {'@request.auth.claims.sub': {exact: me}}}], route: [{destination: {host: orders}}]}]}}";
        var problem = PlainToTlsTests.Enter(scenario).Failure!.Problem!;
        Assert.Equal(code, problem.Code);
        Assert.StartsWith(remedy, problem.Remedy, StringComparison.Ordinal);
        if (isKeyless)
            Assert.Contains("; and routes of the host match claims of one, which this call does not have either", problem.Message, StringComparison.Ordinal);
    }

    private const string Router = "{\"name\": \"envoy.filters.http.router\"";

    private static string Checking(params (string Name, string Keys)[] issuers) => "{\"name\": \"envoy.filters.http.jwt_authn\", \"typed_config\": {\"@type\": "
        + "\"type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication\", \"providers\": {"
        + string.Join(", ", issuers.Select((issuer, at) =>
            $"\"origins-{at}\": {{\"issuer\": \"{issuer.Name}\", \"local_jwks\": {{\"inline_string\": {JsonSerializer.Serialize(issuer.Keys)}}}}}"))
        + "}, \"rules\": [{\"match\": {\"prefix\": \"/\"}, \"requires\": {\"allow_missing\": {}}}]}}";

    private static Problem Denied(string rule, string action, params (string Name, string Keys)[] issuers)
    {
        const string rbac = "{\"name\": \"envoy.filters.http.rbac\"";
        var scenario = new TraceScenario();
        TraceWalkTests.Inject(scenario, "denied");
        if (action == "ALLOW")
            scenario.Callee = scenario.Callee.Replace("\"action\": \"DENY\", \"policies\": {\"ns[shop]-policy[barred]-rule[0]\": {\"permissions\": "
                + "[{\"any\": true}], \"principals\": [{\"any\": true}]}}", "\"action\": \"ALLOW\"", StringComparison.Ordinal);
        var before = scenario.Callee;
        scenario.Callee = before.Replace(rbac, $"{Checking(issuers)}, {rbac}", StringComparison.Ordinal);
        Assert.NotEqual(before, scenario.Callee);
        scenario.One += $"\n---\n{{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {{name: barred, namespace: shop}}, "
            + $"spec: {{action: {action}, rules: [{{{rule}}}]}}}}"
            + "\n---\n{apiVersion: security.istio.io/v1, kind: RequestAuthentication, metadata: {name: tokens, namespace: shop}, spec: {jwtRules: ["
            + string.Join(", ", issuers.Select(issuer => $"{{issuer: {issuer.Name}, jwksUri: 'https://{issuer.Name}/keys'}}")) + "]}}";
        return scenario.Walk("http://orders").Failure!.Problem!;
    }
}

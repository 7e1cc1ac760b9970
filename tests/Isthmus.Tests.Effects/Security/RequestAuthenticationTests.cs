using System.Text.Json.Nodes;
using Isthmus.Testing;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;

namespace Isthmus.Tests.Effects.Security;

/// <summary>RequestAuthentication with AuthorizationPolicies, from the objects to the answer.</summary>
public sealed class RequestAuthenticationTests
{
    private static readonly JsonObject Ann = new() { ["iss"] = "bank", ["sub"] = "ann", ["scope"] = "read write", ["roles"] = "teller clerk" };

    /// <summary>Istio's task "Require a valid token": without one, DENY refuses; an invalid one never gets that far.</summary>
    [Theory]
    [InlineData("none", 403)]
    [InlineData("valid", 200)]
    [InlineData("of another issuer", 401)]
    [InlineData("with a wrong signature", 401)]
    [InlineData("malformed", 401)]
    public async Task Requests_without_a_token_can_be_denied(string token, int status)
    {
        using var mint = new TokenMint();
        using var thief = TokenMint.OfStranger();
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync("money"));
        using var gateway = Gateway(mint, "issuer: bank", origin.Port, "{from: [{source: {notRequestPrincipals: ['*']}}]}", "DENY");
        var header = token switch
        {
            "none" => "",
            "valid" => $"authorization: Bearer {mint.Sign(Ann)}",
            "of another issuer" => $"authorization: Bearer {mint.Sign(With(Ann, "iss", "shop"))}",
            "with a wrong signature" => $"authorization: Bearer {thief.Sign(Ann)}",
            _ => "authorization: Bearer a.b",
        };
        Assert.Equal(status, (await gateway.CallAsync(header: header)).Status);
        // The same rule for one path leaves the others open to requests without a token.
        using var partly = Gateway(mint, "issuer: bank", origin.Port, "{from: [{source: {notRequestPrincipals: ['*']}}], to: [{operation: {paths: [/safe]}}]}",
            "DENY");
        Assert.Equal(status, (await partly.CallAsync("/safe", header)).Status);
        Assert.Equal(token is "none" or "valid" ? 200 : 401, (await partly.CallAsync("/hall", header)).Status);
    }

    [Theory]
    [InlineData("", "request.auth.claims[scope]", "write", 200)]
    [InlineData("", "request.auth.claims[scope]", "delete", 403)]
    [InlineData(", spaceDelimitedClaims: [roles]", "request.auth.claims[roles]", "clerk", 200)]
    [InlineData(", spaceDelimitedClaims: [roles]", "request.auth.claims[scope]", "read", 200)]
    [InlineData(", spaceDelimitedClaims: [roles]", "experimental.envoy.filters.http.jwt_authn[payload][roles]", "[teller]", 200)]
    [InlineData(", spaceDelimitedClaims: [roles]", "experimental.envoy.filters.http.jwt_authn[payload][scope]", "[write]", 200)]
    [InlineData("", "experimental.envoy.filters.http.jwt_authn[payload][roles]", "[teller]", 403)]
    public async Task Claims_of_words_match_word_by_word(string rule, string key, string value, int status)
    {
        using var mint = new TokenMint();
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync("money"));
        using var gateway = Gateway(mint, $"issuer: bank{rule}", origin.Port, $"{{when: [{{key: '{key}', values: ['{value}']}}]}}", "ALLOW");
        Assert.Equal(status, (await gateway.CallAsync(header: $"authorization: Bearer {mint.Sign(Ann)}")).Status);
    }

    /// <summary>Istio's task "JWT claim based routing": a request without the claim takes the next route.</summary>
    [Theory]
    [InlineData("headers: {'@request.auth.claims.sub': {exact: ann}}", "ann", 418)]
    [InlineData("headers: {'@request.auth.claims.sub': {exact: bob}}", "ann", 200)]
    [InlineData("headers: {'@request.auth.claims.sub': {exact: ann}}", "", 200)]
    [InlineData("headers: {'@request.auth.claims.sub': {}}", "ann", 418)]
    [InlineData("headers: {'@request.auth.claims.sub': {}}", "", 200)]
    [InlineData("headers: {'@request.auth.claims.scope': {exact: write}}", "ann", 418)]
    [InlineData("headers: {'@request.auth.claims.groups': {exact: clerks}}", "ann", 418)]
    [InlineData("headers: {'@request.auth.claims.groups': {prefix: tell}}", "ann", 418)]
    [InlineData("headers: {'@request.auth.claims.groups': {regex: 'cl.*s'}}", "ann", 418)]
    [InlineData("headers: {'@request.auth.claims.groups': {regex: 'cl.*x'}}", "ann", 200)]
    [InlineData("headers: {'@request.auth.claims.realm.roles': {exact: admin}}", "ann", 418)]
    [InlineData("headers: {'@request.auth.claims[realm][roles]': {exact: admin}}", "ann", 418)]
    [InlineData("headers: {'@request.auth.claims[https://bank.example/team]': {exact: blue}}", "ann", 418)]
    [InlineData("headers: {'@request.auth.claims[realm][roles]': {exact: root}}", "ann", 200)]
    [InlineData("headers: {x-way: {exact: 'on'}, '@request.auth.claims.sub': {exact: ann}}", "ann", 200)]
    [InlineData("withoutHeaders: {'@request.auth.claims.groups': {exact: clerks}}", "ann", 200)]
    [InlineData("withoutHeaders: {'@request.auth.claims.groups': {exact: clerks}}", "", 418)]
    public async Task Gateways_route_by_the_claims_of_tokens(string match, string caller, int status)
    {
        using var mint = new TokenMint();
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync("money"));
        using var gateway = Gateway(mint, "issuer: bank", origin.Port, "{}", "ALLOW", match);
        var claims = With(Ann, "https://bank.example/team", "blue");
        (claims["groups"], claims["realm"]) = (new JsonArray("tellers", "clerks"), new JsonObject { ["roles"] = new JsonArray("admin", "user") });
        Assert.Equal(status, (await gateway.CallAsync(header: caller.Length == 0 ? "" : $"authorization: Bearer {mint.Sign(claims)}")).Status);
    }

    private static GuardedGateway Gateway(TokenMint mint, string token, int origin, string rule, string action, string blocked = "method: {exact: TRACE}") =>
        new("", $$"""
        apiVersion: security.istio.io/v1
        kind: RequestAuthentication
        metadata: {name: tokens, namespace: shop}
        spec: {selector: {matchLabels: {app: edge} }, jwtRules: [{ {{token}}, jwks: '{{mint.Keys}}'}]}
        ---
        apiVersion: security.istio.io/v1
        kind: AuthorizationPolicy
        metadata: {name: callers, namespace: shop}
        spec: {selector: {matchLabels: {app: edge} }, action: {{action}}, rules: [{{rule}}]}
        """, origin, 1, blocked: blocked);

    private static JsonObject With(JsonObject claims, string name, string value)
    {
        var changed = (JsonObject)claims.DeepClone();
        changed[name] = value;
        return changed;
    }
}

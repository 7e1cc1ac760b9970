using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Policy;
using Isthmus.Proxy.Tokens;
using Isthmus.Testing;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.HttpFilters;
using Xunit;

namespace Isthmus.Tests.Proxy.Policy;

public sealed class TokenCheckTests : IDisposable
{
    private const string Issuer = "https://accounts.example";
    private static readonly DateTimeOffset Now = new(2026, 5, 1, 12, 0, 0, TimeSpan.Zero);

    private readonly TokenMint _mint = new();

    public void Dispose() => _mint.Dispose();

    [Theory]
    [InlineData("RS256")]
    [InlineData("PS256")]
    [InlineData("ES256")]
    [InlineData("HS256")]
    public async Task A_token_that_its_issuer_signed_is_believed(string algorithm)
    {
        var request = Request(_mint.Sign(Claims(), algorithm));
        var verdict = await DecideAsync(Check(), request);
        Assert.Equal((0, ""), (verdict.Status, verdict.Failure));
        Assert.Equal($"{Issuer}/ann", (string?)verdict.Metadata!.Find("istio_authn", ["request.auth.principal"]));
        Assert.Equal("ann", (string?)verdict.Metadata.Find("envoy.filters.http.jwt_authn", [Issuer, "sub"]));
        Assert.False(request.Headers.Contains("authorization"u8)); // It is forwarded only on request.
    }

    /// <summary>A trace says which algorithms the keys are for, where none is for that of a token.</summary>
    [Theory]
    [InlineData("RSA", "PS384", null)]
    [InlineData("RSA", "HS256", "RS256")]
    [InlineData("RSA", "ES256", "RS256")]
    [InlineData("EC", "RS256", "ES256")]
    [InlineData("oct", "RS256", "HS256")]
    [InlineData("oct", "HS512", null)]
    [InlineData("none", "RS256", null)]
    public void The_algorithms_of_other_keys_are_told(string kind, string algorithm, string? others)
    {
        var all = JsonNode.Parse(_mint.Keys)!;
        var kept = all["keys"]!.AsArray().Where(key => key!["kty"]!.ToString() == kind).Select(key => key!.DeepClone()).ToArray();
        all["keys"] = new JsonArray(kept);
        Assert.Equal(others, JsonWebKeys.Parse(Encoding.UTF8.GetBytes(all.ToJsonString()))!.Others(algorithm) is { } told ? string.Join(", ", told) : null);
    }

    [Fact]
    public async Task What_does_not_hold_is_refused_in_words_that_say_why()
    {
        var good = _mint.Sign(Claims());
        await RefusedAsync(good[..^40] + new string('A', 40), "Jwt verification fails");
        await RefusedAsync("abc", "Jwt is not in the form");
        await RefusedAsync(_mint.Sign(Claims(), kid: "other"), "Jwks doesn't have key to match kid or alg from Jwt");
        await RefusedAsync(_mint.Forge(Claims()), "Jwks doesn't have key to match kid or alg from Jwt");
        await RefusedAsync(_mint.Sign(Claims(c => c["exp"] = Now.AddMinutes(-2).ToUnixTimeSeconds())), "Jwt is expired");
        await RefusedAsync(_mint.Sign(Claims(c => c["exp"] = "tomorrow")), "Jwt is expired");
        await RefusedAsync(_mint.Sign(Claims(c => c["nbf"] = Now.AddMinutes(2).ToUnixTimeSeconds())), "Jwt not yet valid");
        await RefusedAsync(_mint.Sign(Claims(c => c["iss"] = "https://elsewhere.example")), "Jwt issuer is not configured");
        await RefusedAsync(_mint.Sign(Claims(c => c["aud"] = "other")), "Audiences in Jwt are not allowed", 403);
    }

    [Fact]
    public async Task Clocks_may_differ_by_a_minute()
    {
        var verdict = await DecideAsync(Check(), Request(_mint.Sign(Claims(c => c["exp"] = Now.AddSeconds(-50).ToUnixTimeSeconds()))));
        Assert.Equal(0, verdict.Status);
    }

    [Fact]
    public async Task Without_a_token_the_request_goes_on_unless_one_is_required()
    {
        Assert.Equal(0, (await DecideAsync(Check(), Request(null))).Status);
        var strict = await DecideAsync(Check(requires: """{"provider_name": "p"}"""), Request(null));
        Assert.Equal((401, "Jwt is missing"), (strict.Status, strict.Failure));
    }

    [Fact]
    public async Task Only_a_token_may_say_what_the_application_is_told()
    {
        var check = Check(
            """ "forward": true, "forward_payload_header": "x-payload", "claim_to_headers": [{"header_name": "x-name", "claim_name": "profile.name"}], """);
        var spoofed = Request(null);
        spoofed.Headers.Add("x-payload"u8, "I am root");
        spoofed.Headers.Add("x-name"u8, "root");
        Assert.Equal(0, (await DecideAsync(check, spoofed)).Status);
        Assert.False(spoofed.Headers.Contains("x-payload"u8) || spoofed.Headers.Contains("x-name"u8));

        var token = _mint.Sign(Claims(c => c["profile"] = new JsonObject { ["name"] = "Ann" }));
        var honest = Request(token);
        Assert.Equal(0, (await DecideAsync(check, honest)).Status);
        Assert.Equal(token.Split('.')[1], honest.Headers.GetString("x-payload"u8));
        Assert.Equal("Ann", honest.Headers.GetString("x-name"u8));
        Assert.True(honest.Headers.Contains("authorization"u8));
    }

    [Fact]
    public async Task Tokens_are_found_where_the_rule_says_and_taken_out_of_the_query()
    {
        var request = Request(null);
        request.SetTarget(Encoding.ASCII.GetBytes($"/a?x=1&token={_mint.Sign(Claims())}&y=2"));
        Assert.Equal(0, (await DecideAsync(Check(""" "from_params": ["token"], """, """{"provider_name": "p"}"""), request)).Status);
        Assert.Equal("/a?x=1&y=2", request.TargetText);

        var other = Request(null);
        other.Headers.Add("x-jwt"u8, "Tok " + _mint.Sign(Claims()));
        Assert.Equal(0,
            (await DecideAsync(Check(""" "from_headers": [{"name": "X-Jwt", "value_prefix": "Tok "}], """, """{"provider_name": "p"}"""), other)).Status);
    }

    [Fact]
    public async Task A_preflight_carries_no_token_and_needs_none()
    {
        var request = Request(null);
        request.Method = "OPTIONS";
        request.Headers.Add("origin"u8, "https://shop.example");
        request.Headers.Add("access-control-request-method"u8, "GET");
        Assert.Equal(0, (await DecideAsync(Check(requires: """{"provider_name": "p"}"""), request)).Status);
    }

    [Fact]
    public async Task Keys_that_cannot_be_fetched_refuse_and_a_new_key_is_asked_for_once_more()
    {
        var check = new TokenCheck(WireTypes.Strict.Parse<JwtAuthentication>($$$"""
            {"providers": {"p": {"issuer": "{{{Issuer}}}", "remote_jwks": {"http_uri": {"uri": "http://keys/", "cluster": "keys", "timeout": "1s"} } } },
             "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "p"} }]}
            """));
        var none = await check.DecideAsync(Request(_mint.Sign(Claims())), "http", (_, _) => ValueTask.FromResult<JsonWebKeys?>(null), Now);
        Assert.Equal((401, "Jwks remote fetch is failed"), (none.Status, none.Failure));
        var old = JsonWebKeys.Parse("""{"keys": []}"""u8.ToArray());
        var rotated = JsonWebKeys.Parse(Encoding.UTF8.GetBytes(_mint.Keys));
        Assert.Equal(0,
            (await check.DecideAsync(Request(_mint.Sign(Claims())), "http", (_, again) => ValueTask.FromResult(again ? rotated : old), Now)).Status);
    }

    // Vectors of RFC 8032, section 7.1.
    [Theory]
    [InlineData("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b")]
    [InlineData("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00")]
    public void Signatures_of_Ed25519_are_verified(string key, string message, string signature)
    {
        var (owner, said, signed) = (Convert.FromHexString(key), Convert.FromHexString(message), Convert.FromHexString(signature));
        Assert.True(Ed25519.Verify(owner, said, signed));
        Assert.False(Ed25519.Verify(owner, [.. said, 1], signed));
        Assert.False(Ed25519.Verify(owner, said, signed[..63]));
        signed[0] ^= 1;
        Assert.False(Ed25519.Verify(owner, said, signed));
    }

    [Theory]
    [InlineData("Xq2M5BLvHt-w8379rLlRzDe1MtRESUxKQc6dLbe2TX8", 0, "")]
    [InlineData("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", 401, "Jwt verification fails")]
    public async Task A_token_signed_with_EdDSA_needs_the_key_of_its_issuer(string key, int status, string failure)
    {
        // Made with openssl pkeyutl.
        const string Token =
            "eyJhbGciOiJFZERTQSIsImtpZCI6ImVkIn0.eyJpc3MiOiJodHRwczovL2FjY291bnRzLmV4YW1wbGUiLCJzdWIiOiJhbm4ifQ.0tDU5WOgUldzdF52C4vBNmXmlMIdbU0ut47YZJOUWgrWfHc2QgDnx8dC4FqBhQWowjg-xhSForYL89I3vqw-BQ";
        var check = new TokenCheck(WireTypes.Strict.Parse<JwtAuthentication>($$$"""
            {"providers": {"p": {"issuer": "{{{Issuer}}}", "local_jwks": {"inline_string":
               "{\"keys\": [{\"kty\": \"OKP\", \"crv\": \"Ed25519\", \"alg\": \"EdDSA\", \"kid\": \"ed\", \"x\": \"{{{key}}}\"}]}"} } },
             "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "p"} }]}
            """));
        var verdict = await DecideAsync(check, Request(Token));
        Assert.Equal((status, failure), (verdict.Status, verdict.Failure));
    }

    [Theory]
    [InlineData("")]
    [InlineData("[]")]
    [InlineData("""{"keys": 3}""")]
    [InlineData("""{"keys": [], "keys": []}""")]
    [InlineData("""{"keys": [{"kty": "oct", "k": "a", "k": "b"}]}""")]
    [InlineData("""{"keys": [{"kid": "\ud800"}]}""")]
    [InlineData("{")]
    public void What_is_no_key_set_is_none(string text) => Assert.Null(JsonWebKeys.Parse(Encoding.UTF8.GetBytes(text)));

    [Fact]
    public void Keys_for_other_purposes_and_weak_ones_are_left_out() => Assert.Equal(0, JsonWebKeys.Parse(
        """
        {"keys": [{"kty": "RSA", "use": "enc", "n": "AQAB", "e": "AQAB"}, {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
          {"kty": "EC", "crv": "P-1", "x": "AQ", "y": "AQ"}, {"kty": "oct", "k": "AQ"}, {"kty": "OKP", "crv": "Ed25519", "x": "AQ"},
          {"kty": "OKP", "crv": "X25519", "x": "Xq2M5BLvHt-w8379rLlRzDe1MtRESUxKQc6dLbe2TX8"}, 7]}
        """u8.ToArray())!.Count);

    private async Task RefusedAsync(string token, string failure, int status = 401)
    {
        var verdict = await DecideAsync(Check(), Request(token));
        Assert.Equal(status, verdict.Status);
        Assert.StartsWith(failure, verdict.Failure, StringComparison.Ordinal);
    }

    private static JsonObject Claims(Action<JsonObject>? change = null)
    {
        var claims = new JsonObject
        {
            ["iss"] = Issuer, ["sub"] = "ann", ["aud"] = new JsonArray("shop", "till"), ["exp"] = Now.AddHours(1).ToUnixTimeSeconds()
        };
        change?.Invoke(claims);
        return claims;
    }

    [Fact]
    public async Task Without_an_issuer_the_keys_alone_decide_and_other_issuers_keep_their_own()
    {
        using var other = new TokenMint();
        var check = new TokenCheck(WireTypes.Strict.Parse<JwtAuthentication>($$$"""
            {"providers": {
               "all": {"local_jwks": {"inline_string": {{{JsonValue.Create(other.Keys).ToJsonString()}}} } },
               "p": {"issuer": "{{{Issuer}}}", "local_jwks": {"inline_string": {{{JsonValue.Create(_mint.Keys).ToJsonString()}}} } } },
             "rules": [{"match": {"prefix": "/"}, "requires": {"requires_any": {"requirements": [{"provider_name": "p"}, {"provider_name": "all"}, {"allow_missing": {} }] } } }]}
            """));
        var elsewhere = Claims(c => c["iss"] = "https://elsewhere.example");
        Assert.Equal(0, (await DecideAsync(check, Request(other.Sign(elsewhere)))).Status);
        Assert.Equal(0, (await DecideAsync(check, Request(_mint.Sign(Claims())))).Status);
        Assert.Equal(401, (await DecideAsync(check, Request(other.Forge(elsewhere)))).Status);
        Assert.Equal(0, (await DecideAsync(check, Request(null))).Status);
    }

    private TokenCheck Check(string more = "",
        string requires = """{"requires_any": {"requirements": [{"provider_name": "p"}, {"allow_missing": {} }] } }""") =>
        new(WireTypes.Strict.Parse<JwtAuthentication>($$$"""
        {"providers": {"p": {"issuer": "{{{Issuer}}}", "audiences": ["shop"], {{{more}}} "payload_in_metadata": "{{{Issuer}}}",
           "local_jwks": {"inline_string": {{{JsonValue.Create(_mint.Keys).ToJsonString()}}} } } },
         "rules": [{"match": {"prefix": "/"}, "requires": {{{requires}}} }], "bypass_cors_preflight": true}
        """));

    private static ValueTask<TokenVerdict> DecideAsync(TokenCheck check, RequestHead request) =>
        check.DecideAsync(request, "http", (_, _) => throw new InvalidOperationException("the keys are given"), Now);

    private static RequestHead Request(string? token)
    {
        var request = new RequestHead { Method = "GET", Version = HttpVersions.Http11, Authority = "orders" };
        request.SetTarget("/"u8);
        if (token is not null) request.Headers.Add("authorization"u8, $"Bearer {token}");
        return request;
    }
}

using System.Buffers.Text;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using FsCheck;
using FsCheck.Fluent;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;
using Isthmus.Proxy.Matching;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Policy;
using Isthmus.Proxy.Tokens;
using Isthmus.Testing;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.Rbac;
using Xunit;

namespace Isthmus.Tests.Effects.Security;

/// <summary>Policies about tokens, as the control plane writes them and a proxy decides them.</summary>
public sealed class TokenClaimsTests
{
    private static readonly ProxySoftware Old = ProxySoftware.Unknown, New = Old with { NamesMetadataSources = true };

    /// <summary>Oracle: the text ISSUER/SUBJECT against the value, if there are both.</summary>
    [Fact]
    public void A_request_principal_is_an_issuer_and_a_subject_wherever_the_slash_between_them_is() =>
        Prop.ForAll(Word(0).Zip(Word(0)).Zip(Gen.Elements("", "*").Zip(Word(1)).Zip(Gen.Elements("", "*"))).Zip(Gen.Elements(Old, New)).ToArbitrary(), given =>
        {
            var (((issuer, subject), ((before, text), after)), software) = given;
            var value = before + text + (before.Length > 0 ? "" : after);
            var joined = $"{issuer}/{subject}";
            var expected = issuer.Length > 0 && subject.Length > 0 && (before.Length > 0 ? joined.EndsWith(text, StringComparison.Ordinal)
                : after.Length > 0 ? joined.StartsWith(text, StringComparison.Ordinal) : joined == text);
            return Matches(TokenClaims.Identity(RulePattern.Of(RuleKeys.RequestPrincipal, value), software), new() { ["iss"] = issuer, ["sub"] = subject })
                == expected;
        }).MustHold(3000);

    [Theory]
    [InlineData("a", "b", true)]
    [InlineData("a", null, false)]
    [InlineData(null, "b", false)]
    public void Any_request_principal_needs_an_issuer_and_a_subject(string? issuer, string? subject, bool matches)
    {
        var claims = new JsonObject();
        if (issuer is not null) claims["iss"] = issuer;
        if (subject is not null) claims["sub"] = subject;
        Assert.Equal(matches, Matches(TokenClaims.Identity(RulePattern.Of(RuleKeys.RequestPrincipal, "*"), Old), claims));
    }

    [Theory]
    [InlineData("""{"a": {"b": "c"}}""", true)]
    [InlineData("""{"a": {"b": ["x", "c"]}}""", true)]
    [InlineData("""{"a": {"b": "x c"}}""", false)]
    [InlineData("""{"a": "c"}""", false)]
    [InlineData("{}", false)]
    public void A_claim_is_a_text_or_a_list_of_them(string claims, bool matches)
    {
        foreach (var software in (ProxySoftware[])[Old, New])
        {
            var rule = MetadataRules.Caller(TokenClaims.Match(["a", "b"], new() { Exact = "c" }), software);
            Assert.Equal(matches, Matches(rule, (JsonObject)JsonNode.Parse(claims)!));
        }
    }

    /// <summary>What cannot be decided ends the rule, and so the policy fails closed.</summary>
    [Fact]
    public void Metadata_of_a_route_is_refused_by_name()
    {
        var match = new SourcedMetadata { MetadataMatcher = TokenClaims.Match(["a"], new() { Exact = "c" }), MetadataSource = MetadataSource.Route };
        var refused = Assert.Throws<ResourceException>(() => Matches(new() { SourcedMetadata = match }, []));
        Assert.Equal("rbac sourced_metadata of the source Route is not supported: only DYNAMIC is", refused.Message);
    }

    [Fact]
    public void The_key_set_that_stands_for_none_has_a_valid_key_that_nobody_chose()
    {
        var key = JsonNode.Parse(TokenChecks.NoKeys)!["keys"]![0]!;
        byte[] x = Base64Url.DecodeFromChars((string)key["x"]!), y = Base64Url.DecodeFromChars((string)key["y"]!);
        Assert.Equal(SHA256.HashData("isthmus: a key that nobody has 1"u8), x);
        using var point = ECDsa.Create(new ECParameters { Curve = ECCurve.NamedCurves.nistP256, Q = new() { X = x, Y = y } });
        Assert.Equal(256, point.KeySize);
        Assert.Equal(1, JsonWebKeys.Parse(Encoding.UTF8.GetBytes(TokenChecks.NoKeys))!.Count);
    }

    /// <summary>Few letters, so that many of them match, and slashes.</summary>
    private static Gen<string> Word(int least) =>
        from letters in Gen.Elements('a', '/').ArrayOf().Resize(3) where letters.Length >= least select new string(letters);

    private static bool Matches(Principal principal, JsonObject claims)
    {
        var rules = new RBAC { Policies = { ["p"] = new() { Permissions = { new Permission { Any = true } }, Principals = { principal } } } };
        var token = WebToken.Parse($"{Part("{\"alg\":\"none\"}")}.{Part(claims.ToJsonString())}.{Part("x")}")!;
        var facts = new PolicyFacts(new RequestHead { Method = "GET" }, "http", null, new(IPAddress.Loopback, 1), IPAddress.Loopback,
            new(IPAddress.Loopback, 80), "",
            RequestMetadata.Of([new(token, TokenClaims.Payload, [])]));
        return RbacPolicy.From(rules)!.Decide(facts).IsAllowed;
    }

    private static string Part(string text) => Base64Url.EncodeToString(Encoding.UTF8.GetBytes(text));
}

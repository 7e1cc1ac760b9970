using System.Globalization;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;
using Isthmus.Wire.Envoy.HttpFilters;
using Isthmus.Wire.Istio.Authn;
using HttpFilter = Isthmus.Wire.Envoy.NetworkFilters.HttpFilter;

namespace Isthmus.Mesh.Generate;

/// <summary>RequestAuthentications as filters: one validates tokens, one passes their claims to policies.</summary>
internal static class TokenChecks
{
    /// <summary>Always lists of words (RFC 8693 section 4.2), as in Istio.</summary>
    private static readonly string[] WordClaims = ["scope", "permission"];

    private static readonly Duration KeysKept = Parts.Duration(TimeSpan.FromMinutes(20));

    /// <summary>The filter whose metadata has the claims of the token.</summary>
    public const string ClaimsFilter = "istio_authn";

    /// <param name="routes">Routes that match claims are chosen after the check, as at gateways.</param>
    public static IEnumerable<HttpFilter> Http(ValueList<IssuedTokens> tokens, bool routes)
    {
        if (tokens.IsEmpty) yield break;
        var check = new JwtAuthentication { BypassCorsPreflight = true };
        var names = new List<string>();
        foreach (var issued in tokens)
        {
            var name = string.Create(CultureInfo.InvariantCulture, $"origins-{names.Count}");
            check.Providers[name] = Provider(issued);
            names.Add(name);
        }
        check.Rules.Add(new RequirementRule { Match = new() { Prefix = "/" }, Requires = Requirement(names) });
        yield return new() { Name = "envoy.filters.http.jwt_authn", TypedConfig = Parts.Pack(check) };
        var policy = new Policy { OriginIsOptional = true, PrincipalBinding = PrincipalBinding.UseOrigin };
        policy.Origins.AddRange(tokens.Select(issued => new OriginAuthenticationMethod { Jwt = new() { Issuer = issued.Rule.Issuer } }));
        yield return new()
        {
            Name = ClaimsFilter,
            TypedConfig = Parts.Pack(new FilterConfig { Policy = policy, SkipValidateTrustDomain = true, DisableClearRouteCache = !routes }),
        };
    }

    /// <summary>Requires one valid token, or no token.</summary>
    private static JwtRequirement Requirement(List<string> names)
    {
        var any = new JwtRequirementOrList();
        any.Requirements.AddRange(names.Select(name => new JwtRequirement { ProviderName = name }));
        if (names.Count == 1) any.Requirements.Add(new JwtRequirement { AllowMissing = new() });
        else
        {
            var none = new JwtRequirementAndList();
            none.Requirements.AddRange(names.Select(name => new JwtRequirement
            {
                RequiresAny = new() { Requirements = { new JwtRequirement { ProviderName = name }, new JwtRequirement { AllowMissing = new() } } },
            }));
            any.Requirements.Add(new JwtRequirement { RequiresAll = none });
        }
        return new() { RequiresAny = any };
    }

    private static JwtProvider Provider(IssuedTokens issued)
    {
        var rule = issued.Rule;
        var provider = new JwtProvider { Issuer = rule.Issuer, Forward = rule.Forward, ForwardPayloadHeader = rule.PayloadHeader, PayloadInMetadata = rule.Issuer };
        provider.Audiences.AddRange(rule.Audiences);
        provider.FromHeaders.AddRange(rule.FromHeaders.Select(header => new JwtHeader { Name = header.Name, ValuePrefix = header.Prefix }));
        provider.FromParams.AddRange(rule.FromParams);
        provider.FromCookies.AddRange(rule.FromCookies);
        provider.ClaimToHeaders.AddRange(rule.ClaimHeaders.Select(claim => new JwtClaimToHeader { HeaderName = claim.Header, ClaimName = claim.Claim }));
        if (!rule.SpaceDelimitedClaims.IsEmpty) provider.NormalizePayloadInMetadata = new() { SpaceDelimitedClaims = { WordClaims.Union(rule.SpaceDelimitedClaims) } };
        if (issued.Cluster.Length > 0)
        {
            provider.RemoteJwks = new()
            {
                HttpUri = new() { Uri = rule.JwksUri, Cluster = issued.Cluster, Timeout = Parts.Duration(rule.Timeout) },
                CacheDuration = KeysKept,
                AsyncFetch = new() { FastListener = true },
            };
        }
        // Without its keys, no token of the issuer can be verified.
        else provider.LocalJwks = new() { InlineString = rule.Jwks.Length > 0 ? rule.Jwks : "{\"keys\":[]}" };
        return provider;
    }
}

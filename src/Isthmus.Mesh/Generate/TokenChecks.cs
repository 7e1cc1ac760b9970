using System.Globalization;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;
using Isthmus.Wire.Envoy.HttpFilters;
using HttpFilter = Isthmus.Wire.Envoy.NetworkFilters.HttpFilter;

namespace Isthmus.Mesh.Generate;

/// <summary>RequestAuthentications as a filter, which validates tokens and keeps their claims for policies and routes.</summary>
internal static class TokenChecks
{
    /// <summary>Always lists of words (RFC 8693 section 4.2), as in Istio.</summary>
    private static readonly string[] WordClaims = ["scope", "permission"];

    private static readonly Duration KeysKept = Parts.Duration(TimeSpan.FromMinutes(20));

    /// <summary>A key set that verifies nothing: Envoy refuses one without keys. Nobody has the private key, since the point's x is a hash:
    /// SHA-256 of "isthmus: a key that nobody has 1" is the first of these that lies on the curve.</summary>
    public const string NoKeys =
        """{"keys":[{"kty":"EC","crv":"P-256","alg":"ES256","kid":"none","x":"ophDOWwKc7LHNKex2iS6bHKXND8RmugZhIM6k3zFJq8","y":"uFhIxGYZQWFKX0QbFrrzZRq_dwLaP81PEdzRsPu9cTI"}]}""";

    /// <param name="routes">Routes that match claims are chosen after the check, as at gateways.</param>
    public static IEnumerable<HttpFilter> Http(ValueList<IssuedTokens> tokens, bool routes)
    {
        if (tokens.IsEmpty) yield break;
        var check = new JwtAuthentication { BypassCorsPreflight = true };
        var names = new List<string>();
        foreach (var issued in tokens)
        {
            var name = string.Create(CultureInfo.InvariantCulture, $"origins-{names.Count}");
            check.Providers[name] = Provider(issued, routes);
            names.Add(name);
        }
        check.Rules.Add(new RequirementRule { Match = new() { Prefix = "/" }, Requires = Requirement(names) });
        yield return new() { Name = TokenClaims.Filter, TypedConfig = Parts.Pack(check) };
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

    private static JwtProvider Provider(IssuedTokens issued, bool routes)
    {
        var rule = issued.Rule;
        var provider = new JwtProvider
        {
            Issuer = rule.Issuer, Forward = rule.Forward, ForwardPayloadHeader = rule.PayloadHeader, ClearRouteCache = routes,
            PayloadInMetadata = TokenClaims.Payload,
            NormalizePayloadInMetadata = new() { SpaceDelimitedClaims = { WordClaims.Union(rule.SpaceDelimitedClaims) } },
        };
        provider.Audiences.AddRange(rule.Audiences);
        provider.FromHeaders.AddRange(rule.FromHeaders.Select(header => new JwtHeader { Name = header.Name, ValuePrefix = header.Prefix }));
        provider.FromParams.AddRange(rule.FromParams);
        provider.FromCookies.AddRange(rule.FromCookies);
        provider.ClaimToHeaders.AddRange(rule.ClaimHeaders.Select(claim => new JwtClaimToHeader { HeaderName = claim.Header, ClaimName = claim.Claim }));
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
        else provider.LocalJwks = new() { InlineString = rule.Jwks.Contains("\"kty\"", StringComparison.Ordinal) ? rule.Jwks : NoKeys };
        return provider;
    }
}

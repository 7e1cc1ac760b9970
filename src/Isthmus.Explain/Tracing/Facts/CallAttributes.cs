using System.Globalization;
using System.Net;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Isthmus.Core.Net;
using Isthmus.Mesh.Model;
using Isthmus.Proxy.Decisions;

namespace Isthmus.Explain.Tracing.Facts;

/// <summary>What the rules of AuthorizationPolicies can ask of a call, in the words of the policies.</summary>
/// <param name="identity">The caller's SPIFFE ID; empty when it shows no certificate.</param>
/// <param name="request">Null for a TCP connection.</param>
/// <param name="token">What the token check found out; null without a valid token.</param>
internal sealed partial class CallAttributes(string identity, AskedRequest? request, IPEndPoint source, IPEndPoint destination, string sni,
    LearnedFacts? token)
{
    private const string Scheme = "spiffe://";

    /// <summary>The gateway whose address the call comes from; empty: it comes from the caller itself.</summary>
    public string Through { get; init; } = "";

    /// <summary>What the request was before; null: nothing is known to have changed it.</summary>
    public RequestChanges? Changes { get; init; }

    /// <summary>The issuers of which the proxy that decides has no keys, so that it refuses all their tokens.</summary>
    public IReadOnlyList<string> Unkeyed { get; init; } = [];

    /// <summary>The request has a token where proxies read tokens unless told otherwise.</summary>
    public bool HasBearer => request is { HasBearer: true };

    /// <summary>A token that the request has, also where nobody reads one; null: none.</summary>
    public PlacedToken? AnyToken => request?.AnyToken;

    /// <summary>The names of the claims of the token.</summary>
    public IReadOnlyList<string> ClaimNames => token?.Find("istio_authn", [RuleKeys.Claims]) is JsonObject claims ? [.. claims.Select(claim => claim.Key)] : [];

    public string Caller => identity.Length > 0 ? identity : "callers without identity";

    public bool HasIdentity => identity.Length > 0;

    /// <summary>An HTTP request, not a TCP connection.</summary>
    public bool IsRequest => request is not null;

    public bool HasToken => Of(RuleKeys.RequestPrincipal).Count > 0;

    /// <summary>The values of an attribute; none when the call does not have it.</summary>
    public IReadOnlyList<string> Of(string key) => Of(key, request);

    /// <summary>The values that an attribute had before routes changed the request.</summary>
    public IReadOnlyList<string> Asked(string key) => Of(key, Changes?.Asked ?? request);

    private IReadOnlyList<string> Of(string key, AskedRequest? request)
    {
        var parts = identity.StartsWith(Scheme, StringComparison.Ordinal) ? identity[Scheme.Length..].Split('/') : [];
        var (ns, account) = parts is [_, "ns", var first, "sa", var second] ? (first, second) : ("", "");
        return key switch
        {
            RuleKeys.Principal => Some(string.Join('/', parts)),
            RuleKeys.Namespace => Some(ns),
            RuleKeys.ServiceAccount => Some(ns.Length > 0 ? $"{ns}/{account}" : ""),
            RuleKeys.TrustDomain => Some(parts.FirstOrDefault() ?? ""),
            RuleKeys.SourceIp or RuleKeys.RemoteIp => [source.Address.ToString()],
            RuleKeys.DestinationIp => [destination.Address.ToString()],
            RuleKeys.DestinationPort => [destination.Port.ToString(CultureInfo.InvariantCulture)],
            RuleKeys.Sni => Some(sni),
            RuleKeys.Host => Some(request?.Authority ?? ""),
            RuleKeys.Method => Some(request?.Method ?? ""),
            RuleKeys.Path => Some(request?.Path.Split('?', '#')[0] ?? ""),
            RuleKeys.RequestPrincipal or RuleKeys.Audiences or RuleKeys.Presenter => Claimed([key]),
            _ when key.StartsWith($"{RuleKeys.Header}[",
                StringComparison.Ordinal) => Some(request?.Header(Subkeys(key)[0].ToLowerInvariant()) ?? ""),
            _ when key.StartsWith($"{RuleKeys.Claims}[", StringComparison.Ordinal) => Claimed([RuleKeys.Claims, .. Subkeys(key)]),
            _ => [],
        };
    }

    /// <summary>Whether the call satisfies one attribute of a rule.</summary>
    public bool Satisfies(RuleTerm term) => Satisfies(term, Of(term.Key));

    /// <summary>Whether a value satisfies it.</summary>
    public static bool Satisfies(RuleTerm term, string value) => Satisfies(term, [value]);

    /// <summary>Whether it did before routes changed the request.</summary>
    public bool AskedSatisfies(RuleTerm term) => Satisfies(term, Asked(term.Key));

    private static bool Satisfies(RuleTerm term, IReadOnlyList<string> values) =>
        (term.Values.IsEmpty || term.Values.Any(wanted => values.Any(value => IsMatch(term.Key, wanted, value))))
            && !term.NotValues.Any(unwanted => values.Any(value => IsMatch(term.Key, unwanted, value)));

    private static bool IsMatch(string key, string wanted, string value)
    {
        if (key is RuleKeys.SourceIp or RuleKeys.RemoteIp or RuleKeys.DestinationIp)
            return Cidr.TryParse(wanted, out var range) && IPAddress.TryParse(value, out var address) && range.Contains(address);
        if (key == RuleKeys.Host) (wanted, value) = (wanted.ToLowerInvariant(), value.ToLowerInvariant());
        return RulePattern.Of(key, wanted).Covers(value);
    }

    private IReadOnlyList<string> Claimed(string[] path) => token?.Find("istio_authn", path) switch
    {
        null => [],
        JsonArray items => [.. items.Select(item => item?.ToString() ?? "")],
        var value => [value.ToString()],
    };

    private static IReadOnlyList<string> Some(string value) => value.Length > 0 ? [value] : [];

    private static string[] Subkeys(string key) => [.. Subkey().Matches(key).Select(match => match.Groups[1].Value)];

    [GeneratedRegex(@"\[([^\]]*)\]")]
    private static partial Regex Subkey();
}

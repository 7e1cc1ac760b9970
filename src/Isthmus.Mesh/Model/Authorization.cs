using Isthmus.Core.Collections;

namespace Isthmus.Mesh.Model;

public enum PolicyAction { Allow, Deny, Audit, Custom }

/// <summary>One attribute that a rule checks, and the values that it may or must not have: exact, <c>prefix*</c>,
/// <c>*suffix</c>, or <c>*</c> for any.</summary>
/// <param name="Key">A key of a rule's <c>when</c>; <see cref="RuleKeys"/> names those that <c>from</c> and <c>to</c> have
/// fields for.</param>
public sealed record RuleTerm(string Key, ValueList<string> Values, ValueList<string> NotValues);

/// <summary>Keys of <see cref="RuleTerm"/>.</summary>
public static class RuleKeys
{
    public const string Principal = "source.principal";
    public const string Namespace = "source.namespace";
    /// <summary>Its values are <c>NAMESPACE/NAME</c>.</summary>
    public const string ServiceAccount = "source.serviceAccount";
    public const string SourceIp = "source.ip";
    public const string RemoteIp = "remote.ip";
    public const string RequestPrincipal = "request.auth.principal";
    public const string Audiences = "request.auth.audiences";
    public const string Presenter = "request.auth.presenter";
    public const string Claims = "request.auth.claims";
    public const string Header = "request.headers";
    public const string DestinationIp = "destination.ip";
    public const string DestinationPort = "destination.port";
    public const string Sni = "connection.sni";
    public const string Metadata = "experimental.envoy.filters.";
    // Fields of a rule's source or operation that no condition can name.
    public const string TrustDomain = "source.trustDomain";
    public const string Host = "host";
    public const string Method = "method";
    public const string Path = "path";

    /// <summary>Only HTTP requests have it: a TCP connection cannot match it.</summary>
    public static bool IsOfRequest(string key) => key is Host or Method or Path || key.StartsWith("request.", StringComparison.Ordinal);

    /// <summary>An attribute of the caller, not of the operation.</summary>
    public static bool IsOfCaller(string key) =>
        key.StartsWith("source.", StringComparison.Ordinal) || key.StartsWith("remote.", StringComparison.Ordinal)
            || key.StartsWith("request.", StringComparison.Ordinal);
}

/// <summary>A request matches when one caller, one operation and every condition match; an empty list matches everything.</summary>
public sealed record AuthorizationRule(ValueList<ValueList<RuleTerm>> From, ValueList<ValueList<RuleTerm>> To, ValueList<RuleTerm> When);

/// <summary>Who may call what, at the callee.</summary>
/// <param name="DryRun">Reported, not enforced.</param>
public sealed record AuthorizationPolicy(
    ObjectRef Source, WorkloadSelector Selector, PolicyAction Action, ValueList<AuthorizationRule> Rules, bool DryRun, long CreatedAt)
    : IWorkloadPolicy
{
    public string Namespace => Source.Namespace;
    public string Name => Source.Name;

    /// <summary>With <see cref="PolicyAction.Custom"/>: the external authorizer that decides.</summary>
    public string Provider { get; init; } = "";
}

public readonly record struct TokenHeader(string Name, string Prefix);

public readonly record struct ClaimHeader(string Header, string Claim);

/// <summary>How tokens of one issuer are found and checked.</summary>
/// <param name="Jwks">The issuer's keys themselves; empty if they are at <paramref name="JwksUri"/>.</param>
public sealed record TokenRule(
    string Issuer,
    ValueList<string> Audiences,
    string JwksUri,
    string Jwks,
    ValueList<TokenHeader> FromHeaders,
    ValueList<string> FromParams,
    ValueList<string> FromCookies,
    string PayloadHeader,
    ValueList<ClaimHeader> ClaimHeaders,
    bool Forward)
{
    public static readonly TimeSpan DefaultTimeout = TimeSpan.FromSeconds(5);

    /// <summary>How long a request for the keys may take.</summary>
    public TimeSpan Timeout { get; init; } = DefaultTimeout;

    /// <summary>Claims that are lists of words, besides those that are by default.</summary>
    public ValueList<string> SpaceDelimitedClaims { get; init; }

    public KeyPlace Place => new(Issuer, JwksUri, Timeout);
}

/// <summary>Where the keys of an issuer are: at a URI, or, if that is empty, where the issuer says (OpenID Connect Discovery).</summary>
/// <param name="Timeout">How long a request for them may take.</param>
public readonly record struct KeyPlace(string Issuer, string Uri, TimeSpan Timeout)
{
    /// <summary>The document in which an issuer says where its keys are; null when the issuer is not a URL.</summary>
    public Uri? Discovery =>
        System.Uri.TryCreate($"{Issuer.TrimEnd('/')}/.well-known/openid-configuration", UriKind.Absolute, out var uri) && uri.Scheme is "http" or "https"
            ? uri
            : null;
}

/// <summary>The keys of an issuer as it serves them (RFC 7517).</summary>
public sealed record KeySet(string Jwks);

/// <summary>Which tokens requests may carry: a token must be valid if present, but none is required.</summary>
public sealed record RequestAuthentication(ObjectRef Source, WorkloadSelector Selector, ValueList<TokenRule> Rules, long CreatedAt) : IWorkloadPolicy
{
    public string Namespace => Source.Namespace;
    public string Name => Source.Name;
}

/// <summary>What a workload requires of its callers.</summary>
/// <param name="Policies">The policies that select it, in order of namespace and name.</param>
public sealed record WorkloadSecurity(ValueList<AuthorizationPolicy> Policies, ValueList<IssuedTokens> Tokens)
{
    public static readonly WorkloadSecurity None = new(default, default);

    /// <summary>The authorizers that the policies name, by name, as far as they exist and can be reached.</summary>
    public ValueMap<ReachedAuthorizer> Authorizers { get; init; }

    /// <summary>The calls come out of tunnels: who calls is known from the state that the end of the tunnel has set, not from TLS.</summary>
    public bool InTunnels { get; init; }

    /// <summary>The policies of the root namespace and of the workload's own namespace that select it.</summary>
    /// <param name="issued">How the keys of a rule are found.</param>
    /// <param name="reach">The authorizer with a name; null if there is none, or no way to it.</param>
    public static WorkloadSecurity Of(
        IEnumerable<AuthorizationPolicy> policies, IEnumerable<RequestAuthentication> tokens, ValueMap<string> labels, Func<TokenRule, IssuedTokens> issued,
        Func<string, ReachedAuthorizer?> reach)
    {
        var chosen = policies.Where(policy => policy.Selector.Selects(labels)).OrderBy(policy => policy.Source).ToValueList();
        var rules = tokens.Where(policy => policy.Selector.Selects(labels)).OrderBy(policy => policy.CreatedAt).ThenBy(policy => policy.Source)
            .SelectMany(policy => policy.Rules).OrderBy(rule => rule.Issuer, StringComparer.Ordinal)
            .Select(issued).ToValueList();
        var reached = chosen.Where(policy => policy.Action == PolicyAction.Custom).Select(policy => policy.Provider).Distinct()
            .Select(reach).OfType<ReachedAuthorizer>().Select(authorizer => KeyValuePair.Create(authorizer.Authorizer.Name, authorizer)).ToValueMap();
        return chosen.IsEmpty && rules.IsEmpty ? None : new(chosen, rules) { Authorizers = reached };
    }
}

/// <param name="Cluster">The cluster through which the issuer's keys are fetched; empty if the keys are inline, or no cluster
/// leads to them.</param>
public sealed record IssuedTokens(TokenRule Rule, string Cluster);

using System.Globalization;
using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Core.Net;
using Isthmus.Mesh.Model;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.Rbac;
using Isthmus.Wire.Envoy.Routes;
using HttpFilter = Isthmus.Wire.Envoy.NetworkFilters.HttpFilter;
using HttpRbac = Isthmus.Wire.Envoy.HttpFilters.RBAC;
using NetworkRbac = Isthmus.Wire.Envoy.NetworkFilters.RBAC;

namespace Isthmus.Mesh.Generate;

/// <summary>AuthorizationPolicies as filters: one for each action, in order of evaluation, and one for each external authorizer.</summary>
internal static class Authorizations
{
    private static readonly PolicyAction[] Order = [PolicyAction.Audit, PolicyAction.Deny, PolicyAction.Allow];

    public static IEnumerable<HttpFilter> Http(WorkloadSecurity security, MeshConfig mesh)
    {
        foreach (var custom in Customs(security, mesh, tcp: false))
        {
            yield return Http(custom.Denied, custom.Matched, custom.Prefix);
            if (custom.Reached is { } reached) yield return ExternalChecks.Http(reached, custom.Prefix);
        }
        foreach (var made in ByAction(security.Policies, new(mesh, Tcp: false, security.InTunnels)))
            yield return Http(made.Rules, made.Shadow, ShadowPrefix(made.Action));
    }

    public static IEnumerable<Wire.Envoy.Listeners.Filter> Tcp(WorkloadSecurity security, MeshConfig mesh)
    {
        foreach (var custom in Customs(security, mesh, tcp: true))
        {
            yield return Tcp(custom.Denied, custom.Matched, custom.Prefix);
            if (custom.Reached is { } reached) yield return ExternalChecks.Tcp(reached, custom.Prefix);
        }
        foreach (var made in ByAction(security.Policies, new(mesh, Tcp: true, security.InTunnels)))
            yield return Tcp(made.Rules, made.Shadow, ShadowPrefix(made.Action));
    }

    private static HttpFilter Http(RBAC? rules, RBAC? shadow, string prefix) => new()
    {
        Name = ExternalChecks.HttpRbac, TypedConfig = Parts.Pack(new HttpRbac { Rules = rules, ShadowRules = shadow, ShadowRulesStatPrefix = prefix }),
    };

    private static Wire.Envoy.Listeners.Filter Tcp(RBAC? rules, RBAC? shadow, string prefix) => new()
    {
        Name = ExternalChecks.TcpRbac,
        TypedConfig = Parts.Pack(new NetworkRbac { Rules = rules, ShadowRules = shadow, ShadowRulesStatPrefix = prefix, StatPrefix = "tcp." }),
    };

    private static string ShadowPrefix(PolicyAction action) => action is PolicyAction.Deny ? "istio_dry_run_deny_" : "istio_dry_run_allow_";

    /// <summary>What an external authorizer decides about: rules that only mark it, or deny it, because nobody can be asked.</summary>
    private sealed record Custom(string Prefix, RBAC? Denied, RBAC? Matched, ReachedAuthorizer? Reached);

    private static IEnumerable<Custom> Customs(WorkloadSecurity security, MeshConfig mesh, bool tcp)
    {
        var byProvider = security.Policies.Where(policy => policy is { Action: PolicyAction.Custom, DryRun: false })
            .GroupBy(policy => policy.Provider, StringComparer.Ordinal).OrderBy(own => own.Key, StringComparer.Ordinal).ToList();
        foreach (var own in byProvider)
        {
            // Those of several authorizers must not be confused.
            var prefix = byProvider.Count == 1 ? ExternalChecks.Prefix : $"{ExternalChecks.Prefix}{own.Key}_";
            var rules = Rules(PolicyAction.Custom, [.. own], new(mesh, tcp, security.InTunnels));
            var reached = security.Authorizers.TryGetValue(own.Key, out var found) && (!tcp || found.Authorizer.IsGrpc) ? found : null;
            yield return reached is null ? new(prefix, rules, null, null) : new(prefix, null, rules, reached);
        }
    }

    private static IEnumerable<(PolicyAction Action, RBAC? Rules, RBAC? Shadow)> ByAction(ValueList<AuthorizationPolicy> policies, Place place)
    {
        foreach (var action in Order)
        {
            var own = policies.Where(policy => policy.Action == action).ToList();
            if (own.Count > 0)
                yield return (action, Rules(action, [.. own.Where(policy => !policy.DryRun)], place),
                    Rules(action, [.. own.Where(policy => policy.DryRun)], place));
        }
    }

    private static RBAC? Rules(PolicyAction action, List<AuthorizationPolicy> policies, Place place)
    {
        if (policies.Count == 0) return null;
        var rules = new RBAC
        {
            Action = action switch { PolicyAction.Allow => RBAC.Types.Action.Allow, PolicyAction.Audit => RBAC.Types.Action.Log, _ => RBAC.Types.Action.Deny }
        };
        foreach (var policy in policies)
        {
            var name = $"{(action == PolicyAction.Custom ? $"{ExternalChecks.Match}-" : "")}ns[{policy.Namespace}]-policy[{policy.Name}]-rule[";
            if (policy.Rules.IsEmpty) rules.Policies[name + "0]"] = Never();
            for (var i = 0; i < policy.Rules.Count; i++)
            {
                if (One(policy.Rules[i], action, place) is { } made) rules.Policies[string.Create(CultureInfo.InvariantCulture, $"{name}{i}]")] = made;
            }
        }
        return rules;
    }

    private static Policy Never() =>
        new() { Permissions = { new Permission { NotRule = new() { Any = true } } }, Principals = { new Principal { NotId = new() { Any = true } } } };

    /// <summary>
    /// Null for a rule that a TCP connection can never match. A DENY rule is kept without its HTTP-only parts:
    /// denying too much is safer than denying too little.
    /// </summary>
    private static Policy? One(AuthorizationRule rule, PolicyAction action, Place place)
    {
        var tcp = place.Tcp;
        var asksForRequest = rule.From.Concat(rule.To).SelectMany(terms => terms).Concat(rule.When).Any(term => RuleKeys.IsOfRequest(term.Key));
        if (tcp && asksForRequest && action == PolicyAction.Allow) return null;
        var callers = rule.When.Where(term => RuleKeys.IsOfCaller(term.Key)).ToList();
        var calls = rule.When.Where(term => !RuleKeys.IsOfCaller(term.Key)).ToList();
        var policy = new Policy();
        foreach (var to in rule.To.IsEmpty ? [default] : rule.To.Items)
        {
            var all = to.Concat(calls).Where(term => !tcp || !RuleKeys.IsOfRequest(term.Key)).SelectMany(term => Permissions(term, place.Mesh)).ToList();
            policy.Permissions.Add(new Permission { AndRules = new() { Rules = { all.Count > 0 ? all : [new() { Any = true }] } } });
        }
        foreach (var from in rule.From.IsEmpty ? [default] : rule.From.Items)
        {
            var all = from.Concat(callers).Where(term => !tcp || !RuleKeys.IsOfRequest(term.Key)).SelectMany(term => Principals(term, place)).ToList();
            policy.Principals.Add(new Principal { AndIds = new() { Ids = { all.Count > 0 ? all : [new() { Any = true }] } } });
        }
        return policy;
    }

    private static IEnumerable<Permission> Permissions(RuleTerm term, MeshConfig mesh)
    {
        if (!term.Values.IsEmpty) yield return new() { OrRules = new() { Rules = { term.Values.Select(value => PermissionOf(term.Key, value, mesh)) } } };
        if (!term.NotValues.IsEmpty)
            yield return new() { NotRule = new() { OrRules = new() { Rules = { term.NotValues.Select(value => PermissionOf(term.Key, value, mesh)) } } } };
    }

    private static Permission PermissionOf(string key, string value, MeshConfig mesh) => key switch
    {
        RuleKeys.Host => new() { Header = Header(":authority", RulePattern.Of(key, value), ignoreCase: true) },
        RuleKeys.Method => new() { Header = Header(":method", RulePattern.Of(key, value)) },
        RuleKeys.Path => new() { UrlPath = new() { Path = Text(RulePattern.Of(key, value)) } },
        RuleKeys.DestinationPort => new() { DestinationPort = uint.Parse(value, CultureInfo.InvariantCulture) },
        RuleKeys.DestinationIp => new() { DestinationIp = Range(value) },
        RuleKeys.Sni => new() { RequestedServerName = Text(RulePattern.Of(key, value)) },
        _ => MetadataRules.Call(FilterMetadata(key, RulePattern.Of(key, value)), mesh.Software),
    };

    private static IEnumerable<Principal> Principals(RuleTerm term, Place place)
    {
        var (values, notValues) = term.Key == RuleKeys.Principal
            ? (InTrustDomains(term.Values, place.Mesh), InTrustDomains(term.NotValues, place.Mesh))
            : (term.Values, term.NotValues);
        if (!values.IsEmpty) yield return new() { OrIds = new() { Ids = { values.Select(value => PrincipalOf(term.Key, value, place)) } } };
        if (!notValues.IsEmpty)
            yield return new() { NotId = new() { OrIds = new() { Ids = { notValues.Select(value => PrincipalOf(term.Key, value, place)) } } } };
    }

    private static Principal PrincipalOf(string key, string value, Place place) => PrincipalOf(key, value, RulePattern.Of(key, value), place);

    private static Principal PrincipalOf(string key, string value, RulePattern pattern, Place place) => key switch
    {
        RuleKeys.Principal => place.Caller(Text(pattern, "spiffe://")),
        RuleKeys.Namespace => place.Caller(TextMatches.Regex($".*/ns/{pattern.Regex}/.*")),
        RuleKeys.ServiceAccount => place.Caller(TextMatches.Regex($"spiffe://[^/]+/ns/{pattern.Regex.Replace("/", "/sa/", StringComparison.Ordinal)}")),
        RuleKeys.TrustDomain => place.Caller(TextMatches.Regex($"spiffe://{pattern.Regex}/.*")),
        RuleKeys.SourceIp => new() { DirectRemoteIp = Range(value) },
        RuleKeys.RemoteIp => new() { RemoteIp = Range(value) },
        RuleKeys.RequestPrincipal => TokenClaims.Identity(pattern, place.Mesh.Software),
        RuleKeys.Audiences => MetadataRules.Caller(TokenClaims.Match(["aud"], Text(pattern)), place.Mesh.Software),
        RuleKeys.Presenter => MetadataRules.Caller(TokenClaims.Match(["azp"], Text(pattern)), place.Mesh.Software),
        _ when key.StartsWith(RuleKeys.Claims, StringComparison.Ordinal) =>
            MetadataRules.Caller(TokenClaims.Match(Indexes(key), Text(pattern)), place.Mesh.Software),
        _ => new() { Header = Header(Indexes(key)[0], pattern) },
    };

    /// <summary>An identity in one of the mesh's trust domains matches in all of them.</summary>
    private static ValueList<string> InTrustDomains(ValueList<string> identities, MeshConfig mesh)
    {
        var all = mesh.TrustDomains.ToList();
        return identities.SelectMany(identity =>
        {
            var slash = identity.IndexOf('/', StringComparison.Ordinal);
            var domain = slash < 0 ? "" : identity[..slash];
            return all.Contains(domain) || domain == Core.Names.WellKnown.DefaultTrustDomain ? all.Select(other => other + identity[slash..]) : [identity];
        }).Distinct().ToValueList();
    }

    /// <summary>Where rules are checked.</summary>
    /// <param name="Tcp">Of connections: nothing is known of requests.</param>
    /// <param name="InTunnels">Of what comes out of tunnels.</param>
    private readonly record struct Place(MeshConfig Mesh, bool Tcp, bool InTunnels)
    {
        /// <summary>A caller with such a SPIFFE ID.</summary>
        public Principal Caller(StringMatcher name) =>
            InTunnels ? TunnelStates.Caller(name) : new() { Authenticated = new() { PrincipalName = name } };
    }

    /// <summary><c>experimental.envoy.filters.NAME[KEY]</c>.</summary>
    private static MetadataMatcher FilterMetadata(string key, RulePattern pattern)
    {
        var (filter, text) = (key["experimental.".Length..key.IndexOf('[', StringComparison.Ordinal)], new ValueMatcher { StringMatch = Text(pattern) });
        return Metadata(filter, pattern.IsOfItem ? new() { ListMatch = new() { OneOf = text } } : text, [.. Indexes(key)]);
    }

    private static MetadataMatcher Metadata(string filter, ValueMatcher value, params ReadOnlySpan<string> path)
    {
        var matcher = new MetadataMatcher { Filter = filter, Value = value };
        foreach (var key in path) matcher.Path.Add(new MetadataMatcher.Types.PathSegment { Key = key });
        return matcher;
    }

    /// <summary>The bracketed parts after a key, in order.</summary>
    private static List<string> Indexes(string key) => [.. key[(key.IndexOf('[', StringComparison.Ordinal) + 1)..^1].Split("][")];

    private static HeaderMatcher Header(string name, RulePattern pattern, bool ignoreCase = false)
    {
        var header = new HeaderMatcher { Name = name };
        if (pattern.IsAnything) header.PresentMatch = true;
        else
        {
            header.StringMatch = Text(pattern);
            header.StringMatch.IgnoreCase = ignoreCase;
        }
        return header;
    }

    private static StringMatcher Text(RulePattern pattern, string scheme = "") =>
        pattern.Exact is { } exact ? new() { Exact = scheme + exact }
        : pattern.Prefix is { } prefix ? TextMatches.Prefix(scheme + prefix)
        : pattern.Suffix is { } suffix && scheme.Length == 0 ? TextMatches.Suffix(suffix)
        : pattern.IsAnything ? TextMatches.Regex(pattern.Regex)
        : TextMatches.Regex(LinearRegex.Literal(scheme) + pattern.Regex);

    private static CidrRange Range(string value) => Parts.Range(AddressOrRange.Parse(value));
}

using System.Net;
using Isthmus.Core.Net;
using Isthmus.Proxy.Matching;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Tokens;
using Isthmus.Proxy.Transports;
using Isthmus.Wire;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.Rbac;
using Isthmus.Wire.Envoy.Routes;

namespace Isthmus.Proxy.Policy;

/// <summary>The inputs of an authorization rule.</summary>
/// <param name="Metadata">The results of token checks; null when none ran.</param>
/// <param name="Request">Null for a TCP connection: rules about requests then do not match.</param>
internal readonly record struct PolicyFacts(
    RequestHead? Request, string Scheme, TlsPeer? Peer, IPEndPoint Source, IPAddress RemoteAddress, IPEndPoint Destination, string ServerName,
    RequestMetadata? Metadata = null)
{
    /// <summary>The other end of the socket, if that is a proxy for <see cref="Source"/>.</summary>
    public IPAddress? DirectSource { get; init; }

    /// <summary>What filters said of the request or the connection.</summary>
    public FilterState State { get => field ?? FilterState.Empty; init; }
}

/// <summary>The result of one policy filter.</summary>
/// <param name="Rule">The rule that decided; empty when none matched.</param>
internal readonly record struct Verdict(bool IsAllowed, string Rule);

/// <summary>The rules of an rbac filter, compiled to predicates and decided without any I/O.</summary>
internal sealed class RbacPolicy
{
    private readonly RBAC.Types.Action _action;
    private readonly (string Name, Func<PolicyFacts, bool> Matches)[] _rules;

    private RbacPolicy(RBAC.Types.Action action, (string, Func<PolicyFacts, bool>)[] rules)
    {
        _action = action;
        _rules = rules;
    }

    /// <summary>The rules only mark what they match.</summary>
    public bool OnlyLogs => _action == RBAC.Types.Action.Log;

    /// <summary>Compiles rules; null when there are none.</summary>
    /// <exception cref="ResourceException">A rule that this proxy cannot evaluate: guessing would allow or deny the wrong
    /// requests.</exception>
    public static RbacPolicy? From(RBAC? rules)
    {
        if (rules is null) return null;
        // What could be read in two ways is denied if one reading is, and allowed only if both are.
        var reading = rules.Action == RBAC.Types.Action.Allow ? Reading.All : Reading.Any;
        return new(rules.Action, [.. rules.Policies.OrderBy(p => p.Key, StringComparer.Ordinal).Select(p => (p.Key, Rule(p.Value, reading)))]);
    }

    public Verdict Decide(in PolicyFacts facts)
    {
        foreach (var (name, matches) in _rules)
            if (matches(facts)) return new(_action != RBAC.Types.Action.Deny, name);
        return new(_action != RBAC.Types.Action.Allow, "");
    }

    private static Func<PolicyFacts, bool> Rule(Wire.Envoy.Rbac.Policy policy, Reading reading)
    {
        var permissions = policy.Permissions.Select(rule => Permission(rule, reading)).ToArray();
        var principals = policy.Principals.Select(rule => Principal(rule, reading)).ToArray();
        return facts => Array.Exists(permissions, p => p(facts)) && Array.Exists(principals, p => p(facts));
    }

    private static Func<PolicyFacts, bool> Permission(Permission permission, Reading reading)
    {
        switch (permission.RuleCase)
        {
            case Wire.Envoy.Rbac.Permission.RuleOneofCase.AndRules: return All(permission.AndRules.Rules.Select(rule => Permission(rule, reading)));
            case Wire.Envoy.Rbac.Permission.RuleOneofCase.OrRules: return OneOf(permission.OrRules.Rules,
                rule => rule.RuleCase == Wire.Envoy.Rbac.Permission.RuleOneofCase.Header ? rule.Header : null, Permission, reading);
            case Wire.Envoy.Rbac.Permission.RuleOneofCase.NotRule: return Not(Permission(permission.NotRule, reading.Negated()));
            case Wire.Envoy.Rbac.Permission.RuleOneofCase.Any: return _ => true;
            case Wire.Envoy.Rbac.Permission.RuleOneofCase.Header: return Header(permission.Header, reading);
            case Wire.Envoy.Rbac.Permission.RuleOneofCase.UrlPath: return Path(TextMatch.From(permission.UrlPath.Path), reading);
            case Wire.Envoy.Rbac.Permission.RuleOneofCase.DestinationIp:
                var range = Range(permission.DestinationIp);
                return facts => range.Contains(facts.Destination.Address);
            case Wire.Envoy.Rbac.Permission.RuleOneofCase.DestinationPort:
                var port = (int)permission.DestinationPort;
                return facts => facts.Destination.Port == port;
            case Wire.Envoy.Rbac.Permission.RuleOneofCase.DestinationPortRange:
                var ports = permission.DestinationPortRange;
                return facts => facts.Destination.Port >= ports.Start && facts.Destination.Port < ports.End;
            case Wire.Envoy.Rbac.Permission.RuleOneofCase.RequestedServerName:
                var name = TextMatch.From(permission.RequestedServerName);
                return facts => name.IsMatch(facts.ServerName);
            case Wire.Envoy.Rbac.Permission.RuleOneofCase.Metadata: return Metadata(permission.Metadata);
            case Wire.Envoy.Rbac.Permission.RuleOneofCase.SourcedMetadata: return Metadata(permission.SourcedMetadata);
            case Wire.Envoy.Rbac.Permission.RuleOneofCase.UriTemplate: return Path(Template(permission.UriTemplate), reading);
            default: throw new ResourceException($"rbac permission {permission.RuleCase} is not supported");
        }
    }

    private static Func<PolicyFacts, bool> Principal(Principal principal, Reading reading)
    {
        switch (principal.IdentifierCase)
        {
            case Wire.Envoy.Rbac.Principal.IdentifierOneofCase.AndIds: return All(principal.AndIds.Ids.Select(rule => Principal(rule, reading)));
            case Wire.Envoy.Rbac.Principal.IdentifierOneofCase.OrIds: return OneOf(principal.OrIds.Ids,
                rule => rule.IdentifierCase == Wire.Envoy.Rbac.Principal.IdentifierOneofCase.Header ? rule.Header : null, Principal, reading);
            case Wire.Envoy.Rbac.Principal.IdentifierOneofCase.NotId: return Not(Principal(principal.NotId, reading.Negated()));
            case Wire.Envoy.Rbac.Principal.IdentifierOneofCase.Any: return _ => true;
            case Wire.Envoy.Rbac.Principal.IdentifierOneofCase.Authenticated: return Authenticated(principal.Authenticated.PrincipalName);
            case Wire.Envoy.Rbac.Principal.IdentifierOneofCase.DirectRemoteIp:
                var direct = Range(principal.DirectRemoteIp);
                return facts => direct.Contains(facts.DirectSource ?? facts.Source.Address);
            case Wire.Envoy.Rbac.Principal.IdentifierOneofCase.RemoteIp:
                var remote = Range(principal.RemoteIp);
                return facts => remote.Contains(facts.RemoteAddress);
            case Wire.Envoy.Rbac.Principal.IdentifierOneofCase.Header: return Header(principal.Header, reading);
            case Wire.Envoy.Rbac.Principal.IdentifierOneofCase.UrlPath: return Path(TextMatch.From(principal.UrlPath.Path), reading);
            case Wire.Envoy.Rbac.Principal.IdentifierOneofCase.Metadata: return Metadata(principal.Metadata);
            case Wire.Envoy.Rbac.Principal.IdentifierOneofCase.SourcedMetadata: return Metadata(principal.SourcedMetadata);
            case Wire.Envoy.Rbac.Principal.IdentifierOneofCase.FilterState: return State(principal.FilterState);
            default: throw new ResourceException($"rbac principal {principal.IdentifierCase} is not supported");
        }
    }

    private static Func<PolicyFacts, bool> Authenticated(StringMatcher? name)
    {
        if (name is null) return facts => facts.Peer is { Sha256.Length: > 0 };
        var match = TextMatch.From(name);
        return facts =>
        {
            if (facts.Peer is not { Sha256.Length: > 0 } peer) return false;
            if (peer.Uris.Count > 0) return peer.Uris.Any(match.IsMatch);
            return peer.DnsNames.Count > 0 ? peer.DnsNames.Any(match.IsMatch) : match.IsMatch(peer.Subject);
        };
    }

    /// <summary>A state without that object does not match, whatever the rule is about.</summary>
    private static Func<PolicyFacts, bool> State(FilterStateMatcher matcher)
    {
        if (matcher.MatcherCase != FilterStateMatcher.MatcherOneofCase.StringMatch)
            throw new ResourceException($"rbac principal filter_state '{matcher.Key}': only string_match is supported");
        if (matcher.Key.Length == 0) throw new ResourceException("rbac principal filter_state without a key");
        var (key, match) = (matcher.Key, TextMatch.From(matcher.StringMatch));
        return facts => facts.State.Find(key) is { } value && match.IsMatch(value);
    }

    private static Func<PolicyFacts, bool> Header(HeaderMatcher matcher, Reading reading)
    {
        var match = MatchDecoder.Header(matcher);
        return facts => facts.Request is not null && match.IsMatch(facts.Request, facts.Scheme, reading);
    }

    private static Func<PolicyFacts, bool> Path(TextMatch match, Reading reading) => facts =>
    {
        if (facts.Request is not { } request) return false;
        var target = request.Target;
        var end = target.IndexOfAny((byte)'?', (byte)'#');
        return match.IsMatch(end < 0 ? target : target[..end], reading);
    };

    private static TextMatch Template(TypedExtensionConfig extension) =>
        extension.TypedConfig is { } config && config.TryRead(out UriTemplateMatchConfig template)
            ? UriTemplate.Match(template.PathTemplate)
            : throw new ResourceException($"rbac permission: the template '{extension.Name}' with {extension.TypedConfig?.TypeUrl} is not supported");

    // Without filter results nothing matches.
    private static Func<PolicyFacts, bool> Metadata(MetadataMatcher matcher)
    {
        var matches = RequestMetadata.Matcher(matcher);
        return facts => matches(facts.Metadata);
    }

    private static Func<PolicyFacts, bool> Metadata(SourcedMetadata sourced) => sourced.MetadataSource == MetadataSource.Dynamic
        ? Metadata(sourced.MetadataMatcher)
        : throw new ResourceException($"rbac sourced_metadata of the source {sourced.MetadataSource} is not supported: only DYNAMIC is");

    private static Cidr Range(CidrRange range) => MatchDecoder.Range(range);

    private static Func<PolicyFacts, bool> All(IEnumerable<Func<PolicyFacts, bool>> rules)
    {
        var all = rules.ToArray();
        return facts => Array.TrueForAll(all, r => r(facts));
    }

    /// <summary>One of several rules. Where all readings must match, each value of a field may match another of the rules for that field.</summary>
    private static Func<PolicyFacts, bool> OneOf<T>(IEnumerable<T> rules, Func<T, HeaderMatcher?> field, Func<T, Reading, Func<PolicyFacts, bool>> compile,
        Reading reading)
    {
        var all = new List<Func<PolicyFacts, bool>>();
        var fields = new List<HeaderMatch>();
        foreach (var rule in rules)
        {
            if (reading == Reading.All && field(rule) is { InvertMatch: false } matcher) fields.Add(MatchDecoder.Header(matcher));
            else all.Add(compile(rule, reading));
        }
        foreach (var ofOne in fields.GroupBy(match => match.Name, StringComparer.Ordinal))
        {
            var options = ofOne.ToArray();
            all.Add(facts => facts.Request is not null && HeaderMatch.EachMatches(options, facts.Request, facts.Scheme));
        }
        var compiled = all.ToArray();
        return facts => Array.Exists(compiled, r => r(facts));
    }

    private static Func<PolicyFacts, bool> Not(Func<PolicyFacts, bool> rule) => facts => !rule(facts);
}

using System.Net;
using System.Text;
using Isthmus.Core.Net;
using Isthmus.Proxy.Messages;

namespace Isthmus.Proxy.Policy;

/// <summary>What a request is counted under: entries in their order.</summary>
internal readonly record struct LimitEntry(string Key, string Value);

/// <summary>The inputs of an action.</summary>
/// <param name="Source">This proxy's own service cluster.</param>
/// <param name="Destination">The cluster that the route leads to; empty when it leads to none.</param>
internal readonly record struct LimitFacts(RequestHead Request, string Scheme, IPAddress RemoteAddress, string Source, string Destination);

/// <summary>The outcome of one action: an entry, nothing, or that the rule does not apply to the request.</summary>
internal readonly record struct LimitStep(LimitEntry? Entry, bool Ends)
{
    public static readonly LimitStep Skip = new(null, false), End = new(null, true);

    public static LimitStep Of(string key, string value) => new(new(key, value), false);
}

/// <summary>One of the <c>rate_limits</c> of a route: how a request is described to a rate limit.</summary>
internal sealed record LimitRule(int Stage, IReadOnlyList<Func<LimitFacts, LimitStep>> Actions)
{
    /// <summary>Null when the rule does not apply to the request.</summary>
    public IReadOnlyList<LimitEntry>? Describe(in LimitFacts facts)
    {
        var entries = new List<LimitEntry>(Actions.Count);
        foreach (var action in Actions)
        {
            var step = action(facts);
            if (step.Ends) return null;
            if (step.Entry is { } entry) entries.Add(entry);
        }
        return entries.Count == 0 ? null : entries;
    }

    public static Func<LimitFacts, LimitStep> Always(string key, string value) => _ => LimitStep.Of(key, value);

    public static Func<LimitFacts, LimitStep> Field(string name, string key, bool skips)
    {
        var bytes = Encoding.ASCII.GetBytes(name.ToLowerInvariant());
        return facts => (name switch
        {
            ":method" => facts.Request.Method,
            ":path" => facts.Request.TargetText,
            ":authority" => facts.Request.Authority,
            ":scheme" => facts.Scheme,
            _ => facts.Request.Headers.GetJoined(bytes),
        }) is { Length: > 0 } value ? LimitStep.Of(key, value) : skips ? LimitStep.Skip : LimitStep.End;
    }

    public static Func<LimitFacts, LimitStep> Parameter(string name, string key, bool skips) =>
        facts => RequestFields.Query(facts.Request, name) is { Length: > 0 } value ? LimitStep.Of(key, value) : skips ? LimitStep.Skip : LimitStep.End;

    public static Func<LimitFacts, LimitStep> Masked(int v4, int v6) => facts =>
    {
        var length = facts.RemoteAddress.AddressFamily == System.Net.Sockets.AddressFamily.InterNetwork ? v4 : v6;
        return LimitStep.Of("masked_remote_address", Range(facts.RemoteAddress, length));
    };

    private static string Range(IPAddress address, int length)
    {
        var range = Cidr.Parse($"{address}/{length}");
        return $"{range.Base}/{range.PrefixLength}";
    }

    public static Func<LimitFacts, LimitStep> Matching(Func<LimitFacts, bool> matches, bool expected, string key, string value) =>
        facts => matches(facts) == expected ? LimitStep.Of(key, value) : LimitStep.End;
}

/// <summary>What a virtual host's <c>rate_limits</c> mean beside those of the route.</summary>
internal enum HostLimits { IfNone, Also, Never }

/// <summary>What a route and its virtual host say about rate limits.</summary>
/// <param name="Own">The rules of the route.</param>
/// <param name="OfHost">The rules of the virtual host.</param>
/// <param name="IncludesHost">The route asks for the rules of its virtual host, too.</param>
internal sealed record RouteLimits(IReadOnlyList<LimitRule> Own, IReadOnlyList<LimitRule> OfHost, bool IncludesHost)
{
    /// <summary>The descriptors of a request for the filters of a stage.</summary>
    public IEnumerable<IReadOnlyList<LimitEntry>> Describe(int stage, HostLimits host, LimitFacts facts)
    {
        var takesHost = host == HostLimits.Also || (host == HostLimits.IfNone && (IncludesHost || Own.Count == 0));
        return Describe(takesHost ? [.. Own, .. OfHost] : Own, stage, facts);
    }

    public static IEnumerable<IReadOnlyList<LimitEntry>> Describe(IReadOnlyList<LimitRule> rules, int stage, LimitFacts facts)
    {
        foreach (var rule in rules)
            if (rule.Stage == stage && rule.Describe(facts) is { } entries) yield return entries;
    }
}

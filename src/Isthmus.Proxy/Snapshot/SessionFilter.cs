using Google.Protobuf.Collections;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Proxy.Matching;
using Isthmus.Proxy.Policy;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.HttpFilters;

namespace Isthmus.Proxy.Snapshot;

/// <summary>How requests of a client's session get to the host that the first one got to.</summary>
/// <param name="IsHeader">Client and proxy name the host in a header, not in a cookie.</param>
/// <param name="Name">Of the header, in lower case, or of the cookie.</param>
/// <param name="Lifetime">Of the cookie; zero: as long as the client runs.</param>
/// <param name="Path">Of the cookie. Requests of other paths belong to no session.</param>
/// <param name="Attributes">More of the cookie, as <c>; name=value</c>.</param>
/// <param name="IsStrict">No other host may answer.</param>
internal sealed record SessionSettings(bool IsHeader, string Name, TimeSpan Lifetime, string Path, string Attributes, bool IsStrict)
{
    /// <summary>The name as a field has it.</summary>
    public byte[] Field { get; } = System.Text.Encoding.ASCII.GetBytes(Name);

    /// <returns>Null: the filter does nothing.</returns>
    /// <exception cref="ResourceException">A kind of session that this proxy does not have.</exception>
    public static SessionSettings? Of(StatefulSession? session)
    {
        if (session?.SessionState?.TypedConfig is not { } any) return null;
        if (any.TryRead(out HeaderBasedSessionState header))
            return header.Name.Length == 0 ? throw new ResourceException("stateful_session: the header has no name")
                : new(true, header.Name.ToLowerInvariant(), TimeSpan.Zero, "", "", session.Strict);
        if (!any.TryRead(out CookieBasedSessionState state))
            throw new ResourceException($"stateful_session: {TypedConfigs.TypeOf(any)} is not supported: use a cookie or a header");
        return state.Cookie is not { Name.Length: > 0 } cookie ? throw new ResourceException("stateful_session: the cookie has no name")
            : new(false, cookie.Name, cookie.Ttl?.ToTimeSpan() ?? TimeSpan.Zero, cookie.Path,
                string.Concat(cookie.Attributes.Select(attribute => $"; {attribute.Name}{(attribute.Value.Length == 0 ? "" : "=")}{attribute.Value}")),
                session.Strict);
    }

    /// <summary>What the share of a route says to filters of this kind, by their names; null if the filter does nothing for it.</summary>
    /// <exception cref="ResourceException">A kind of session that this proxy does not have.</exception>
    public static Dictionary<string, SessionSettings?>? Of(MapField<string, Any> filters)
    {
        Dictionary<string, SessionSettings?>? found = null;
        foreach (var (name, any) in filters)
            if (TypedConfigs.TryForRoute(any, out var form, out var config, out _) && form == RouteForm.Own && config.TryRead(out StatefulSessionPerRoute own))
                (found ??= new(StringComparer.Ordinal))[name] = Of(own);
        return found;
    }

    /// <summary>Whether a configuration is for a filter of this kind.</summary>
    public static bool IsOne(Any any) =>
        TypedConfigs.TryForRoute(any, out var form, out var config, out _) && form == RouteForm.Own && config.TryRead(out StatefulSessionPerRoute _);

    /// <returns>Null: the filter is off.</returns>
    /// <exception cref="ResourceException">A kind of session that this proxy does not have.</exception>
    public static SessionSettings? Of(StatefulSessionPerRoute own) => own.Disabled ? null : Of(own.StatefulSession);
}

/// <summary>A stateful_session filter: it keeps the requests of a client's session at one host.</summary>
/// <param name="name">By which routes configure it.</param>
internal sealed class SessionFilter(string name, SessionSettings? settings) : AccessFilter
{
    /// <summary>The most specific level wins: the share of the route, the route, the filter. Null: it does nothing.</summary>
    /// <param name="isOn">Whether the route has the filter.</param>
    public SessionSettings? For(RouteSnapshot route, WeightedTarget target, bool isOn) =>
        target.Sessions is { } own && own.TryGetValue(name, out var ofShare) ? ofShare
        : !isOn ? null : route.Sessions.TryGetValue(name, out var ofRoute) ? ofRoute : settings;
}

/// <summary>Where a request goes, for filters that look at it.</summary>
/// <param name="Switches">Which filters the route switches on or off; null for none.</param>
internal readonly record struct RoutedTo(HttpAction Action, IReadOnlyDictionary<string, bool>? Switches, RouteSnapshot Route, WeightedTarget Target)
{
    /// <summary>The sessions of a filter; null if it is not of that kind, or does nothing.</summary>
    public SessionSettings? SessionsOf(ListedFilter listed) =>
        listed.Filter is SessionFilter sessions ? sessions.For(Route, Target, listed.IsOn(Switches)) : null;
}

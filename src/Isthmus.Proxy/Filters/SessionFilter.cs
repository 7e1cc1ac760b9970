using System.Net;
using Isthmus.Proxy.Matching;
using Isthmus.Proxy.Policy;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.HttpFilters;

namespace Isthmus.Proxy.Filters;

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

    /// <returns>Null: the filter is off.</returns>
    /// <exception cref="ResourceException">A kind of session that this proxy does not have.</exception>
    public static SessionSettings? Of(StatefulSessionPerRoute own) => own.Disabled ? null : Of(own.StatefulSession);
}

/// <summary>The sessions of a route, or of one cluster of several.</summary>
/// <param name="Settings">Null: none, whatever the filter says.</param>
internal sealed record RouteSession(SessionSettings? Settings) : IRouteOverride;

/// <summary>The session of a request.</summary>
/// <param name="Wanted">The address that the request names; null: none that is one, or no longer.</param>
internal readonly record struct Session(SessionFilter Filter, SessionSettings Settings, IPEndPoint? Wanted);

/// <summary>The sessions that a request belongs to.</summary>
internal sealed class OpenSessions : IFilterState
{
    private readonly List<Session> _all = [];

    public void Add(Session session) => _all.Add(session);

    /// <summary>Null if it is in none of that filter.</summary>
    public Session? Of(SessionFilter filter)
    {
        foreach (var session in _all)
            if (session.Filter == filter) return session;
        return null;
    }

    public void Clear() => _all.Clear();
}

/// <summary>A stateful_session filter: it keeps the requests of a client's session at one host.</summary>
/// <param name="settings">Null: none, where routes say nothing.</param>
internal sealed class SessionFilter(string name, SessionSettings? settings) : RequestFilter(name)
{
    public static readonly HttpFilterKind Kind = HttpFilterKind.Of<StatefulSession>("envoy.filters.http.stateful_session",
            (session, from) => new SessionFilter(from.Name, SessionSettings.Of(session)))
        .ForRoutes<StatefulSessionPerRoute>((session, _, _) => new RouteSession(SessionSettings.Of(session)), isForShares: true);

    public override FilterSteps Steps => FilterSteps.Forward | FilterSteps.Answer;

    public override bool IsPolicy => false;

    public override bool TakesShares => true;

    /// <summary>The most specific level wins: the share of the route, the route, the filter.</summary>
    public override void OnForward(FilteredRequest request)
    {
        var own = request.OfShare(Name) as RouteSession ?? request.PeekRoute()?.Of(Name) as RouteSession;
        if ((own is null ? settings : own.Settings) is not { } session || !Sessions.IsIn(session, request.Head)) return;
        var wanted = Sessions.Wanted(session, request.Head, request.Ports.Time.GetUtcNow());
        request.State<OpenSessions>().Add(new(this, session, wanted));
        if (wanted is not null) request.Wish = new(wanted, session.IsStrict);
    }

    public override void OnAnswer(FilteredRequest request)
    {
        if (request.Record.Host is { } host && request.TryState<OpenSessions>(out var sessions) && sessions.Of(this) is { } session)
            Sessions.Tell(session, request.Response.Headers, host, request.Ports.Time.GetUtcNow());
    }
}

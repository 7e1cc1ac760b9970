using Google.Protobuf.WellKnownTypes;
using Isthmus.Mesh.Model;
using Isthmus.Wire.Envoy.HttpFilters;
using Isthmus.Wire.Envoy.NetworkFilters;
using Isthmus.Wire.Envoy.Routes;

namespace Isthmus.Mesh.Generate;

/// <summary>Sessions that stay with an endpoint: a filter that does nothing by itself, and what routes say to it.</summary>
internal static class StatefulSessions
{
    private const string Name = "envoy.filters.http.stateful_session";

    public static readonly HttpFilter Filter = new() { Name = Name, TypedConfig = Parts.Pack(new StatefulSession()) };

    /// <summary>What the rule of a route says comes before what its destinations do; with several of these, each has sessions of its own.</summary>
    public static void Add(Route route, SessionPersistence? own, List<RouteBackend> used, Func<Destination, SessionPersistence?> of)
    {
        if (own is not null || used is not [_, _, ..])
        {
            if ((own ?? (used is [{ To: { } only }] ? of(only) : null)) is { } session) route.TypedPerFilterConfig[Name] = Of(session);
            return;
        }
        foreach (var (i, backend) in used.Index())
            if (backend.To is { } to && of(to) is { } session) route.Route_.WeightedClusters.Clusters[i].TypedPerFilterConfig[Name] = Of(session);
    }

    private static Any Of(SessionPersistence session) => Parts.Pack(new StatefulSessionPerRoute
    {
        StatefulSession = new()
        {
            SessionState = session.IsHeader
                ? new()
                {
                    Name = "envoy.http.stateful_session.header", TypedConfig = Parts.Pack(new HeaderBasedSessionState { Name = session.Name }),
                }
                : new()
                {
                    Name = "envoy.http.stateful_session.cookie",
                    TypedConfig = Parts.Pack(new CookieBasedSessionState
                    {
                        Cookie = new()
                        {
                            Name = session.Name, Path = session.Path,
                            // Envoy counts whole seconds.
                            Ttl = session.Lifetime is { } lifetime ? Parts.Duration(TimeSpan.FromSeconds(Math.Ceiling(lifetime.TotalSeconds))) : null,
                        },
                    }),
                },
        },
    });
}

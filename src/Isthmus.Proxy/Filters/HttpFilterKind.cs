using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Proxy.Policy;
using Isthmus.Wire;

namespace Isthmus.Proxy.Filters;

/// <summary>What a route says to filters of one kind.</summary>
/// <param name="Type">The full name of the message.</param>
/// <param name="Read">From the message, the name of the filter, and notes. Null: something that the proxy cannot do.</param>
/// <param name="IsForShares">Single clusters of several may say it, too.</param>
internal sealed record RouteKind(string Type, Func<Any, string, List<string>, IRouteOverride?> Read, bool IsForShares);

/// <summary>One kind of HTTP filter: the message that configures it, and what routes say to it.</summary>
/// <param name="OfRoutes">Null for nothing.</param>
internal sealed record HttpFilterKind(FilterKind<HttpFilters> Listed, RouteKind? OfRoutes = null)
{
    /// <param name="name">As the node's list of extensions names it.</param>
    /// <param name="make">Null: the filter is off.</param>
    public static HttpFilterKind Of<TConfig>(string name, Func<TConfig, HttpFilters, RequestFilter?> make) where TConfig : class, IMessage<TConfig>, new() =>
        new(FilterKind<HttpFilters>.Of<TConfig>(name, (config, _, into) =>
        {
            if (make(config, into) is { } filter) into.Add(filter);
        }));

    /// <summary>A filter that does nothing at any step: it changes how the listener serves.</summary>
    public static HttpFilterKind Setting<TConfig>(string name, Action<TConfig, HttpFilters>? set = null) where TConfig : class, IMessage<TConfig>, new() =>
        new(FilterKind<HttpFilters>.Of<TConfig>(name, (config, _, into) => set?.Invoke(config, into)));

    /// <exception cref="Matching.ResourceException">The reader may say so: the configuration cannot be used.</exception>
    public HttpFilterKind ForRoutes<TConfig>(Func<TConfig, string, IRouteOverride?> read) where TConfig : class, IMessage<TConfig>, new() =>
        ForRoutes<TConfig>((config, name, _) => read(config, name), isForShares: false);

    public HttpFilterKind ForRoutes<TConfig>(Func<TConfig, string, List<string>, IRouteOverride?> read, bool isForShares)
        where TConfig : class, IMessage<TConfig>, new() =>
        this with
        {
            OfRoutes = new(TypeNames.Of<TConfig>(), (any, name, notes) => any.TryRead(out TConfig config) ? read(config, name, notes) : null, isForShares),
        };
}

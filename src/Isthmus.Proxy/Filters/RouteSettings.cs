using System.Collections.Frozen;
using Isthmus.Proxy.Policy;

namespace Isthmus.Proxy.Filters;

/// <summary>What a route says to filters.</summary>
/// <param name="own">By the names of the filters.</param>
internal sealed class RouteSettings(IReadOnlyDictionary<string, IRouteOverride> own)
{
    public static readonly RouteSettings None = new(FrozenDictionary<string, IRouteOverride>.Empty);

    /// <summary>The settings for CORS in their older form, in the action of the route.</summary>
    public CorsSettings? OldCors { get; init; }

    /// <summary>Null: the route says nothing about rate limits.</summary>
    public RouteLimits? Limits { get; init; }

    /// <summary>Something of it is for all requests of the route.</summary>
    public bool IsForAll { get; } = own.Values.Any(item => item.IsForAll);

    /// <summary>Null for nothing.</summary>
    public IRouteOverride? Of(string filter) => own.GetValueOrDefault(filter);
}

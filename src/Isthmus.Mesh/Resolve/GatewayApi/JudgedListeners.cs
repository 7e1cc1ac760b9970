using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;

namespace Isthmus.Mesh.Resolve.GatewayApi;

/// <summary>The listeners of a Gateway or ListenerSet, and what is to be said of each.</summary>
/// <param name="IsAllowed">Whether the Gateway allows listeners of the owner.</param>
public sealed record JudgedListeners(ObjectRef Owner, ObjectGeneration Generation, ApiGateway Gateway, ValueList<JudgedListener> Listeners, bool IsAllowed)
{
    /// <summary>How many of them are served as they ask for.</summary>
    public int Valid => Listeners.Count(listener => listener.IsProgrammed);
}

/// <param name="Server">The name of the internal <see cref="Gateway"/> that stands for it, without its namespace.</param>
/// <param name="Kinds">The kinds of routes that it takes.</param>
/// <param name="Conditions"><c>Accepted</c>, <c>Programmed</c>, <c>Conflicted</c> and <c>ResolvedRefs</c>.</param>
public sealed record JudgedListener(ApiListener Listener, string Server, ValueList<RouteKind> Kinds, ValueList<ApiCondition> Conditions)
{
    /// <summary>What connections get; null if there is no such listener. One whose TLS cannot be as it asks for closes them:
    /// its hosts must not reach another.</summary>
    public GatewayServer? Served { get; init; }

    /// <summary>Whether another listener takes its place.</summary>
    public bool IsConflicted { get; init; }

    public bool IsProgrammed => Conditions.Any(condition => condition is { Type: "Programmed", Status: true });
}

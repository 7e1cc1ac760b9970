using Isthmus.Core.Collections;
using Isthmus.Core.Live;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;

namespace Isthmus.Graph.Derive;

/// <summary>Derives the statuses of policies for callers of Services. Their ancestors are the Gateways whose routes lead to their targets.</summary>
internal sealed class BackendPolicyStatuses<T> where T : class, IBackendPolicy, IEquatable<T>
{
    /// <summary>More ancestors have no room in a status.</summary>
    private const int Most = 16;

    private readonly Live<string, ValueList<RouteToHost>> _routesTo;
    private readonly Func<Reader, T, ValueList<ApiCondition>> _conditionsOf;

    /// <param name="policies">The policies.</param>
    /// <param name="targets">Whether one of them is for a host.</param>
    /// <param name="conditionsOf">What is said of one.</param>
    /// <param name="attached">The routes of Gateways.</param>
    public BackendPolicyStatuses(Live<ObjectKey, T> policies, Func<Reader, string, bool> targets, Func<Reader, T, ValueList<ApiCondition>> conditionsOf,
        Live<ObjectRef, AttachedRoute> attached)
    {
        _conditionsOf = conditionsOf;
        // Only what policies ask for is gathered: all routes may lead to one host, and each changed one would cost them all.
        _routesTo = attached.Derive((read, route) => HostsOf(route).Where(host => targets(read, host))
                .Select(host => KeyValuePair.Create((route.Route.Source, host), new RouteToHost(host, route))),
            $"attached routes to targets of {policies.Name}")
            .GroupBy(item => item.Host, $"attached routes by host of {policies.Name}");
        Statuses = policies.Derive((read, policy) => (IEnumerable<KeyValuePair<ObjectRef, PolicyStatus>>)[KeyValuePair.Create(policy.Source,
            StatusOf(read, policy))],
            $"verdicts of {policies.Name}");
    }

    public Live<ObjectRef, PolicyStatus> Statuses { get; }

    private static IEnumerable<string> HostsOf(AttachedRoute route) => route.Route.Rules.SelectMany(rule => rule.Backends).Select(backend => backend.To)
        .Where(BackendTlsDerivation.IsService).Select(BackendTlsDerivation.HostOf).Distinct();

    private PolicyStatus StatusOf(Reader read, T policy)
    {
        var gateways = policy.Targets.Where(BackendTlsDerivation.IsService).SelectMany(target => read.Get(_routesTo, BackendTlsDerivation.HostOf(target)))
            .SelectMany(item => item.Route.Parents).SelectMany(parent => parent.Listeners).Select(listener => GatewayOf(listener.Server))
            .Distinct().OrderBy(gateway => gateway.Namespace, StringComparer.Ordinal).ThenBy(gateway => gateway.Name, StringComparer.Ordinal).Take(Most)
            .ToList();
        if (gateways.Count == 0) return new(policy.Source, policy.Generation, default);
        var conditions = _conditionsOf(read, policy);
        return new(policy.Source, policy.Generation, gateways.Select(gateway => new ParentStatus(gateway, conditions)).ToValueList());
    }

    /// <summary>The Gateway for which an internal one, as <c>namespace/gateway~listener</c>, stands.</summary>
    private static ApiReference GatewayOf(string server)
    {
        var slash = server.IndexOf('/', StringComparison.Ordinal);
        return new(MeshApi.ApiGateway.Group, MeshApi.ApiGateway.Kind, server[..slash], server[(slash + 1)..].Split('~')[0])
        {
            Written = ReferenceFields.Group | ReferenceFields.Kind | ReferenceFields.Namespace,
        };
    }

    private sealed record RouteToHost(string Host, AttachedRoute Route);
}

using System.Text.Json.Nodes;
using Isthmus.Graph.Derive;
using Isthmus.Graph.History;
using Isthmus.Core.Live;
using Isthmus.Core.Names;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;

namespace Isthmus.Graph.Intake;

/// <summary>A kind of the Gateway API: all that its objects cause is derived.</summary>
/// <param name="kind">The kind.</param>
/// <param name="read">From an object of a cluster to its record.</param>
/// <param name="sourceOf">The object of a record.</param>
/// <param name="sourceIn">Where the graph keeps them.</param>
public sealed class GatewayApiKind<T>(
    KindDescriptor kind, Func<string, JsonObject, T> read, Func<T, ObjectRef> sourceOf, Func<MeshSources, Source<ObjectKey, T>> sourceIn)
    : SourceKind<JsonObject, T>(kind) where T : class, IEquatable<T>
{
    /// <summary>The control plane's revision: objects may ask for one by their label.</summary>
    public required string Revision { get; init; }

    /// <returns>Null for an object of another revision: another control plane reads it.</returns>
    internal override T? Read(string cluster, JsonObject item) =>
        (item["metadata"] as JsonObject)?["labels"] is JsonObject labels && labels[Labels.Revision] is { } revision && revision.ToString() != Revision
            ? null : read(cluster, item);

    internal override ObjectRef SourceOf(T facts) => sourceOf(facts);

    internal override Source<ObjectKey, T> SourceIn(MeshSources sources) => sourceIn(sources);

    /// <summary>Routes concern the callers of their hosts, and policies those of their Services; what listeners and grants concern depends on the
    /// routes.</summary>
    internal override Reach ReachOf(T facts) => facts switch
    {
        ApiRoute route => ReachOf(route),
        IBackendPolicy policy when policy.Targets.All(BackendTlsDerivation.IsService) => Reach.OfHosts(policy.Targets.Select(BackendTlsDerivation.HostOf)),
        _ => Reach.Everything,
    };

    /// <summary>Callers of Services, whatever hosts the route names, and those of its hosts at Gateways. It does not say which hosts a ServiceEntry has,
    /// nor, without its own, those of listeners.</summary>
    private static Reach ReachOf(ApiRoute route)
    {
        var services = route.Parents.Where(BackendTlsDerivation.IsService).Select(BackendTlsDerivation.HostOf).ToList();
        var isAtGateways = route.Parents.Any(parent => !MeshRouteDerivation.IsMesh(parent));
        var isKnown = isAtGateways ? !route.Hostnames.IsEmpty : services.Count > 0;
        return isKnown && route.Parents.Count(MeshRouteDerivation.IsMesh) == services.Count
            ? Reach.OfHosts(isAtGateways ? services.Concat(route.Hostnames) : services) : Reach.Everything;
    }
}

using Isthmus.Core.Collections;
using Isthmus.Graph.Derive;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Resolve;

namespace Isthmus.ControlPlane.Mcs;

/// <summary>What is behind a ServiceImport: what its EndpointSlices are made of.</summary>
/// <param name="Clusters">Those that export it.</param>
/// <param name="Network">That of the cluster with the import: others lead through gateways, which take mesh TLS only.</param>
public sealed record BehindImport(
    ServiceImport Import, ValueList<string> Clusters, ValueList<OfferedPort> Ports, ValueList<MeshEndpoint> Endpoints, string Network)
{
    internal static BehindImport Of(MeshGraph mesh, ServiceImport import, MeshService host, IReadOnlyList<ExportedService> exported, string cluster) => new(
        import, host.Clusters.Order(StringComparer.Ordinal).ToValueList(), ExportedServices.Ports(exported),
        mesh.Endpoints.Items.GetValueOrDefault(host.Hostname)?.Endpoints ?? default, mesh.NetworkOf(cluster));

    /// <summary>The endpoints that Pods of the cluster can call directly. What terminates is left out.</summary>
    internal IEnumerable<MeshEndpoint> Reachable => Endpoints
        .Where(endpoint => endpoint is { Address.Ip: not null, Health: not EndpointHealth.Draining })
        .Where(endpoint => Network.Length == 0 || endpoint.Network.Length == 0 || endpoint.Network == Network);
}

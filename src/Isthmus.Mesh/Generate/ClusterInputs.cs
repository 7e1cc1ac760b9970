using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;

namespace Isthmus.Mesh.Generate;

/// <summary>All inputs of the clusters of one host.</summary>
/// <param name="Rule">The DestinationRule that applies for these callers, or null.</param>
/// <param name="Identities">SPIFFE IDs of all workloads behind the host in all clusters, sorted.</param>
/// <param name="Members">The endpoints, when the cluster itself holds them (DNS); otherwise empty.</param>
/// <param name="HasMtls">Every known endpoint accepts mesh TLS; used by clusters that dial the original destination.</param>
/// <param name="SniPassthrough">The gateway needs SNI clusters in addition to the ordinary ones.</param>
public sealed record ClusterInputs(
    ClusterCaller Caller,
    MeshConfig Mesh,
    MeshService Service,
    DestinationRule? Rule,
    ValueList<string> Identities,
    ValueList<MeshEndpoint> Members,
    bool HasMtls,
    bool SniPassthrough)
{
    /// <summary>The gateway passes datagrams on, so it needs clusters of ports for them.</summary>
    public bool PassesDatagrams { get; init; }
}

/// <summary>All inputs of the endpoints of one host.</summary>
/// <param name="SniPassthrough">The SNI clusters of a gateway have the same endpoints, as far as they accept mesh TLS.</param>
public sealed record EndpointInputs(
    Vantage From,
    MeshConfig Mesh,
    MeshService Service,
    DestinationRule? Rule,
    ValueList<MeshEndpoint> Endpoints,
    GatewayTable Gateways,
    bool SniPassthrough = false)
{
    /// <inheritdoc cref="ClusterCaller.SendsTunnels"/>
    public bool SendsTunnels { get; init; }

    /// <inheritdoc cref="ClusterInputs.PassesDatagrams"/>
    public bool PassesDatagrams { get; init; }
}

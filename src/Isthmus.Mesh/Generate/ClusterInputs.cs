using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;

namespace Isthmus.Mesh.Generate;

/// <summary>All inputs of the clusters of one host.</summary>
/// <param name="Rule">The DestinationRule that applies for this scope, or null.</param>
/// <param name="Identities">SPIFFE IDs of all workloads behind the host in all clusters, sorted.</param>
/// <param name="Members">The endpoints, when the cluster itself holds them (DNS); otherwise empty.</param>
/// <param name="HasMtls">Every known endpoint accepts mesh TLS; used by clusters that dial the original destination.</param>
/// <param name="SniPassthrough">The gateway needs SNI clusters in addition to the ordinary ones.</param>
public sealed record ClusterInputs(
    ProxyScope Scope,
    MeshConfig Mesh,
    MeshService Service,
    DestinationRule? Rule,
    ValueList<string> Identities,
    ValueList<MeshEndpoint> Members,
    bool HasMtls,
    bool SniPassthrough);

/// <summary>All inputs of the endpoints of one host.</summary>
public sealed record EndpointInputs(
    ProxyScope Scope,
    MeshConfig Mesh,
    MeshService Service,
    DestinationRule? Rule,
    ValueList<MeshEndpoint> Endpoints,
    GatewayTable Gateways);

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

/// <summary>The identities that may answer for a host.</summary>
public static class Identities
{
    /// <summary>The SPIFFE IDs of the endpoints' service accounts in every trust domain of the mesh, and those that the service lists, sorted.</summary>
    public static ValueList<string> Of(MeshService service, IEnumerable<MeshEndpoint> endpoints, MeshConfig mesh)
    {
        var ids = new SortedSet<string>(StringComparer.Ordinal);
        foreach (var endpoint in endpoints)
        {
            if (endpoint.ServiceAccount.Length == 0) continue;
            var ns = endpoint.Workload.Namespace.Length > 0 ? endpoint.Workload.Namespace : service.Namespace;
            foreach (var domain in mesh.TrustDomains) ids.Add($"spiffe://{domain}/ns/{ns}/sa/{endpoint.ServiceAccount}");
        }
        ids.UnionWith(service.ServiceAccounts);
        return ids.ToValueList();
    }
}

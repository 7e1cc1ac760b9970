using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;

namespace Isthmus.Mesh.Generate;

/// <summary>All that the clusters of one host depend on.</summary>
/// <param name="Rule">The DestinationRule that applies for this scope, or null.</param>
/// <param name="Identities">SPIFFE IDs of everybody behind the host, over all clusters, sorted.</param>
/// <param name="Members">Its endpoints where the cluster itself carries them (DNS), else empty.</param>
/// <param name="HasMtls">Every known endpoint accepts mesh TLS: decides for clusters that dial what the application dialled.</param>
/// <param name="SniPassthrough">Gateway clusters by SNI are wanted beside the ordinary ones.</param>
public sealed record ClusterInputs(
    ProxyScope Scope,
    MeshConfig Mesh,
    MeshService Service,
    DestinationRule? Rule,
    ValueList<string> Identities,
    ValueList<MeshEndpoint> Members,
    bool HasMtls,
    bool SniPassthrough);

/// <summary>All that the endpoints of one host depend on.</summary>
public sealed record EndpointInputs(
    ProxyScope Scope,
    MeshConfig Mesh,
    MeshService Service,
    DestinationRule? Rule,
    ValueList<MeshEndpoint> Endpoints,
    GatewayTable Gateways);

/// <summary>Who may answer for a host.</summary>
public static class Identities
{
    /// <summary>The SPIFFE IDs of the endpoints' accounts in every trust domain of the mesh, and those the service names, sorted.</summary>
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

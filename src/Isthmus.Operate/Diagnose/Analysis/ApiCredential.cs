using System.Text.Json;
using Isthmus.Core.Collections;
using Isthmus.Graph.Derive;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Certificates;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;
using Isthmus.Mesh.Resolve.GatewayApi;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>What objects of the Gateway API name besides the certificates of listeners: CAs of their clients and of backends, and what gateways show to
/// backends.</summary>
/// <param name="NeededBy">Who depends on it.</param>
/// <param name="User">The object whose findings tell what is wrong with the reference.</param>
internal sealed record ApiCredential(ApiReference Reference, CertificateRole Role, string NeededBy, string User)
{
    /// <summary>Whether the Secret is that of a certificate: the CA is in it, or in one beside it.</summary>
    public bool IsBeside { get; init; }

    public static IEnumerable<ApiCredential> Of(ClusterInventory cluster) => OfClients(cluster).Concat(OfGateways(cluster)).Concat(OfPolicies(cluster));

    /// <summary>What the ConfigMap or ClusterTrustBundle holds; null: nothing, or it was not read.</summary>
    public TlsCredential? BundleIn(ClusterInventory cluster) =>
        Reference.IsTrustBundle
            ? cluster.Find($"{MeshApi.ClusterTrustBundle.Name} {Reference.Name}") is { } bundle ? KubeFacts.OfBundle(cluster.Context, bundle) : null
            : cluster.Find($"{MeshApi.ConfigMap.Name} {Reference.Namespace}/{Reference.Name}") is { } map
            ? KubeFacts.Of(cluster.Context, map.Deserialize(KubeJson.Of<ConfigMap>())!) : null;

    /// <summary>CAs of clients are those of the Gateway at the ports where listeners end TLS, also listeners of ListenerSets, or beside the certificate.
    /// </summary>
    private static IEnumerable<ApiCredential> OfClients(ClusterInventory cluster) =>
        from served in ListenerCertificate.Served(cluster)
        from listener in served.Listeners
        where listener is { Protocol: "HTTPS" or "TLS", Tls: { IsPassthrough: false, Certificates.IsEmpty: false } }
        let validation = served.Gateway.ValidationAt(listener.Port)
        let isBeside = validation is null && listener.Tls!.AsksByOption
        from reference in validation?.CaCertificates.Where(ca => IsPermitted(cluster, served.Gateway, ca)) ?? (isBeside ? [listener.Tls!.Certificates[0]] : [])
        where reference is { Group: "", Kind: "Secret" } || (!isBeside && reference is { Group: "", Kind: "ConfigMap" } or { IsTrustBundle: true })
        group listener.Name by (served.Owner, served.Gateway.Source, Reference: reference, IsBeside: isBeside) into used
        select new ApiCredential(used.Key.Reference, CertificateRole.ClientAuthority, $"clients of {ListenerCertificate.NameOf(used.Key.Owner, used)}",
            JudgedGatewayApi.Name(used.Key.Source)) { IsBeside = used.Key.IsBeside };

    private static IEnumerable<ApiCredential> OfGateways(ClusterInventory cluster) =>
        from gateway in ListenerCertificate.Gateways(cluster)
        where gateway.BackendCertificate is { Group: "", Kind: "Secret" } shown && IsPermitted(cluster, gateway, shown)
        select new ApiCredential(gateway.BackendCertificate!, CertificateRole.Origination, $"calls to backends by Gateway {gateway.Namespace}/{gateway.Name}",
            JudgedGatewayApi.Name(gateway.Source));

    /// <summary>Of policies for one Service, one applies.</summary>
    private static IEnumerable<ApiCredential> OfPolicies(ClusterInventory cluster) =>
        from policy in cluster.BackendTlsPolicies
        where policy.Targets.Any(target => target is { Group: "", Kind: "Service" })
            && BackendPolicies.Conflict(policy, cluster.BackendTlsPolicies.Where(other => other.Namespace == policy.Namespace)) is null
        from reference in policy.CaCertificates.Distinct()
        where reference is { Group: "", Kind: "ConfigMap" } or { IsTrustBundle: true }
        select new ApiCredential(reference, CertificateRole.ServerAuthority, $"calls by BackendTLSPolicy {policy.Namespace}/{policy.Source.Name}",
            JudgedGatewayApi.Name(policy.Source));

    /// <summary>Who may not read grants does not know that one is missing.</summary>
    private static bool IsPermitted(ClusterInventory cluster, ApiGateway gateway, ApiReference reference) => reference.IsTrustBundle
        || !cluster.Knows(MeshApi.ReferenceGrant.Name) || ReferenceGrants.Permit(gateway.Source, reference, cluster.ReferenceGrants);
}

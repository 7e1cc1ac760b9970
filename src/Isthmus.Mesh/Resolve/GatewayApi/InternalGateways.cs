using Isthmus.Core.Collections;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;

namespace Isthmus.Mesh.Resolve.GatewayApi;

/// <summary>
/// Listeners as Gateways of Istio, one for each, in the namespace of their Gateway. They are for the Pods of that Gateway only. No
/// VirtualService can name them: a tilde is in no name of an object.
/// </summary>
public static class InternalGateways
{
    /// <summary>The name of the Gateway that stands for a listener.</summary>
    public static string NameOf(ApiGateway gateway, ObjectRef owner, ApiListener listener) =>
        owner == gateway.Source ? $"{gateway.Name}~{listener.Name}" : $"{gateway.Name}~{owner.Namespace}~{owner.Name}~{listener.Name}";

    /// <param name="judged">The listeners of a Gateway or ListenerSet.</param>
    /// <param name="pods">The labels of the Pods that serve the Gateway, in its namespace; none: nothing serves it.</param>
    /// <param name="account">The account of the Pods that are deployed for it; empty: none are.</param>
    /// <param name="references">Looks up what the Gateway refers to.</param>
    public static IEnumerable<Gateway> Of(JudgedListeners judged, ValueMap<string> pods, string account, ListenerReferences references)
    {
        var gateway = judged.Gateway;
        if (pods.Count == 0) yield break;
        // Without the certificate that it must show, a Gateway reaches no backend that demands TLS.
        NamedCredential? certificate = gateway.BackendCertificate is not { } reference ? null
            : new(references.PairFault(gateway.Source, reference, "") is null ? reference.Name : "", "") { Namespace = reference.Namespace };
        foreach (var listener in judged.Listeners)
        {
            if (listener.Served is not { } server) continue;
            yield return new(new(gateway.Source.Cluster, MeshApi.Gateway.Kind, gateway.Namespace, listener.Server), pods, [server], gateway.CreatedAt)
            {
                Owner = judged.Owner, PodNamespace = gateway.Namespace, Account = account, IsolatesHosts = true, BackendCredential = certificate,
            };
        }
    }
}

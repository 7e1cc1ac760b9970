using Isthmus.Core.Collections;
using Isthmus.Core.Names;
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
    private const string AccountAnnotation = "gateway.istio.io/service-account";

    /// <summary>The name of the Gateway that stands for a listener.</summary>
    public static string NameOf(ApiGateway gateway, ObjectRef owner, ApiListener listener) =>
        owner == gateway.Source ? $"{gateway.Name}~{listener.Name}" : $"{gateway.Name}~{owner.Namespace}~{owner.Name}~{listener.Name}";

    /// <summary>The labels of the Pods that serve a Gateway.</summary>
    public static ValueMap<string> SelectorOf(ApiGateway gateway) => new([KeyValuePair.Create(Labels.GatewayName, gateway.Name)]);

    /// <param name="judged">The listeners of a Gateway or ListenerSet.</param>
    /// <param name="controller">The controller of the Gateway's class.</param>
    public static IEnumerable<Gateway> Of(JudgedListeners judged, string? controller)
    {
        var gateway = judged.Gateway;
        var account = AccountOf(gateway, controller);
        foreach (var listener in judged.Listeners)
        {
            if (listener.Served is not { } server) continue;
            yield return new(new(gateway.Source.Cluster, MeshApi.Gateway.Kind, gateway.Namespace, listener.Server), SelectorOf(gateway), [server], gateway.CreatedAt)
            {
                Owner = judged.Owner, PodNamespace = gateway.Namespace, Account = account, IsolatesHosts = true,
            };
        }
    }

    /// <summary>The account of the Pods that are deployed for a Gateway; empty for one that names a Service of others.</summary>
    public static string AccountOf(ApiGateway gateway, string? controller)
    {
        if (gateway.Addresses.Any(address => address.Type != "IPAddress")) return "";
        if (gateway.Annotations.TryGetValue(AccountAnnotation, out var own) && own.Length > 0) return own;
        return controller == GatewayControllers.EastWest ? gateway.Name : $"{gateway.Name}-{gateway.Class}";
    }
}

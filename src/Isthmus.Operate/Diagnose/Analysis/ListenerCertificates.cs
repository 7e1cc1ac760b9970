using Isthmus.Core.Collections;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Config.GatewayApi;
using Isthmus.Mesh.Model.GatewayApi;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>A Secret whose certificate listeners of the Gateway API serve.</summary>
/// <param name="Hosts">The hosts that it is served for; none: any.</param>
/// <param name="NeededBy">The Gateway or ListenerSet, with the names of the listeners.</param>
internal sealed record ListenerCertificate(string Namespace, string Name, ValueList<string> Hosts, string NeededBy)
{
    public static IEnumerable<ListenerCertificate> Of(ClusterInventory cluster) => Served(cluster).SelectMany(served => Of(served.Owner, served.Listeners));

    /// <summary>The listeners of Gateways of the mesh, with who has them.</summary>
    internal static IEnumerable<(string Owner, ApiGateway Gateway, ValueList<ApiListener> Listeners)> Served(ClusterInventory cluster)
    {
        var gateways = Gateways(cluster).ToList();
        return gateways.Select(gateway => ($"Gateway {gateway.Namespace}/{gateway.Name}", gateway, gateway.Listeners))
            .Concat(from value in cluster.Objects(MeshApi.ListenerSet.Name)
                    let set = ApiGatewayReader.ReadSet(cluster.Context, value)
                    from gateway in gateways
                    where set.Parent.Namespace == gateway.Namespace && set.Parent.Name == gateway.Name
                    select ($"ListenerSet {set.Namespace}/{set.Name}", gateway, set.Listeners));
    }

    /// <summary>Those of the mesh.</summary>
    internal static IEnumerable<ApiGateway> Gateways(ClusterInventory cluster) =>
        cluster.ApiGateways.Select(stored => stored.Gateway).Where(gateway => IsServed(cluster, gateway));

    /// <summary>Some listeners of an object.</summary>
    internal static string NameOf(string owner, IEnumerable<string> listeners)
    {
        var names = listeners.Distinct().ToList();
        return $"{owner} ({(names.Count == 1 ? "listener" : "listeners")} {string.Join(", ", names)})";
    }

    private static IEnumerable<ListenerCertificate> Of(string owner, ValueList<ApiListener> listeners) =>
        from listener in listeners
        where listener.Tls is { IsPassthrough: false }
        // Of several certificates, clients get the one that fits: none has to be for all hosts.
        let hosts = listener.Hostname.Length > 0 && listener.Tls!.Certificates.Count == 1 ? (ValueList<string>)[listener.Hostname] : default
        from reference in listener.Tls!.Certificates
        where reference is { Group.Length: 0, Kind: "Secret" }
        group listener.Name by (reference.Namespace, reference.Name, Hosts: hosts) into used
        select new ListenerCertificate(used.Key.Namespace, used.Key.Name, used.Key.Hosts, NameOf(owner, used));

    private static bool IsServed(ClusterInventory cluster, ApiGateway gateway) => GatewayClasses.ControllerOf(gateway,
        cluster.Find($"{MeshApi.GatewayClass.Name} {gateway.Class}") is { } found ? GatewayClassReader.Read(cluster.Context, found) : null) is { } controller
        && GatewayClasses.Deploys(controller);
}

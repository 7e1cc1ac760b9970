using Isthmus.Graph.Derive;
using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;

namespace Isthmus.ControlPlane.GatewayApi;

/// <summary>A Gateway that is to be deployed, with all that decides how.</summary>
/// <param name="Ports">Those of its listeners, and of the ListenerSets that may add some.</param>
internal sealed record GatewayOrder(ApiGateway Gateway, string Controller, ValueList<GatewayPort> Ports)
{
    /// <summary>What is merged over the objects, the most general first.</summary>
    public ValueList<GatewayParameters> Parameters { get; init; }

    public bool IsEastWest => Controller == GatewayClasses.EastWest;

    public string ServiceName => GatewayNaming.ServiceOf(Gateway, !IsEastWest);

    public string AccountName => GatewayNaming.AccountOf(Gateway, !IsEastWest);

    public ObjectKey Key => new(Gateway.Source.Cluster, Gateway.Namespace, Gateway.Name);

    /// <summary>Istio writes it thus.</summary>
    public string ManagedValue => Controller.Replace('/', '-');
}

/// <param name="Protocol"><c>TCP</c> or <c>UDP</c>.</param>
/// <param name="Application">Of the listener, in lower case.</param>
internal sealed record GatewayPort(string Name, int Number, string Protocol, string Application);

/// <summary>The parts of objects that a ConfigMap asks for, as YAML, by its keys.</summary>
/// <param name="Source"><c>namespace/name</c>.</param>
internal sealed record GatewayParameters(string Source, ValueMap<string> Parts);

/// <summary>Which Gateways are deployed, and with which ports. Pure.</summary>
internal static class GatewayOrders
{
    private const int LongestName = 63;

    /// <summary>The Gateways that this control plane deploys.</summary>
    public static IEnumerable<GatewayOrder> Of(MeshGraph mesh)
    {
        if (mesh.GatewayApi.Served.Count == 0) return [];
        var sets = mesh.Sources.ListenerSets.Items.Values.ToLookup(set => (set.Source.Cluster, set.Parent.Namespace, set.Parent.Name));
        return mesh.GatewayApi.Served.Items.Values.Select(gateway => Of(mesh, gateway, sets[(gateway.Source.Cluster, gateway.Namespace, gateway.Name)]))
            .OfType<GatewayOrder>();
    }

    /// <summary>Null if it is not deployed.</summary>
    public static GatewayOrder? Of(MeshGraph mesh, ObjectKey key) => mesh.GatewayApi.Served.Items.GetValueOrDefault(key) is not { } gateway ? null
        : Of(mesh, gateway,
            mesh.Sources.ListenerSets.Items.Values.Where(set => (set.Source.Cluster, set.Parent.Namespace,
                set.Parent.Name) == (key.Cluster, key.Namespace, key.Name)));

    private static GatewayOrder? Of(MeshGraph mesh, ApiGateway gateway, IEnumerable<ListenerSet> sets)
    {
        if (!GatewayNaming.IsDeployed(gateway)) return null;
        var controller = GatewayClasses.ControllerOf(gateway,
            mesh.Sources.GatewayClasses.Items.GetValueOrDefault(new(gateway.Source.Cluster, "", gateway.Class)));
        return controller is null
            ? null
            : new(gateway, controller, Ports(gateway, sets.Where(set => mesh.GatewayApi.Listeners.Items.GetValueOrDefault(set.Source) is { IsAllowed: true })));
    }

    private static ValueList<GatewayPort> Ports(ApiGateway gateway, IEnumerable<ListenerSet> sets)
    {
        var (ports, names, taken) = (new List<GatewayPort>(), new HashSet<string>(StringComparer.Ordinal), new HashSet<(int Number, string Protocol)>());
        Add("status-port", Core.Names.Ports.ProxyReady, "TCP", "tcp");
        foreach (var listener in gateway.Listeners.Concat(sets.OrderBy(set => set.CreatedAt).ThenBy(set => set.Source).SelectMany(set => set.Listeners)))
        {
            // Whoever calls the Service is not to reach what is for probes and metrics.
            if (listener.Protocol != "UDP" && Core.Names.Ports.IsOfGateway(listener.Port)) continue;
            Add(listener.Name, listener.Port, listener.Protocol == "UDP" ? "UDP" : "TCP", listener.Protocol.ToLowerInvariant());
        }
        return ports.ToValueList();

        void Add(string name, int number, string protocol, string application)
        {
            if (number is <= 0 or > 65535 || !taken.Add((number, protocol))) return;
            ports.Add(new(NameOf(name, number, names), number, protocol, application));
        }
    }

    /// <summary>The names of listeners may be longer than those of ports, and have dots.</summary>
    private static string NameOf(string listener, int number, HashSet<string> names)
    {
        var plain = listener.Replace('.', '-');
        var name = plain[..Math.Min(plain.Length, LongestName)].TrimEnd('-');
        for (var end = $"-{number}"; name.Length == 0 || !names.Add(name); end += "x")
            name = (plain[..Math.Min(plain.Length, LongestName - end.Length)] + end).TrimStart('-');
        return name;
    }
}

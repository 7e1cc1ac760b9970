using Isthmus.ControlPlane.Derive;
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
    public static IEnumerable<GatewayOrder> Of(MeshSources sources)
    {
        if (sources.ApiGateways.Count == 0) return [];
        var sets = sources.ListenerSets.Items.Values.ToLookup(set => (set.Source.Cluster, set.Parent.Namespace, set.Parent.Name));
        return sources.ApiGateways.Items.Values
            .Select(gateway => (Gateway: gateway, Controller: ControllerOf(sources, gateway)))
            .Where(item => item.Controller is { } controller && GatewayClasses.Deploys(controller) && GatewayNaming.IsDeployed(item.Gateway))
            .Select(item => new GatewayOrder(item.Gateway, item.Controller!, Ports(item.Gateway, sets[(item.Gateway.Source.Cluster, item.Gateway.Namespace, item.Gateway.Name)]
                .Where(set => Allows(sources, item.Gateway, set)))));
    }

    private static string? ControllerOf(MeshSources sources, ApiGateway gateway) =>
        GatewayClasses.ControllerOf(gateway, sources.GatewayClasses.Items.GetValueOrDefault(new(gateway.Source.Cluster, "", gateway.Class)));

    private static ValueList<GatewayPort> Ports(ApiGateway gateway, IEnumerable<ListenerSet> sets)
    {
        var (ports, names) = (new List<GatewayPort>(), new HashSet<string>(StringComparer.Ordinal));
        Add("status-port", Core.Names.Ports.ProxyReady, "TCP", "tcp");
        foreach (var listener in gateway.Listeners.Concat(sets.OrderBy(set => set.CreatedAt).ThenBy(set => set.Source).SelectMany(set => set.Listeners)))
        {
            Add(listener.Name, listener.Port, listener.Protocol == "UDP" ? "UDP" : "TCP", listener.Protocol.ToLowerInvariant());
        }
        return ports.ToValueList();

        void Add(string name, int number, string protocol, string application)
        {
            if (number is <= 0 or > 65535 || ports.Exists(port => port.Number == number && port.Protocol == protocol)) return;
            ports.Add(new(NameOf(name, number, names), number, protocol, application));
        }
    }

    /// <summary>The names of listeners may be longer than those of ports, and have dots.</summary>
    private static string NameOf(string listener, int number, HashSet<string> names)
    {
        var plain = listener.Replace('.', '-');
        var name = plain[..Math.Min(plain.Length, LongestName)].TrimEnd('-');
        for (var end = $"-{number}"; name.Length == 0 || !names.Add(name); end += "x") name = (plain[..Math.Min(plain.Length, LongestName - end.Length)] + end).TrimStart('-');
        return name;
    }

    private static bool Allows(MeshSources sources, ApiGateway gateway, ListenerSet set) => gateway.AllowedListeners.From switch
    {
        NamespacesFrom.All => true,
        NamespacesFrom.Same => set.Namespace == gateway.Namespace,
        NamespacesFrom.Selector => sources.Namespaces.Items.GetValueOrDefault(new(gateway.Source.Cluster, "", set.Namespace)) is { } ns && Selects(gateway.AllowedListeners.Selector, ns.Labels),
        _ => false,
    };

    private static bool Selects(ApiSelector selector, ValueMap<string> labels) =>
        selector.Labels.All(label => labels.GetValueOrDefault(label.Key) == label.Value) && selector.Rules.All(rule => rule.Operator switch
        {
            "In" => labels.TryGetValue(rule.Key, out var value) && rule.Values.Contains(value),
            "NotIn" => !labels.TryGetValue(rule.Key, out var value) || !rule.Values.Contains(value),
            "Exists" => labels.ContainsKey(rule.Key),
            "DoesNotExist" => !labels.ContainsKey(rule.Key),
            _ => false,
        });
}

using System.Net;
using System.Text.Json.Nodes;
using Google.Protobuf;
using Isthmus.Proxy.Clusters;
using Isthmus.Proxy.Listeners;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Transports;
using Isthmus.Wire;
using Cluster = Isthmus.Wire.Envoy.Clusters.Cluster;
using ClusterLoadAssignment = Isthmus.Wire.Envoy.Endpoints.ClusterLoadAssignment;
using Listener = Isthmus.Wire.Envoy.Listeners.Listener;
using RouteConfiguration = Isthmus.Wire.Envoy.Routes.RouteConfiguration;

namespace Isthmus.Proxy.Decisions;

/// <summary>The configuration of a proxy as its dump has it: resources by their names, in JSON.</summary>
/// <param name="Endpoints">By the names of their assignments.</param>
public sealed record DumpedConfig(
    IEnumerable<(string Name, JsonObject Json)> Listeners, IEnumerable<(string Name, JsonObject Json)> Clusters,
    IEnumerable<(string Name, JsonObject Json)> Routes, IEnumerable<(string Name, JsonObject Json)> Endpoints)
{
    /// <summary>The addresses that the proxy has resolved for a cluster: they are in no resource.</summary>
    public Func<string, IEnumerable<IPEndPoint>> Resolved { get; init; } = static _ => [];
}

/// <summary>What a proxy with a configuration decides about connections and requests, without a connection or a request: the proxy's own decoders read
/// the configuration, and its own tables decide.</summary>
public sealed class ProxyDecisions
{
    private readonly ProxySnapshot _snapshot;
    private readonly ListenerIndex _index;

    private ProxyDecisions(ProxySnapshot snapshot, IEnumerable<string> unread)
    {
        (_snapshot, Unread) = (snapshot, unread);
        _index = new(snapshot);
    }

    /// <summary>How long the head of a message may be, in bytes.</summary>
    public static int LongestHead => HttpLimits.Default.HeadBytes;

    /// <summary>Resources that cannot be decoded, each with the reason. All are decoded for this.</summary>
    public IEnumerable<string> Unread { get; }

    /// <summary>Whether the proxy has any listener.</summary>
    public bool HasListeners => _snapshot.Listeners.Count > 0;

    /// <summary>The listener of all inbound connections.</summary>
    public ListenerView? Inbound => View(_snapshot.Listeners.Values.FirstOrDefault(listener =>
        listener is { Direction: Direction.Inbound, BindToPort: true } && listener.Address.Port == Core.Names.Ports.Inbound));

    /// <summary>The listener of all outbound connections, which hands them to the other listeners.</summary>
    public ListenerView? Outbound =>
        View(_snapshot.Listeners.Values.FirstOrDefault(listener => listener is { HandOff: true, Direction: Direction.Outbound }));

    internal ProxySnapshot Snapshot => _snapshot;

    /// <summary>Reads the tables of a proxy. Each resource is decoded when it is first looked up.</summary>
    public static ProxyDecisions Read(DumpedConfig dump, TimeProvider time, Random random)
    {
        var assignments = new DumpedResources<LoadAssignment>(dump.Endpoints, json => EndpointDecoder.Decode(Message<ClusterLoadAssignment>(json)));
        var clusters = new DumpedResources<ClusterState>(dump.Clusters, json =>
        {
            var config = ClusterDecoder.Decode(Message<Cluster>(json));
            var cluster = new ClusterState(config, time, random);
            if (config.Kind == ClusterKind.Eds && assignments.TryGetValue(config.AssignmentName, out var known)) cluster.Update(known);
            if (config.Kind is ClusterKind.StrictDns or ClusterKind.LogicalDns) cluster.Update(Resolved(config, dump.Resolved(config.Name)));
            return cluster;
        });
        var listeners = new DumpedResources<ListenerSnapshot>(dump.Listeners, json => ListenerDecoder.Decode(Message<Listener>(json)));
        var routes = new DumpedResources<RouteTable>(dump.Routes, json => RouteDecoder.Decode(Message<RouteConfiguration>(json)));
        return new(new(1, listeners, clusters, routes), assignments.Unread.Concat(clusters.Unread).Concat(listeners.Unread).Concat(routes.Unread));
    }

    /// <summary>The listener that a redirected connection to an address is handed to; null: the one of all outbound connections keeps it.</summary>
    public ListenerView? For(IPEndPoint destination) => View(_index.Find(destination));

    /// <summary>The listeners that accept connections at a port.</summary>
    public IEnumerable<ListenerView> Bound(int port) =>
        _snapshot.Listeners.Values.Where(listener => listener.BindToPort && listener.Address.Port == port).Select(listener => View(listener)!);

    /// <summary>Null when the proxy has no such cluster.</summary>
    public ClusterView? Cluster(string name) => _snapshot.Clusters.TryGetValue(name, out var cluster) ? new(cluster, _snapshot) : null;

    /// <summary>Where tunnels to the Pod end (HBONE): the listener that ends them, and the internal one that gets what comes out; null: nowhere.</summary>
    public (ListenerView Outer, ListenerView Inner)? TunnelEnd
    {
        get
        {
            foreach (var outer in _snapshot.Listeners.Values.Where(one => one.BindToPort && one.Address.Port == Core.Names.Ports.Tunnel))
            {
                var inner = (from chain in outer.Chains.All
                             from host in (chain.Action as HttpAction)?.Routes?.Hosts ?? []
                             from route in host.Host.Routes
                             where route.Act is ForwardAct { Connect: not null }
                             from target in ((ForwardAct)route.Act).Targets
                             select InternalOf(target.Cluster)).FirstOrDefault(one => one is not null);
                if (inner is not null) return (View(outer)!, View(inner)!);
            }
            return null;
        }
    }

    private ListenerSnapshot? InternalOf(string cluster) => _snapshot.Clusters.TryGetValue(cluster, out var state)
        && state.Assignment.Localities.SelectMany(locality => locality.Endpoints).FirstOrDefault()?.Address is InternalEndPoint inside
        ? _snapshot.Listeners.GetValueOrDefault(inside.Listener) : null;

    private ListenerView? View(ListenerSnapshot? listener) => listener is null ? null : new(listener, _snapshot);

    /// <summary>Each address that was resolved gets the properties of the first name.</summary>
    private static LoadAssignment Resolved(ClusterSnapshot config, IEnumerable<IPEndPoint> addresses)
    {
        if (config.DnsTargets.IsEmpty) return LoadAssignment.Empty;
        var first = config.DnsTargets[0];
        return new(config.Name, [first.Locality with { Endpoints = [.. addresses.Select(point =>
            (config.DnsTargets.FirstOrDefault(target => target.Hostname == point.Address.ToString() && target.Port == point.Port) ?? first).Template with
            {
                Address = point
            })] }]);
    }

    private static T Message<T>(JsonObject json)
        where T : IMessage<T>, new()
    {
        var copy = (JsonObject)UnknownTypes.Replaced(json, static _ => { })!;
        copy.Remove("@type");
        return WireTypes.Lenient.Parse<T>(copy.ToJsonString());
    }
}

using System.Text.Json.Nodes;
using Isthmus.Graph.Derive;
using Isthmus.Graph.History;
using Isthmus.Graph.Intake;
using Isthmus.ControlPlane.Push;
using Isthmus.Core.Collections;
using Isthmus.Core.Net;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Resolve;
using Isthmus.Wire.Envoy.Clusters;
using Isthmus.Wire.Envoy.Endpoints;
using Isthmus.Wire.Envoy.Listeners;
using Isthmus.Wire.Envoy.Routes;
using Isthmus.Wire.Istio;
using Isthmus.Wire.Xds;
using Microsoft.Extensions.Logging.Abstractions;

namespace Isthmus.Rigs.Mesh;

/// <summary>A mesh of a few clusters, written as watches would write it, with proxies that observe it.</summary>
internal sealed class MeshRig
{
    public const string Namespace = "shop";

    private readonly string _config;
    private readonly HashSet<(string Cluster, string Namespace, string Name)> _pods = [];
    private bool _isPushed;

    public MeshRig(params string[] clusters) : this(MultiClusterSettings.Default, clusters)
    {
    }

    public MeshRig(MultiClusterSettings multiCluster, params string[] clusters) : this(multiCluster, "c1", clusters)
    {
    }

    /// <param name="config">The cluster of the control plane.</param>
    /// <param name="allocator">Null: the default one.</param>
    public MeshRig(MultiClusterSettings multiCluster, string config, string[] clusters, AddressAllocator? allocator = null)
    {
        _config = config;
        Writer = new(new(multiCluster), allocator ?? new(), new(multiCluster, "istio", "default", NullLogger<MeshKinds>.Instance));
        foreach (var cluster in clusters) Join(cluster);
    }

    public MeshWriter Writer { get; }

    public MeshGraph Mesh => Writer.Mesh;

    public Publisher Publisher { get; } = new(TimeProvider.System);

    /// <summary>What sidecars and routers of the rig are made of.</summary>
    public ProxySoftware Software { get; init; } = ProxySoftware.Unknown;

    /// <summary>A cluster with one network of the same name, a system namespace and one Node.</summary>
    public void Join(string cluster)
    {
        Writer.PutContact(new(cluster, cluster == _config, true, true, 1));
        Writer.Put(cluster, new Namespace { Metadata = new() { Name = "istio-system", Labels = { ["topology.istio.io/network"] = $"net-{cluster}" } } });
        Writer.Put(cluster,
            new Node { Metadata = new() { Name = "node", Labels = { ["topology.kubernetes.io/region"] = cluster, ["topology.kubernetes.io/zone"] = "z1" } } });
    }

    /// <param name="app">Of its Pods; null: its name.</param>
    public void Service(string cluster, string name, string ip, string port = "http", int number = 80, int target = 8080,
        Dictionary<string, string>? labels = null, string? external = null, string? app = null) =>
        Writer.Put(cluster, new Service
    {
        Metadata = new() { Name = name, Namespace = Namespace, Labels = labels ?? [] },
        Spec = new()
        {
            Type = external is null ? "ClusterIP" : "LoadBalancer",
            ClusterIP = ip,
            ClusterIPs = ip == "None" ? ["None"] : [ip],
            Selector = { ["app"] = app ?? name },
            Ports = { new() { Name = port, Port = number, TargetPort = JsonValue.Create(target) } },
        },
        Status = new() { LoadBalancer = new() { Ingress = external is { Length: > 0 } ? [new() { Ip = external }] : [] } },
    });

    public void Pod(string cluster, string app, string name, string ip, bool mtls = true, Dictionary<string, string>? labels = null, bool named = false)
    {
        var all = new Dictionary<string, string>(labels ?? []) { ["app"] = app };
        _pods.Add((cluster, Namespace, name));
        if (mtls) all["security.istio.io/tlsMode"] = "istio";
        Writer.Put(cluster, new MeshPod
        {
            Metadata = new() { Name = name, Namespace = Namespace, Labels = all },
            Spec = new() { NodeName = "node", ServiceAccountName = app, Hostname = named ? name : "", Subdomain = named ? app : "" },
            Status = new() { PodIP = ip, PodIPs = { new() { Ip = ip } } },
        });
    }

    /// <param name="pods">Names and addresses of Pods. A Pod whose name begins with ! is not ready.</param>
    public void Slice(string cluster, string service, int target, string port, params (string Pod, string Ip)[] pods) => Writer.Put(cluster, new EndpointSlice
    {
        Metadata = new() { Name = service + "-1", Namespace = Namespace, Labels = { ["kubernetes.io/service-name"] = service } },
        Endpoints = [.. pods.Select(pod => new SliceEndpoint
        {
            Addresses = [pod.Ip],
            Conditions = new() { Ready = !pod.Pod.StartsWith('!') },
            NodeName = "node",
            TargetRef = new() { Kind = "Pod", Namespace = Namespace, Name = pod.Pod.TrimStart('!') },
        })],
        Ports = { new() { Name = port, Port = target } },
    });

    /// <summary>A Service with ready Pods in one cluster.</summary>
    public void App(string cluster, string name, string ip, params string[] pods) => AppOn(cluster, name, ip, "http", 80, pods);

    /// <summary>A headless Service whose Pods have names of their own: NAME-0, NAME-1 …</summary>
    public void StatefulApp(string cluster, string name, string port, int number, params string[] ips)
    {
        Service(cluster, name, "None", port, number);
        for (var i = 0; i < ips.Length; i++) Pod(cluster, name, $"{name}-{i}", ips[i], named: true);
        Slice(cluster, name, 8080, port, [.. ips.Select((ip, i) => ($"{name}-{i}", ip))]);
    }

    public void AppOn(string cluster, string name, string ip, string port, int number, params string[] pods)
    {
        Service(cluster, name, ip, port, number);
        foreach (var pod in pods) Pod(cluster, name, $"{name}-{pod}", pod);
        Slice(cluster, name, 8080, port, [.. pods.Select(pod => ($"{name}-{pod}", pod))]);
    }

    /// <summary>The gateway to a cluster's network.</summary>
    public void EastWest(string cluster, string external, bool ready = true)
    {
        Service(cluster, "eastwest", "10.96.0.99", "tls", 15443, 15443, new() { ["topology.istio.io/network"] = $"net-{cluster}" }, external);
        Pod(cluster, "eastwest", "eastwest-0", "10.244.0.99", mtls: false);
        Slice(cluster, "eastwest", 15443, "tls", ((ready ? "" : "!") + "eastwest-0", "10.244.0.99"));
    }

    public void Config(string yaml) => Config(_config, yaml);

    public void Config(string cluster, string yaml)
    {
        foreach (var document in YamlText.ParseAll(yaml, "test")) Writer.PutConfig(cluster, document.AsObject());
    }

    /// <summary>Sets MeshConfig.</summary>
    public void Settings(string yaml) => Writer.PutSettings(_config, YamlText.Parse(yaml, "mesh"), null);

    public ProxyFeed Sidecar(string cluster, string name = "client", string ip = "10.244.0.7", bool dnsCapture = true, string ns = Namespace) => Connect(new(
        ProxyKind.Sidecar, name, ns, $"{ns}.svc.cluster.local", cluster, $"net-{cluster}", default, [Address.Parse(ip)], default, "default", name, "node",
        "REDIRECT", dnsCapture, false, "", "", Locality.Unknown) { Software = Software });

    /// <summary>A gateway in a Pod of its own, whose account may read the Secrets of its namespace.</summary>
    public ProxyFeed Router(string cluster, string app, bool sniDnat = false, GatewayTopology? topology = null, Dictionary<string, string>? labels = null,
        string ns = Namespace, ProxySoftware? software = null)
    {
        var account = new AccountKey(cluster, ns, app);
        if (_pods.Add((cluster, ns, $"{app}-0")) || labels is not null) GatewayPod(cluster, app, labels, ns);
        Writer.PutSecretAccess(account, SecretAccess.Granted);
        if (_isPushed) Push();
        return Connect(new(
            ProxyKind.Router, $"{app}-0", ns, $"{ns}.svc.cluster.local", cluster, $"net-{cluster}", [$"net-{cluster}"], [Address.Parse("10.244.0.99")],
            (labels ?? []).ToValueMap(), app, app, "node", "NONE", false, false, "", "", Locality.Unknown)
        {
            Software = software ?? Software,
            SniDnat = sniDnat,
            Topology = topology,
            Proof = new(account, ""),
        });
    }

    public void GatewayPod(string cluster, string app, Dictionary<string, string>? labels = null, string ns = Namespace) => Writer.Put(cluster, new MeshPod
    {
        Metadata = new() { Name = $"{app}-0", Namespace = ns, Labels = new(labels ?? []) { ["app"] = app } },
        Spec = new() { NodeName = "node", ServiceAccountName = app },
        Status = new() { PodIP = "10.244.0.99", PodIPs = { new() { Ip = "10.244.0.99" } } },
    });

    public ProxyFeed Connect(ProxyIdentity identity)
    {
        var feed = new ProxyFeed(identity, TimeProvider.System, _ => { });
        Publisher.Join(feed);
        return feed;
    }

    /// <summary>Commits and pushes, as the engine does when no more changes arrive.</summary>
    public MeshChanges Push()
    {
        _isPushed = true;
        var changes = Writer.Commit();
        Publisher.PublishAll(Mesh.View(), changes);
        return changes;
    }

    /// <summary>What the push of a change does to proxies.</summary>
    public PushEffect Effects(Action change)
    {
        change();
        Publisher.Effects = new();
        Push();
        var sum = Publisher.Effects.Sum();
        Publisher.Effects = null;
        return sum;
    }

    public static Cluster? Cluster(ProxyFeed proxy, string name) => Read(proxy, TypeUrls.Cluster, name, Isthmus.Wire.Envoy.Clusters.Cluster.Parser.ParseFrom);

    public static Listener? Listener(ProxyFeed proxy, string name) =>
        Read(proxy, TypeUrls.Listener, name, Isthmus.Wire.Envoy.Listeners.Listener.Parser.ParseFrom);

    public static RouteConfiguration? Route(ProxyFeed proxy, string name) => Read(proxy, TypeUrls.Route, name, RouteConfiguration.Parser.ParseFrom);

    public static NameTable Names(ProxyFeed proxy) => Read(proxy, TypeUrls.NameTable, "", NameTable.Parser.ParseFrom)!;

    /// <summary>The addresses of a cluster's healthy endpoints with their weights, in the order they are sent.</summary>
    public static IReadOnlyList<string> Endpoints(ProxyFeed proxy, string name) => Endpoints(proxy, name, areHealthy: true);

    /// <summary>Those of its healthy ones, or of the others.</summary>
    public static IReadOnlyList<string> Endpoints(ProxyFeed proxy, string name, bool areHealthy) =>
        [.. Read(proxy, TypeUrls.Endpoints, name, ClusterLoadAssignment.Parser.ParseFrom)?.Endpoints.SelectMany(group => group.LbEndpoints)
            .Where(endpoint => endpoint.HealthStatus != Isthmus.Wire.Envoy.HealthStatus.Unhealthy == areHealthy)
            .Select(
                endpoint =>
                    $"{endpoint.Endpoint.Address.SocketAddress.Address}:{endpoint.Endpoint.Address.SocketAddress.PortValue}={endpoint.LoadBalancingWeight}")
            ?? []];

    public static string OutboundName(string service, int port = 80, string subset = "") => $"outbound|{port}|{subset}|{service}.{Namespace}.svc.cluster.local";

    /// <summary>Everything that a proxy has, as type and name → version.</summary>
    public static SortedDictionary<string, string> Versions(ProxyFeed proxy)
    {
        var all = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (var (type, resources) in proxy.Snapshot!.Types)
        {
            foreach (var resource in resources.All) all[$"{type}/{resource.Name}"] = resource.Version;
        }
        return all;
    }

    /// <summary>The proxy as a control plane serves it that knows nothing from before, and no other proxy.</summary>
    public static ProxyFeed Alone(ProxyFeed proxy, MeshView mesh)
    {
        var publisher = new Publisher(TimeProvider.System);
        publisher.PublishAll(mesh, null);
        return Again(proxy, publisher);
    }

    /// <summary>The proxy, served by another control plane.</summary>
    public static ProxyFeed Again(ProxyFeed proxy, Publisher publisher)
    {
        var again = new ProxyFeed(proxy.Proxy, TimeProvider.System, _ => { });
        publisher.Join(again);
        return again;
    }

    private static T? Read<T>(ProxyFeed proxy, string type, string name, Func<Google.Protobuf.ByteString, T> parse) where T : class =>
        proxy.Snapshot!.Types[type].TryGet(name, out var resource) ? parse(resource.Body.Value) : null;
}

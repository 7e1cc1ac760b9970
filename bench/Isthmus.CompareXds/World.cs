using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Graph.Derive;
using Isthmus.Graph.Intake;
using Isthmus.ControlPlane.Push;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Lab.Controllers.Network;
using Isthmus.Core.Collections;
using Isthmus.Core.Net;
using Isthmus.Mesh.Model;
using Isthmus.Wire;
using Isthmus.Wire.Xds;
using Microsoft.Extensions.Logging.Abstractions;

namespace Isthmus.CompareXds;

/// <summary>The mesh that one istiod saw during a recording, in our own control plane.</summary>
internal sealed class World
{
    private const string Common = "common";

    private readonly MeshWriter _writer = new(new(), new(), new(MultiClusterSettings.Default, "istio", "default", NullLogger<MeshKinds>.Instance));
    private readonly Publisher _publisher = new(TimeProvider.System);
    private readonly Dictionary<(string Cluster, string Namespace, string Name), MeshPod> _pods = [];

    private World()
    {
    }

    public static World Of(Recordings recordings, RecordedCase recorded)
    {
        var world = new World();
        var scenario = recorded.Scenario;
        var variant = Variant.Of(recorded);
        var own = recorded.Scenario.StartsWith("s4", StringComparison.Ordinal)
            ? "cluster1"
            : variant.ConfigCluster ?? (recorded.Node.Cluster.Length > 0 ? recorded.Node.Cluster : "cluster1");
        world._writer.Put(world._writer.Kinds.Settings, SettingsKind.Of(own,
            YamlText.Parse(recordings.Input(scenario, variant.MeshFile), variant.MeshFile),
            variant.NetworksFile is { } networks ? YamlText.Parse(recordings.Input(scenario, networks), networks) : null));
        string[] clusters = variant.Alone || scenario.StartsWith("s5", StringComparison.Ordinal) || !recordings.HasInput(scenario, "cluster2.yaml")
            ? [own]
            : ["cluster1", "cluster2"];
        foreach (var cluster in clusters)
        {
            var objects = Objects.Parse(recordings.Input(Common, "base.yaml"), recordings.Input(scenario, cluster + ".yaml"));
            foreach (var (of, file) in variant.Files) if (of == cluster) objects.Apply(recordings.Input(scenario, file));
            foreach (var (of, yaml) in variant.Changes) if (of == cluster) objects.Apply(yaml);
            foreach (var (of, kind, name) in variant.Removed) if (of == cluster) objects.Remove(kind, name);
            foreach (var (of, name, address) in variant.Moved) if (of == cluster) objects.SetIngress(name, address);
            world.Load(cluster, objects, isConfig: cluster == own);
        }
        foreach (var (host, addresses) in variant.Resolved) world._writer.PutResolved(host, addresses.Select(address => Address.Parse(address)).ToValueList());
        return world;
    }

    /// <summary>The resources for a proxy, by type.</summary>
    public IReadOnlyDictionary<string, SortedDictionary<string, JsonNode>> View(ProxyIdentity node)
    {
        if (node.Kind == ProxyKind.Router) node = Proven(node);
        var feed = new ProxyFeed(node, TimeProvider.System, _ => { });
        _publisher.Join(feed);
        var changes = _writer.Commit();
        _publisher.PublishAll(_writer.Mesh.View(), changes);
        return RecordedCase.Types.ToDictionary(type => type, type => Resources(feed, RecordedCase.TypeUrl(type)), StringComparer.Ordinal);
    }

    /// <summary>The recorded istiod believed what gateways said of themselves. Ours has their Pods.</summary>
    private ProxyIdentity Proven(ProxyIdentity node)
    {
        var pod = _pods.GetValueOrDefault((node.Cluster, node.Namespace, node.Name));
        var account = new AccountKey(node.Cluster, node.Namespace, pod?.Spec.ServiceAccountName ?? node.ServiceAccount);
        _writer.PutSecretAccess(account, SecretAccess.Granted);
        if (pod is null)
        {
            Put(node.Cluster, _writer.Kinds.Pods, new MeshPod
            {
                Metadata = new() { Name = node.Name, Namespace = node.Namespace, Labels = new(node.Labels.Items) },
                Spec = new() { NodeName = node.NodeName, ServiceAccountName = account.Name },
                Status = new() { PodIP = node.Addresses[0].ToString() },
            });
        }
        return node with { Proof = new(account, "") };
    }

    private static SortedDictionary<string, JsonNode> Resources(ProxyFeed feed, string typeUrl)
    {
        var all = new SortedDictionary<string, JsonNode>(StringComparer.Ordinal);
        if (!feed.Snapshot!.Types.TryGetValue(typeUrl, out var resources)) return all;
        var parser = WireTypes.Registry.Find(typeUrl[(typeUrl.LastIndexOf('/') + 1)..]).Parser;
        foreach (var resource in resources.All) all[resource.Name] = JsonNode.Parse(WireTypes.Json.Format(parser.ParseFrom(resource.Body.Value)))!;
        return all;
    }

    /// <summary>The inputs that our control plane rejected or warned about.</summary>
    public IEnumerable<string> Problems => _writer.Mesh.Sources.Problems.Items.Values.SelectMany(found => found.Problems).Select(problem => problem.ToString());

    private void Load(string cluster, Objects objects, bool isConfig)
    {
        _writer.PutContact(new(cluster, isConfig, true, true, 1));
        var kinds = _writer.Kinds;
        // Every cluster has the API server's own Service.
        Put(cluster, kinds.Services, new Service
        {
            Metadata = new() { Name = "kubernetes", Namespace = "default" },
            Spec = new()
            {
                ClusterIP = cluster == "cluster2" ? "10.97.0.1" : "10.96.0.1",
                Ports = { new() { Name = "https", Port = 443, TargetPort = JsonValue.Create(6443) } }
            },
        });
        var (pods, services) = (objects.All<Pod>("Pod"), objects.All<Service>("Service"));
        var nodes = objects.All<Kubernetes.Objects.Node>("Node").ToDictionary(node => node.Metadata.Name, StringComparer.Ordinal);
        foreach (var ns in objects.All<Namespace>("Namespace")) Put(cluster, kinds.Namespaces, ns);
        foreach (var node in nodes.Values) Put(cluster, kinds.Nodes, node);
        foreach (var pod in objects.All<MeshPod>("Pod"))
        {
            _pods[(cluster, pod.Metadata.Namespace, pod.Metadata.Name)] = pod;
            Put(cluster, kinds.Pods, pod);
        }
        foreach (var service in services)
        {
            Put(cluster, kinds.Services, service);
            var members = pods.Where(pod => pod.Metadata.Namespace == service.Metadata.Namespace);
            PutSlices(cluster, EndpointPlan.For(service, members, nodes.GetValueOrDefault, [], null).Writes);
        }
        foreach (var endpoints in objects.All<Endpoints>("Endpoints"))
        {
            var service = services.FirstOrDefault(one => one.Metadata.Name == endpoints.Metadata.Name
                && one.Metadata.Namespace == endpoints.Metadata.Namespace);
            PutSlices(cluster, MirrorPlan.For(endpoints, service, []).Writes);
        }
        if (!isConfig) return;
        foreach (var config in objects.Istio)
        {
            MendSidecar(config);
            // Istio's kinds and those of the Gateway API share a name.
            var (group, name) = (config["apiVersion"]!.ToString().Split('/')[0], config["kind"]!.ToString());
            if (kinds.All.OfType<IObjectKind<JsonObject>>().SingleOrDefault(kind => kind.Resource.Kind == name && kind.Resource.Group == group) is { } kind)
                Put(cluster, kind, config);
        }
    }

    private void Put<T>(string cluster, IObjectKind<T> kind, T item) where T : class => kind.Stage(_writer, cluster, item);

    /// <summary>No webhook validated the recorded inputs: an egress listener without a port must be the last of its
    /// Sidecar.</summary>
    private static void MendSidecar(JsonObject config)
    {
        if ((string?)config["kind"] != "Sidecar" || config["spec"]?["egress"] is not JsonArray egress) return;
        var ordered = egress.OrderBy(listener => listener?["port"] is null).Select(listener => listener?.DeepClone()).ToArray();
        config["spec"]!["egress"] = new JsonArray(ordered);
    }

    private void PutSlices(string cluster, IEnumerable<Lab.Controllers.Framework.Write> writes)
    {
        foreach (var write in writes)
        {
            if (write.Kind.Kind == "EndpointSlice") Put(cluster, _writer.Kinds.Slices, write.Body!.Deserialize(KubeJson.Of<EndpointSlice>())!);
        }
    }
}

/// <summary>The objects of one cluster.</summary>
internal sealed class Objects
{
    private readonly List<JsonObject> _all = [];

    public static Objects Parse(params string[] texts)
    {
        var objects = new Objects();
        foreach (var text in texts) objects.Apply(text);
        return objects;
    }

    /// <summary>Adds objects, and replaces existing ones.</summary>
    public void Apply(string text)
    {
        foreach (var item in YamlText.ParseAll(text, "inputs").OfType<JsonObject>())
        {
            _all.RemoveAll(known => Key(known) == Key(item));
            _all.Add(item);
        }
    }

    public void Remove(string kind, string name) => _all.RemoveAll(item => (string?)item["kind"] == kind && (string?)item["metadata"]?["name"] == name);

    /// <summary>Sets a load balancer's only address.</summary>
    public void SetIngress(string name, string address)
    {
        foreach (var item in _all.Where(item => (string?)item["kind"] == "Service" && (string?)item["metadata"]?["name"] == name))
        {
            item["status"] = new JsonObject { ["loadBalancer"] = new JsonObject { ["ingress"] = new JsonArray(new JsonObject { ["ip"] = address }) } };
        }
    }

    public IReadOnlyList<T> All<T>(string kind) where T : KubeObject =>
        [.. _all.Where(item => (string?)item["kind"] == kind && (string?)item["apiVersion"] is { } version
            && !version.Contains("istio.io", StringComparison.Ordinal))
            .Select(item => item.Deserialize(KubeJson.Of<T>())!)];

    public IEnumerable<JsonObject> Istio =>
        _all.Where(item => (string?)item["apiVersion"] is { } version && version.Contains("istio.io/", StringComparison.Ordinal))
            .Select(item => (JsonObject)item.DeepClone());

    private static (string?, string?, string?) Key(JsonObject item) =>
        ((string?)item["kind"], (string?)item["metadata"]?["namespace"], (string?)item["metadata"]?["name"]);
}

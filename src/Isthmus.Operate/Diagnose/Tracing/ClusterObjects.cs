using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;
using Service = Isthmus.Kubernetes.Objects.Service;

namespace Isthmus.Operate.Diagnose.Tracing;

/// <summary>The objects of one cluster that decide about a call.</summary>
internal sealed class ClusterObjects
{
    private readonly List<Service> _services = [];
    private readonly List<Pod> _pods = [];
    private readonly List<EndpointSlice> _slices = [];
    private readonly List<Deployment> _deployments = [];
    private readonly List<object> _istio = [];

    private ClusterObjects(string context) => Context = context;

    /// <summary>The context of the kubeconfig that leads to it.</summary>
    public string Context { get; }

    /// <summary>Why it could not be read; empty when it could. Then everything else is empty.</summary>
    public string Error { get; private init; } = "";

    /// <summary>What its control plane and its proxies call it; the context when nobody says.</summary>
    public string Id { get; private set; } = "";

    /// <summary>The label of the system namespace; empty when it has none.</summary>
    public string Network { get; private set; } = "";

    public IReadOnlyList<Service> Services => _services;

    public IReadOnlyList<Pod> Pods => _pods;

    public IReadOnlyList<EndpointSlice> Slices => _slices;

    public IReadOnlyList<Deployment> Deployments => _deployments;

    /// <summary>The mesh's settings in this cluster (ConfigMap <c>istio</c>, keys <c>mesh</c> and <c>meshNetworks</c>).</summary>
    public JsonObject Mesh { get; private set; } = [];

    public JsonObject MeshNetworks { get; private set; } = [];

    /// <summary>Namespaces of which Pods were read.</summary>
    public HashSet<string> PodNamespaces { get; } = new(StringComparer.Ordinal);

    /// <summary>Istio's objects that are valid, as the control plane reads them.</summary>
    public IEnumerable<T> Istio<T>() => _istio.OfType<T>();

    public string RootNamespace => Mesh["rootNamespace"]?.ToString() ?? WellKnown.SystemNamespace;

    public static ClusterObjects Unreadable(string context, string error) => new(context) { Error = error, Id = context };

    /// <param name="namespaces">Those of which the objects hold all Pods, also when there are none.</param>
    public static ClusterObjects From(string context, IEnumerable<JsonObject> objects, string istioNamespace = WellKnown.SystemNamespace, IEnumerable<string>? namespaces = null)
    {
        var cluster = new ClusterObjects(context);
        cluster.PodNamespaces.UnionWith(namespaces ?? []);
        foreach (var value in objects) cluster.Add(value, istioNamespace);
        cluster.Id = cluster.FindId(istioNamespace);
        return cluster;
    }

    public void AddPods(string ns, IEnumerable<JsonObject> pods)
    {
        if (!PodNamespaces.Add(ns)) return;
        _pods.AddRange(pods.Select(Read<Pod>));
    }

    public Service? Service(string ns, string name) => _services.FirstOrDefault(service => service.Metadata.Name == name && service.Metadata.Namespace == ns);

    /// <summary>Pods that a Service selects, those that are leaving left out.</summary>
    public IReadOnlyList<Pod> Behind(Service service) => service.Spec.Selector.Count == 0 ? [] :
        [.. _pods.Where(pod => pod.Metadata.Namespace == service.Metadata.Namespace && pod.Metadata.DeletionTimestamp is null && Selects(service.Spec.Selector, pod.Metadata.Labels))];

    public Pod? PodAt(string address) => _pods.FirstOrDefault(pod => pod.Status.PodIP == address && pod.Status.Phase is "Running" or "Pending" && !pod.Spec.HostNetwork);

    /// <summary>The network of a Pod, in Istio's order: its own label, the system namespace's.</summary>
    public string NetworkOf(Pod pod) => pod.Metadata.Labels.GetValueOrDefault(Labels.Network) ?? Network;

    public static bool Selects(IReadOnlyDictionary<string, string> selector, IReadOnlyDictionary<string, string> labels) =>
        selector.All(want => labels.TryGetValue(want.Key, out var has) && has == want.Value);

    private void Add(JsonObject value, string istioNamespace)
    {
        var (kind, meta) = (value["kind"]?.ToString() ?? "", value["metadata"]);
        var name = meta?["name"]?.ToString() ?? "";
        switch (kind)
        {
            case "Service": _services.Add(Read<Service>(value)); break;
            case "Pod":
                _pods.Add(Read<Pod>(value));
                PodNamespaces.Add(_pods[^1].Metadata.Namespace);
                break;
            case "EndpointSlice": _slices.Add(Read<EndpointSlice>(value)); break;
            case "Deployment": _deployments.Add(Read<Deployment>(value)); break;
            case "Namespace" when name == istioNamespace:
                Network = meta?["labels"]?[Labels.Network]?.ToString() ?? "";
                break;
            case "Namespace" or "ConfigMap" when name != "istio": break;
            case "ConfigMap":
                Mesh = Yaml(value["data"]?["mesh"]);
                MeshNetworks = Yaml(value["data"]?["meshNetworks"]);
                break;
            default:
                // What the control plane cannot read does not take part in calls.
                if (IstioConfig.Read(value, Context).Value is { } record) _istio.Add(record);
                break;
        }
    }

    private string FindId(string istioNamespace)
    {
        var controlPlanes = _deployments.Where(deployment => deployment.Metadata.Namespace == istioNamespace)
            .SelectMany(deployment => deployment.Spec.Template["spec"]?["containers"] as JsonArray ?? []).SelectMany(container => container?["env"] as JsonArray ?? [])
            .Where(env => env?["name"]?.ToString() == "CLUSTER_ID").Select(env => env?["value"]?.ToString());
        var proxies = _pods.SelectMany(pod => Sidecar(pod)?.Env ?? []).Where(env => env.Name == "ISTIO_META_CLUSTER_ID").Select(env => env.Value);
        return controlPlanes.Concat(proxies).FirstOrDefault(id => !string.IsNullOrEmpty(id)) ?? Context;
    }

    /// <summary>The proxy of a Pod: a sidecar, a native one, or the gateway itself.</summary>
    public static Container? Sidecar(Pod pod) => pod.Spec.Containers.Concat(pod.Spec.InitContainers).FirstOrDefault(container => container.Name == "istio-proxy");

    private static JsonObject Yaml(JsonNode? text)
    {
        try { return YamlText.Parse(text?.ToString() ?? "", "ConfigMap istio") as JsonObject ?? []; }
        catch (ProblemException) { return []; }
    }

    private static T Read<T>(JsonObject value) => value.Deserialize(KubeJson.Of<T>())!;
}

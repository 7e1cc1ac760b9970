using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Json;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Config.GatewayApi;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;
using Isthmus.Operate.Diagnose;
using Isthmus.Operate.Inventory;
using Service = Isthmus.Kubernetes.Objects.Service;

namespace Isthmus.Explain.Tracing.Reading;

/// <summary>The objects of one cluster that decide what happens to a call.</summary>
internal sealed class ClusterObjects
{
    private readonly List<Service> _services = [];
    private readonly List<Pod> _pods = [];
    private readonly List<EndpointSlice> _slices = [];
    private readonly List<Deployment> _deployments = [];
    private readonly List<object> _istio = [];
    private readonly List<ApiGateway> _gateways = [];
    private readonly Dictionary<ApiGateway, IReadOnlySet<string>> _routed = new(ReferenceEqualityComparer.Instance);
    private readonly HashSet<ApiGateway> _extended = new(ReferenceEqualityComparer.Instance);
    private readonly List<ApiRoute> _routes = [];
    private readonly List<NetworkPolicy> _packets = [];
    private readonly Dictionary<string, JsonObject> _namespaces = new(StringComparer.Ordinal);
    private readonly Dictionary<string, JsonObject> _settings = new(StringComparer.Ordinal);
    private readonly List<InjectorWebhook> _injectors = [];
    private bool _injectsByDefault;

    private ClusterObjects(string context) => Context = context;

    /// <summary>The kubeconfig context of the cluster.</summary>
    public string Context { get; }

    /// <summary>Why it could not be read; empty when it could. With an error, everything else is empty.</summary>
    public string Error { get; private init; } = "";

    /// <summary>The name that its control plane and proxies use; the context when there is none.</summary>
    public string Id { get; private set; } = "";

    /// <summary>Whether a control plane or an injector says the name, and not only proxies.</summary>
    public bool IsNamed { get; private set; }

    /// <summary>Where the control plane of this cluster runs or, if it runs elsewhere, where it is found.</summary>
    public string SystemNamespace { get; private set; } = WellKnown.SystemNamespace;

    /// <summary>The label of the system namespace; empty when it has none.</summary>
    public string Network => Text(_namespaces.GetValueOrDefault(SystemNamespace)?["metadata"]?["labels"]?[Labels.Network]);

    /// <summary>The control planes that the system namespace's annotation assigns the cluster to.</summary>
    public IReadOnlyList<string> NamedPrimaries =>
        Text(_namespaces.GetValueOrDefault(SystemNamespace)?["metadata"]?["annotations"]?[Annotations.ControlPlaneClusters])
            .Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);

    /// <summary>Deployments of control planes, including those that run here for another cluster.</summary>
    public IReadOnlyList<ControlPlaneDeployment> ControlPlanes { get; private set; } = [];

    public IReadOnlyList<Service> Services => _services;

    public IReadOnlyList<Pod> Pods => _pods;

    public IReadOnlyList<EndpointSlice> Slices => _slices;

    public IReadOnlyList<Deployment> Deployments => _deployments;

    public IReadOnlyList<NetworkPolicy> NetworkPolicies => _packets;

    /// <summary>Why the NetworkPolicies could not be read; empty when they could.</summary>
    public string NetworkPoliciesError { get; private set; } = "";

    /// <summary>Namespaces whose Pods were read.</summary>
    public HashSet<string> PodNamespaces { get; } = new(StringComparer.Ordinal);

    /// <summary>The valid Istio objects, as the control plane reads them.</summary>
    public IEnumerable<T> Istio<T>() => _istio.OfType<T>();

    /// <summary>Gateways of the Gateway API; none if nobody may read them.</summary>
    public IReadOnlyList<ApiGateway> ApiGateways => _gateways;

    /// <summary>Routes of the Gateway API; none if nobody may read them.</summary>
    public IReadOnlyList<ApiRoute> ApiRoutes => _routes;

    /// <summary>The mesh settings of the control plane in a namespace (ConfigMap <c>istio</c>, keys <c>mesh</c> and
    /// <c>meshNetworks</c>).</summary>
    public JsonObject Settings(string ns, string key) => Yaml(_settings.GetValueOrDefault(ns)?["data"]?[key]);

    public static ClusterObjects Unreadable(string context, string error) => new(context) { Error = error, Id = context };

    /// <param name="namespaces">Namespaces of which the objects hold all Pods, including namespaces without Pods.</param>
    public static ClusterObjects From(string context, IEnumerable<JsonObject> objects, string istioNamespace = WellKnown.SystemNamespace,
        IEnumerable<string>? namespaces = null)
    {
        var cluster = new ClusterObjects(context);
        cluster.PodNamespaces.UnionWith(namespaces ?? []);
        foreach (var value in objects) cluster.Add(value);
        cluster.SystemNamespace = InjectorWebhook.SystemNamespace(cluster._injectors, istioNamespace);
        cluster.ControlPlanes = [.. cluster._deployments.Where(deployment => deployment.Metadata.Labels.GetValueOrDefault("app") == WellKnown.Istiod)
            .Select(ControlPlaneDeployment.Read)];
        cluster.Id = cluster.FindId();
        return cluster;
    }

    public void AddPods(string ns, IEnumerable<JsonObject> pods)
    {
        if (!PodNamespaces.Add(ns)) return;
        _pods.AddRange(pods.Select(Read<Pod>));
    }

    public void AddApiGateways(IEnumerable<JsonObject> gateways)
    {
        foreach (var gateway in gateways)
        {
            var read = ApiGatewayReader.Read(Context, gateway);
            _gateways.Add(read);
            _routed[read] = ApiGatewayReader.Routed(gateway);
            if (ApiGatewayReader.HasSets(gateway)) _extended.Add(read);
        }
    }

    /// <summary>Whether routes are attached to a listener of one of <see cref="ApiGateways"/>.</summary>
    public bool IsRouted(ApiGateway gateway, string listener) => _routed[gateway].Contains(listener);

    /// <summary>Whether ListenerSets, which are not read, add listeners to one of <see cref="ApiGateways"/>.</summary>
    public bool HasListenerSets(ApiGateway gateway) => _extended.Contains(gateway);

    public void AddApiRoutes(KindDescriptor kind, IEnumerable<JsonObject> routes) =>
        _routes.AddRange(routes.Select(route => ApiRouteReader.Read(kind, Context, route)));

    public void AddNetworkPolicies(IEnumerable<JsonObject> policies, string error)
    {
        _packets.AddRange(policies.Select(NetworkPolicy.Read));
        NetworkPoliciesError = error;
    }

    public Service? Service(string ns, string name) => _services.FirstOrDefault(service => service.Metadata.Name == name && service.Metadata.Namespace == ns);

    /// <summary>Pods that a Service selects, without terminating ones.</summary>
    public IReadOnlyList<Pod> Behind(Service service) => service.Spec.Selector.Count == 0 ? [] :
        [.. _pods.Where(pod => pod.Metadata.Namespace == service.Metadata.Namespace && pod.Metadata.DeletionTimestamp is null
            && LabelSelector.Selects(service.Spec.Selector, pod.Metadata.Labels))];

    public Pod? PodAt(string address) =>
        _pods.FirstOrDefault(pod => pod.Status.PodIP == address && pod.Status.Phase is "Running" or "Pending" && !pod.Spec.HostNetwork);

    /// <summary>The network of a Pod, in Istio's order: its own label, then the system namespace's.</summary>
    public string NetworkOf(Pod pod) => pod.Metadata.Labels.GetValueOrDefault(Labels.Network) ?? Network;

    /// <summary>The revision or tag that injects Pods of a namespace; empty when the namespace asks for the default
    /// one.</summary>
    public string RevisionOf(string ns) => Text(_namespaces.GetValueOrDefault(ns)?["metadata"]?["labels"]?[Labels.Revision]);

    public IReadOnlyDictionary<string, string> LabelsOf(string ns) =>
        (_namespaces.GetValueOrDefault(ns)?["metadata"]?["labels"] as JsonObject ?? [])
            .ToDictionary(pair => pair.Key, pair => Text(pair.Value), StringComparer.Ordinal);

    /// <summary>Whether the namespace asks for sidecars, or gets them without asking.</summary>
    public bool Injects(string ns) => _namespaces.GetValueOrDefault(ns)?["metadata"]?["labels"] is JsonObject labels
        && (Text(labels[Labels.Injection]) is { Length: > 0 } told ? told == "enabled"
            : Text(labels[Labels.Revision]).Length > 0 || (_injectsByDefault && !DefaultInjection.Exempt.Contains(ns)));

    /// <summary>Whether others call its services by names in the zone <c>global</c>, through a gateway that routes such
    /// calls. Nobody watches such a cluster.</summary>
    public bool IsJoinedByNames => Istio<Gateway>().Any(gateway => gateway.PassesGlobalNames);

    /// <summary>The revision that injected a Pod, as the Pod records it; empty when none did.</summary>
    public static string RevisionOf(Pod pod)
    {
        try { return Text((StrictJson.Parse(pod.Metadata.Annotations.GetValueOrDefault(Annotations.InjectionStatus) ?? "{}") as JsonObject)?["revision"]); }
        catch (JsonException) { return ""; }
    }

    /// <summary>Where a Pod's proxy asks for its configuration; empty when the Pod does not say.</summary>
    public static string DiscoveryOf(Pod pod)
    {
        var told = Sidecar(pod)?.Env.FirstOrDefault(env => env.Name == "PROXY_CONFIG")?.Value ?? "{}";
        try { return Text((StrictJson.Parse(told) as JsonObject)?["discoveryAddress"]); }
        catch (JsonException) { return ""; }
    }

    private void Add(JsonObject value)
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
            case "NetworkPolicy": _packets.Add(NetworkPolicy.Read(value)); break;
            case "Namespace": _namespaces[name] = value; break;
            case "Gateway" when MeshApi.Find(Text(value["apiVersion"]), kind) == MeshApi.ApiGateway: AddApiGateways([value]); break;
            case not null when kind.EndsWith("Route", StringComparison.Ordinal) && MeshApi.Find(Text(value["apiVersion"]), kind) is { } route:
                AddApiRoutes(route, [value]);
                break;
            // The name of a control plane with a revision contains the revision; otherwise the names are almost the same.
            case "ConfigMap" when Text(value["data"]?["mesh"]).Length > 0 && (name == "istio" || !_settings.ContainsKey(Text(meta?["namespace"]))):
                _settings[Text(meta?["namespace"])] = value;
                break;
            case "ConfigMap": break;
            case "MutatingWebhookConfiguration":
                _injectors.AddRange(InjectorWebhook.Read(value));
                _injectsByDefault |= (value["webhooks"] as JsonArray ?? []).Any(webhook => Text(webhook?["name"]) == DefaultInjection.Webhook);
                break;
            default:
                // Objects that the control plane cannot read do not take part in calls.
                if (IstioConfig.Read(value, Context).Value is { } record) _istio.Add(record);
                break;
        }
    }

    /// <summary>The name that its own control plane uses; otherwise the name in a remote injector; otherwise the name given
    /// to its proxies.</summary>
    private string FindId()
    {
        var said = ControlPlanes.Where(plane => plane.Namespace == SystemNamespace).Select(plane => plane.Cluster)
            .Concat(_injectors.Select(injector => injector.Cluster)).FirstOrDefault(id => !string.IsNullOrEmpty(id));
        IsNamed = said is not null;
        return said ?? _pods.Select(NameBy).FirstOrDefault(id => id.Length > 0) ?? Context;
    }

    /// <summary>The name by which a Pod's proxy calls its cluster; empty without a proxy.</summary>
    public static string NameBy(Pod pod) => Sidecar(pod)?.Env.FirstOrDefault(env => env.Name == "ISTIO_META_CLUSTER_ID")?.Value ?? "";

    /// <summary>The proxy of a Pod: a sidecar, a native sidecar, or the gateway itself.</summary>
    public static Container? Sidecar(Pod pod) =>
        pod.Spec.Containers.Concat(pod.Spec.InitContainers).FirstOrDefault(container => container.Name == "istio-proxy");

    public static bool IsGateway(Pod pod) => Sidecar(pod)?.Args.Contains("router") == true;

    private static string Text(JsonNode? node) => node?.ToString() ?? "";

    private static JsonObject Yaml(JsonNode? text)
    {
        try { return YamlText.Parse(text?.ToString() ?? "", "ConfigMap istio") as JsonObject ?? []; }
        catch (ProblemException) { return []; }
    }

    private static T Read<T>(JsonObject value) => value.Deserialize(KubeJson.Of<T>())!;
}

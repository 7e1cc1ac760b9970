using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Core.Json;
using Isthmus.Core.Names;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Config.GatewayApi;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;
using Isthmus.Operate.Diagnose;
using Isthmus.Operate.Diagnose.Analysis;
using Isthmus.Operate.Inventory;
using Service = Isthmus.Kubernetes.Objects.Service;

namespace Isthmus.Explain.Tracing.Reading;

/// <summary>What decides about calls in one cluster: a view of what was read of it, and Pods that are read when a walk comes to them.</summary>
internal sealed class ClusterObjects
{
    private readonly ClusterInventory _read;
    private readonly List<Pod> _pods;
    private readonly Dictionary<string, Namespace> _namespaces;
    private readonly Dictionary<string, string> _checks = new(StringComparer.Ordinal);
    private IReadOnlyList<Node>? _nodes;

    private ClusterObjects(ClusterInventory read, string istioNamespace)
    {
        (_read, _pods, Id) = (read, [.. read.Pods], read.Context);
        PodNamespaces = _pods.Select(pod => pod.Metadata.Namespace).ToHashSet(StringComparer.Ordinal);
        _namespaces = read.Namespaces.ToDictionary(ns => ns.Metadata.Name, StringComparer.Ordinal);
        SystemNamespace = InjectorWebhook.SystemNamespace(read.Injectors, istioNamespace);
    }

    /// <summary>The kubeconfig context of the cluster.</summary>
    public string Context => _read.Context;

    /// <summary>Why it could not be read; empty when it could. With an error, everything else is empty.</summary>
    public string Error => _read.Error;

    /// <inheritdoc cref="ClusterInventory.AccessRemedy"/>
    public string? AccessRemedy => _read.AccessRemedy;

    /// <summary>The name that its control plane and proxies use; the context when there is none.</summary>
    public string Id { get; private set; } = "";

    /// <summary>Whether a control plane or an injector says the name, and not only proxies.</summary>
    public bool IsNamed { get; private set; }

    /// <summary>Where the control plane of this cluster runs or, if it runs elsewhere, where it is found.</summary>
    public string SystemNamespace { get; }

    /// <summary>The label of the system namespace; empty when it has none.</summary>
    public string Network => LabelsOf(SystemNamespace).GetValueOrDefault(Labels.Network, "");

    /// <summary>The UID of its Namespace kube-system, by which clusters are told apart; empty when it is not known.</summary>
    public string Uid => _namespaces.GetValueOrDefault("kube-system")?.Metadata.Uid ?? "";

    /// <summary>The root that its proxies trust; unknown when nobody may read it, or it does not exist yet.</summary>
    public Root Root => Root.Of(_read.Find($"{MeshApi.ConfigMap.Name} {SystemNamespace}/{WellKnown.RootCertConfigMap}")?["data"]?[WellKnown.RootCertKey]
        ?.ToString());

    /// <summary>The control planes that the system namespace's annotation assigns the cluster to.</summary>
    public IReadOnlyList<string> NamedPrimaries =>
        (_namespaces.GetValueOrDefault(SystemNamespace)?.Metadata.Annotations.GetValueOrDefault(Annotations.ControlPlaneClusters) ?? "")
            .Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);

    /// <summary>Deployments of control planes, including those that run here for another cluster.</summary>
    public IReadOnlyList<ControlPlaneDeployment> ControlPlanes => _read.ControlPlanes;

    public IReadOnlyList<Service> Services => _read.Services;

    public IReadOnlyList<Pod> Pods => _pods;

    public IReadOnlyList<EndpointSlice> Slices => _read.Slices;

    public IReadOnlyList<Deployment> Deployments => _read.Deployments;

    public IReadOnlyList<NetworkPolicy> NetworkPolicies => _read.NetworkPolicies;

    /// <summary>Whether the objects of a kind were read. Of those that were not, nothing can be said to be missing.</summary>
    public bool Knows(KindDescriptor kind) => _read.Knows(kind.Name);

    /// <summary>The kinds whose objects nobody may read.</summary>
    public IEnumerable<string> Unread => _read.Unread;

    /// <summary>Namespaces whose Pods were read.</summary>
    public HashSet<string> PodNamespaces { get; }

    /// <summary>The valid Istio objects, as the control plane reads them.</summary>
    public IEnumerable<T> Istio<T>() => _read.Istio<T>();

    /// <summary>Gateways of the Gateway API; none if nobody may read them.</summary>
    public IEnumerable<ApiGateway> ApiGateways => _read.ApiGateways.Select(stored => stored.Gateway);

    /// <summary>Routes of the Gateway API; none if nobody may read them.</summary>
    public IReadOnlyList<ApiRoute> ApiRoutes => _read.ApiRoutes;

    /// <summary>None if nobody may read them.</summary>
    public IReadOnlyList<Mesh.Model.Ingress> Ingresses => _read.Ingresses;

    /// <summary>The controller of an IngressClass; null when there is no such class, or nobody may read them.</summary>
    public string? ControllerOf(string ingressClass) => _read.ControllerOf(ingressClass);

    /// <summary>The IngressClasses of a controller; none if nobody may read them.</summary>
    public IReadOnlyList<string> IngressClasses(string controller) => _read.IngressClasses(controller);

    /// <summary>None if nobody may read them.</summary>
    public IReadOnlyList<BackendTlsPolicy> BackendTlsPolicies => _read.BackendTlsPolicies;

    /// <summary>None if nobody may read them.</summary>
    public ValueList<ReferenceGrant> ReferenceGrants => _read.ReferenceGrants;

    /// <summary>None if nobody may read them.</summary>
    public IEnumerable<(string Namespace, string Name)> ServiceExports => _read.Objects(MeshApi.ServiceExport.Name)
        .Select(export => (Text(export["metadata"]?["namespace"]), Text(export["metadata"]?["name"])));

    /// <summary>Why a policy does not apply, as its control plane has written into its status; empty when it does, or nothing is written.</summary>
    public string Rejection(BackendTlsPolicy policy) =>
        (_read.Find($"{MeshApi.BackendTlsPolicy.Name} {policy.Namespace}/{policy.Source.Name}")?["status"]?["ancestors"] as JsonArray ?? [])
            .SelectMany(ancestor => ancestor?["conditions"] as JsonArray ?? [])
            .Where(condition => Text(condition?["type"]) == "Accepted" && Text(condition?["status"]) == "False")
            .Select(condition => Text(condition?["message"])).FirstOrDefault() ?? "";

    /// <summary>The patches of an EnvoyFilter as they are written; none if nobody may read it.</summary>
    public IEnumerable<JsonObject> PatchesOf(EnvoyFilter filter) =>
        (_read.Find($"{MeshApi.EnvoyFilter.Name} {filter.Namespace}/{filter.Name}")?["spec"]?["configPatches"] as JsonArray ?? [])
            .Select(patch => patch as JsonObject ?? []);

    /// <summary>The settings of the control plane in a namespace; null when it has none.</summary>
    /// <param name="revision">Empty for the default one.</param>
    public MeshMap? MapOf(string ns, string revision) => MeshMap.Of(_read.MeshMaps.Where(map => map.Namespace == ns), revision);

    /// <param name="status">With which its API server answered; 0: it did not.</param>
    public static ClusterObjects Unreadable(string context, string error, int status = 0) =>
        new(ClusterInventory.Unreadable(context, error, status), WellKnown.SystemNamespace);

    /// <param name="namespaces">Namespaces of which the objects hold all Pods, including namespaces without Pods.</param>
    public static ClusterObjects From(string context, IEnumerable<JsonObject> objects, string istioNamespace = WellKnown.SystemNamespace,
        params IEnumerable<string> namespaces) =>
        Of(ClusterInventory.From(context, objects), istioNamespace, namespaces.Select(ns => (ns, (IReadOnlyList<Pod>)[])));

    /// <param name="read">What was read of the cluster.</param>
    /// <param name="istioNamespace">The system namespace, unless injectors say another one.</param>
    /// <param name="pods">Namespaces with their Pods, of which nothing else has read any.</param>
    public static ClusterObjects Of(ClusterInventory read, string istioNamespace, params IEnumerable<(string Namespace, IReadOnlyList<Pod> Pods)> pods)
    {
        var cluster = new ClusterObjects(read, istioNamespace);
        foreach (var (ns, some) in pods) cluster.AddPods(ns, some);
        cluster.Id = cluster.FindId();
        return cluster;
    }

    public void AddPods(string ns, IEnumerable<Pod> pods)
    {
        if (PodNamespaces.Add(ns)) _pods.AddRange(pods);
    }

    /// <summary>The controller of a Pod, as it is written; null when it has none that may be read.</summary>
    public JsonObject? ControllerOf(Pod pod) => pod.Metadata.OwnerReferences.FirstOrDefault(one => one.Controller == true) is { } owner
        ? _read.Find($"{owner.Kind} {pod.Metadata.Namespace}/{owner.Name}") : null;

    /// <summary>What the kubelet said last of a failed readiness probe of a Pod; empty when it said nothing; null when nobody has looked.</summary>
    public string? FailedCheck(Pod pod) => _checks.GetValueOrDefault(pod.Key);

    /// <param name="pod">As <c>namespace/name</c>.</param>
    public void AddCheck(string pod, string said) => _checks[pod] = said;

    /// <summary>As far as anybody has looked: none where nobody did, since no cluster that runs Pods is without Nodes.</summary>
    public IReadOnlyList<Node> Nodes
    {
        get => _nodes ?? _read.Nodes;
        set => _nodes = value;
    }

    /// <summary>The Pod template of a workload; null if there is no such workload, or it was not read.</summary>
    public WorkloadTemplate? Template(string kind, string ns, string name) =>
        _read.Templates.FirstOrDefault(one => one.Kind == kind && one.Namespace == ns && one.Name == name);

    /// <summary>Whether routes are attached to a listener of one of <see cref="ApiGateways"/>.</summary>
    public bool IsRouted(ApiGateway gateway, string listener) => Stored(gateway).Routed.Contains(listener);

    /// <summary>Whether ListenerSets add listeners to one of <see cref="ApiGateways"/>, by its status.</summary>
    public bool HasListenerSets(ApiGateway gateway) => Stored(gateway).HasListenerSets;

    /// <summary>The class of a Gateway; null if there is none, or nobody may read it.</summary>
    public GatewayClass? ClassOf(ApiGateway gateway) =>
        _read.Find($"{MeshApi.GatewayClass.Name} {gateway.Class}") is { } found ? GatewayClassReader.Read(Context, found) : null;

    /// <summary>None if nobody may read them.</summary>
    public IEnumerable<ListenerSet> ListenerSets => _read.Objects(MeshApi.ListenerSet.Name).Select(value => ApiGatewayReader.ReadSet(Context, value));

    /// <summary>Why its control plane does not serve a listener of a Gateway or ListenerSet, as it has written; empty when it does, or nothing is
    /// written.</summary>
    public string Refusal(ObjectRef owner, string listener) =>
        (_read.Find($"{owner.Kind} {owner.Namespace}/{owner.Name}")?["status"]?["listeners"] as JsonArray ?? [])
            .Where(one => Text(one?["name"]) == listener).Select(one => Negative(one?["conditions"])).FirstOrDefault() ?? "";

    /// <summary>Why its control plane does not take a ListenerSet, as it has written; empty when it does, or nothing is written.</summary>
    public string Refusal(ListenerSet set) =>
        Negative(_read.Find($"{MeshApi.ListenerSet.Name} {set.Namespace}/{set.Name}")?["status"]?["conditions"]);

    private static string Negative(JsonNode? conditions) => (conditions as JsonArray ?? [])
        .Where(condition => (Text(condition?["type"]), Text(condition?["status"])) is ("Conflicted", "True") or ("Accepted" or "ResolvedRefs", "False"))
        .Select(condition => $"{Text(condition?["reason"])}: {Text(condition?["message"])}").FirstOrDefault() ?? "";

    private StoredGateway Stored(ApiGateway gateway) => _read.ApiGateways.First(stored => ReferenceEquals(stored.Gateway, gateway));

    public Service? Service(string ns, string name) => _read.Service(ns, name);

    /// <summary>Pods that a Service selects, without terminating ones.</summary>
    public IReadOnlyList<Pod> Behind(Service service) => service.Spec.Selector.Count == 0 ? [] :
        [.. _pods.Where(pod => pod.Metadata.Namespace == service.Metadata.Namespace && pod.Metadata.DeletionTimestamp is null
            && LabelSelector.Selects(service.Spec.Selector, pod.Metadata.Labels))];

    /// <summary>Whether a namespace does not exist. Where its Pods or Services were read, it does.</summary>
    public bool LacksNamespace(string ns) => _namespaces.Count > 0 && !_namespaces.ContainsKey(ns) && _pods.TrueForAll(pod => pod.Metadata.Namespace != ns);

    /// <summary>A Pod with these labels that was deleted and has not ended; null if there is none.</summary>
    public Pod? Ending(string ns, IReadOnlyDictionary<string, string> labels) => _pods.FirstOrDefault(pod => pod.Metadata.Namespace == ns
        && pod.Metadata.DeletionTimestamp is not null && LabelSelector.Selects(labels, pod.Metadata.Labels));

    public Pod? PodAt(string address) =>
        _pods.FirstOrDefault(pod => pod.Status.PodIP == address && pod.Status.Phase is "Running" or "Pending" && !pod.Spec.HostNetwork);

    /// <summary>The network of a Pod, in Istio's order: its own label, then the system namespace's.</summary>
    public string NetworkOf(Pod pod) => pod.Metadata.Labels.GetValueOrDefault(Labels.Network) ?? Network;

    /// <summary>The revision or tag that injects Pods of a namespace; empty when the namespace asks for the default
    /// one.</summary>
    public string RevisionOf(string ns) => LabelsOf(ns).GetValueOrDefault(Labels.Revision, "");

    public IReadOnlyDictionary<string, string> LabelsOf(string ns) => _namespaces.GetValueOrDefault(ns)?.Metadata.Labels ?? [];

    /// <summary>Whether the namespace asks for sidecars, or gets them without asking.</summary>
    public bool Injects(string ns) => _namespaces.GetValueOrDefault(ns)?.Metadata.Labels is { } labels
        && (labels.GetValueOrDefault(Labels.Injection) is { Length: > 0 } told ? told == "enabled"
            : labels.GetValueOrDefault(Labels.Revision) is { Length: > 0 } || (_read.InjectsByDefault && !DefaultInjection.Exempt.Contains(ns)));

    /// <inheritdoc cref="ClusterInventory.LacksInjector"/>
    public bool LacksInjector => _read.LacksInjector;

    /// <inheritdoc cref="ClusterInventory.StoppedInjector"/>
    public ControlPlaneDeployment? StoppedInjector => _read.StoppedInjector;

    /// <summary>Whether a namespace is not for applications.</summary>
    public bool IsOfSystem(string ns) => ns == SystemNamespace || MeshSnapshot.IsSystem(_read, ns);

    /// <summary>The revision that a namespace asks for and no webhook of the cluster serves; null when one does, or no webhook is known.</summary>
    /// <param name="served">The revisions and tags that are served.</param>
    public string? UnservedRevision(string ns, out IReadOnlyCollection<string> served)
    {
        served = RevisionLabels.Served(_read);
        return !LabelsOf(ns).ContainsKey(Labels.Injection) && RevisionOf(ns) is { Length: > 0 } asked && served.Count > 0 && !served.Contains(asked)
            ? asked : null;
    }

    /// <summary>The webhook that would inject a Pod of a namespace if it did not demand more; null when one does inject it, or none is known.</summary>
    public UnmetInjection? UnmetBy(Pod pod) => InjectionSelectors.Unmet(
        [.. _read.Objects("MutatingWebhookConfiguration").SelectMany(InjectionSelectors.Read)], pod.Metadata.Namespace, LabelsOf(pod.Metadata.Namespace),
        pod.Metadata.Labels);

    /// <summary>Whether others call its services by names in the zone <c>global</c>, through a gateway that routes such
    /// calls. Nobody watches such a cluster.</summary>
    public bool IsJoinedByNames => _read.IsJoinedByNames;

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

    /// <summary>The name that its own control plane uses; otherwise the name in a remote injector; otherwise the name given
    /// to its proxies.</summary>
    private string FindId()
    {
        var said = ControlPlanes.Where(plane => plane.Namespace == SystemNamespace).Select(plane => plane.Cluster)
            .Concat(_read.Injectors.Select(injector => injector.Cluster)).FirstOrDefault(id => !string.IsNullOrEmpty(id));
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
}

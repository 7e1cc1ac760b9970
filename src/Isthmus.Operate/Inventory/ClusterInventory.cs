using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Core.Json;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Graph.Derive;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Certificates;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Config.GatewayApi;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;
using Ingress = Isthmus.Mesh.Model.Ingress;

namespace Isthmus.Operate.Inventory;

/// <summary>The objects of one cluster, each kind in its form. What commands judge by is read from objects nowhere else. It never changes; a kind is read when
/// somebody first asks for it.</summary>
public sealed class ClusterInventory
{
    /// <summary>The ConfigMap with the settings of the injector of the revision without a name.</summary>
    internal const string InjectorMap = "istio-sidecar-injector";

    /// <summary>The kinds of <see cref="ApiRoutes"/>.</summary>
    internal static readonly IReadOnlyList<KindDescriptor> ApiRouteKinds =
        [.. MeshApi.All.Where(kind => kind.Group == MeshApi.HttpRoute.Group && kind.Kind.EndsWith("Route", StringComparison.Ordinal))];

    private static readonly ILookup<string, JsonObject> Nothing = Array.Empty<JsonObject>().ToLookup(KindOf, StringComparer.Ordinal);

    private readonly List<object> _istio = [], _drafts = [];
    private readonly List<Problem> _complaints = [];
    private readonly Dictionary<string, JsonObject> _objects = new(StringComparer.Ordinal);
    private ILookup<string, JsonObject> _kinds = Nothing;
    private IReadOnlySet<string> _unread = new HashSet<string>();
    private bool? _injectsByDefault;

    private ClusterInventory(string context) => Context = context;

    /// <summary>The kubeconfig context of the cluster.</summary>
    public string Context { get; }

    /// <summary>Why it could not be read; empty when it could. With an error, everything else is empty.</summary>
    public string Error { get; private init; } = "";

    /// <summary>What helps a user whom its API server refuses; null when it does not answer, or fails.</summary>
    public string? AccessRemedy { get; private init; }

    /// <summary>Where its control plane is, or would be.</summary>
    public string SystemNamespace { get; private init; } = WellKnown.SystemNamespace;

    /// <summary>Whose objects are for the whole mesh, as MeshConfig says.</summary>
    public string RootNamespace => Mesh?.RootNamespace ?? SystemNamespace;

    public IReadOnlyList<Service> Services { get => field ??= All<Service>(MeshApi.Service); private init; }

    public IReadOnlyList<Pod> Pods => field ??= All<Pod>(MeshApi.Pod);

    public IReadOnlyList<Node> Nodes => field ??= All<Node>(MeshApi.Node);

    public IReadOnlyList<Namespace> Namespaces => field ??= All<Namespace>(MeshApi.Namespace);

    public IReadOnlyList<EndpointSlice> Slices => field ??= All<EndpointSlice>(MeshApi.EndpointSlice);

    public IReadOnlyList<Deployment> Deployments => field ??= All<Deployment>(MeshApi.Deployment);

    /// <summary>Deployments of control planes, including those that run here for another cluster.</summary>
    internal IReadOnlyList<ControlPlaneDeployment> ControlPlanes => field ??=
        [.. Deployments.Where(ControlPlaneDeployment.IsOne).Select(ControlPlaneDeployment.Read)];

    /// <summary>What Deployments, StatefulSets and DaemonSets make Pods from.</summary>
    public IReadOnlyList<WorkloadTemplate> Templates => field ??=
        [.. WorkloadTemplate.Kinds.SelectMany(kind => Objects(kind.Name)).Select(WorkloadTemplate.Of)];

    internal IReadOnlyList<NetworkPolicy> NetworkPolicies => field ??= [.. Objects(MeshApi.NetworkPolicy.Name).Select(NetworkPolicy.Read)];

    internal IReadOnlyList<Ingress> Ingresses => field ??= [.. Objects(MeshApi.Ingress.Name).Select(value =>
        IngressFacts.Of(Context, value.Deserialize(KubeJson.Of<Kubernetes.Objects.Ingress>())!))];

    /// <summary>The webhooks that inject Pods here.</summary>
    internal IReadOnlyList<InjectorWebhook> Injectors => field ??= [.. Objects(MeshApi.MutatingWebhookConfiguration.Name).Where(InjectorWebhook.IsInjector)
        .SelectMany(InjectorWebhook.Read)];

    /// <summary>Whether no webhook injects Pods, although an injector has its settings here, or a control plane that is gone has left the root of its
    /// CA.</summary>
    public bool LacksInjector => Knows(MeshApi.MutatingWebhookConfiguration.Name)
        && !Objects(MeshApi.MutatingWebhookConfiguration.Name).Any(InjectorWebhook.Injects)
        && (Objects(MeshApi.ConfigMap.Name).Any(map => map["metadata"]?["name"]?.ToString() is { } name
                && (name == InjectorMap || name.StartsWith($"{InjectorMap}-", StringComparison.Ordinal)))
            || (Knows(MeshApi.Deployment.Name) && ControlPlanes.Count == 0
                && (Trust.InForce.IsKnown || Find($"{MeshApi.ConfigMap.Name} {SystemNamespace}/{WellKnown.RootCertConfigMap}") is not null)));

    /// <summary>The control plane behind a webhook that injects Pods here, where none of its namespace runs: no Pod is injected then, and where a webhook
    /// matches, none can be made. Null where one runs, or that is not known.</summary>
    internal ControlPlaneDeployment? StoppedInjector =>
        Objects(MeshApi.MutatingWebhookConfiguration.Name).Where(InjectorWebhook.Injects).SelectMany(InjectorWebhook.Read)
            .Select(injector => ControlPlanes.Where(plane => plane.Namespace == injector.Namespace).ToList())
            .FirstOrDefault(planes => planes.Count > 0 && planes.TrueForAll(plane => plane.IsStopped))?[0];

    /// <summary>The Gateways of the Gateway API.</summary>
    internal IReadOnlyList<StoredGateway> ApiGateways => field ??= [.. Objects(MeshApi.ApiGateway.Name).Select(value => StoredGateway.Read(Context, value))];

    /// <summary>The routes of the Gateway API.</summary>
    internal IReadOnlyList<ApiRoute> ApiRoutes => field ??= [.. ApiRouteKinds.SelectMany(kind => Objects(kind.Name),
        (kind, value) => ApiRouteReader.Read(kind, Context, value))];

    public IReadOnlyList<BackendTlsPolicy> BackendTlsPolicies => field ??= [.. Objects(MeshApi.BackendTlsPolicy.Name).Select(value =>
        BackendTlsPolicyReader.Read(Context, value))];

    public ValueList<ReferenceGrant> ReferenceGrants => Objects(MeshApi.ReferenceGrant.Name).Select(value => ReferenceGrantReader.Read(Context, value))
        .ToValueList();

    /// <summary>The Corefile of the cluster's DNS; empty when there is none.</summary>
    public string Corefile => Find("ConfigMap kube-system/coredns")?["data"]?["Corefile"]?.ToString() ?? "";

    /// <summary>The settings of its control planes, each revision's own.</summary>
    public IReadOnlyList<MeshMap> MeshMaps => field ??= [.. Objects(MeshApi.ConfigMap.Name).Select(MeshMap.Read).OfType<MeshMap>()];

    /// <summary>The MeshConfig of its control plane, of the default revision if there is one; null when none was read.</summary>
    public MeshConfig? Mesh => MainMap?.Settings.Mesh;

    /// <summary>The object with that MeshConfig, which an operator can edit.</summary>
    public string MeshConfigName => MainMap is null ? $"the MeshConfig of {Context}" : $"{MeshMapName} in {Context}";

    /// <summary>The same without its cluster.</summary>
    internal string MeshMapName => MainMap is { } map ? $"ConfigMap {map.Namespace}/{map.Name}" : "the MeshConfig";

    /// <summary>The networks of that MeshConfig.</summary>
    public MeshNetworks Networks => MainMap?.Settings.Networks ?? MeshNetworks.None;

    /// <summary>Whether its sidecars answer the DNS queries of applications, unless a Pod or a ProxyConfig says otherwise. Only then do applications
    /// learn addresses that control planes allocate. Null when no MeshConfig was read.</summary>
    public bool? CapturesDns => MainMap?.CapturesDns;

    /// <summary>Whether its injector takes Pods of namespaces that do not request it (<c>enableNamespacesByDefault</c>).</summary>
    public bool InjectsByDefault => _injectsByDefault ??= Objects(MeshApi.MutatingWebhookConfiguration.Name).Any(InjectorWebhook.InjectsByDefault)
        || Objects(MeshApi.ConfigMap.Name).Any(IsSet);

    /// <summary>The external authorizers of its control planes, by name; null when no MeshConfig was read.</summary>
    public ValueMap<ExternalAuthorizer>? Authorizers => field ??= OfMaps(map => map.Settings.Mesh.Authorizers)?.DistinctBy(item => item.Key).ToValueMap();

    /// <summary>The collectors of traces of its control planes, by name; null when no MeshConfig was read.</summary>
    public ValueMap<Tracer>? Tracers => field ??= OfMaps(map => map.Settings.Mesh.Tracers)?.DistinctBy(item => item.Key).ToValueMap();

    /// <summary>The access logs of its control planes, by name; null when no MeshConfig was read.</summary>
    public ValueMap<AccessLogger>? Loggers => field ??= OfMaps(map => map.Settings.Mesh.Loggers)?.DistinctBy(item => item.Key).ToValueMap();

    /// <summary>The providers of metrics in MeshConfig; null: no MeshConfig was read.</summary>
    public ValueList<string>? Prometheus => field ??= OfMaps(map => map.Settings.Mesh.Prometheus)?.Distinct().ToValueList();

    /// <summary>The names of providers of Lightstep, which nothing sends spans to.</summary>
    public ValueList<string> Lightsteps => OfMaps(map => map.Lightsteps)?.Distinct().ToValueList() ?? [];

    private MeshMap? MainMap => MeshMap.Of(MeshMaps, "") is { IsReadable: true } map ? map : null;

    /// <summary>Where its proxies' trust comes from.</summary>
    public TrustFacts Trust { get; private set; } = TrustFacts.None;

    /// <summary>What is wrong with the Secrets that Gateways name, by NAMESPACE/NAME, and <c>with CA</c> for those that hold the CA of clients; empty when
    /// nothing is. Those that could not be read are
    /// missing here.</summary>
    public ValueMap<string> Credentials { get; private set; }

    /// <summary>What Secrets hold that objects of the Gateway API name, by NAMESPACE/NAME. Those that could not be read are missing here.</summary>
    public ValueMap<KnownSecret> Secrets { get; private set; }

    /// <summary>The clusters of remote secrets in files; those of API servers are not listed.</summary>
    public ValueList<string> Registries { get; private set; }

    /// <summary>The remote secrets that control planes here read. For users who may not read Secrets, what control planes say of them.</summary>
    public ValueList<RemoteSecretFacts> RemoteSecrets { get; private set; }

    /// <summary>Whether nobody tells which clusters the control planes here read.</summary>
    public bool HidesRemoteSecrets { get; private set; }

    /// <summary>The remote secrets that control planes here do not read for lack of a label.</summary>
    public ValueList<UnlabelledSecret> UnlabelledSecrets { get; private set; }

    /// <summary>Those that have the label, and are not in the namespace of the control planes.</summary>
    public ValueList<MisplacedSecret> MisplacedSecrets { get; private set; }

    /// <summary>Kinds that the cluster does not define, as far as they were asked for; empty for files.</summary>
    public ValueList<string> Undefined { get; private set; }

    /// <summary>Why Pods of StatefulSets and DaemonSets are refused, as events say, by <c>Kind namespace/name</c>; also empty for users who may not read
    /// them.</summary>
    public ValueMap<string> Refusals { get; private set; }

    /// <summary>The address of its API server; empty for files.</summary>
    public string Server { get; private set; } = "";

    /// <summary>What its control planes know of running proxies; empty when nobody asked them.</summary>
    public ValueList<Problem> Reports { get; private set; }

    /// <summary>The certificates that it lives by, as far as they may be read.</summary>
    public ValueList<MeshCertificate> Certificates { get; private set; }

    /// <summary>When they were read; null when nobody read them.</summary>
    public DateTimeOffset? CertificatesAt { get; private set; }

    /// <summary>The readable Istio objects of one kind.</summary>
    public IEnumerable<T> Istio<T>() => _istio.OfType<T>();

    /// <summary>The same with those that have errors, as far as they could be read. They have no effect, but what they refer to can be checked as
    /// well.</summary>
    public IEnumerable<T> Written<T>() => Istio<T>().Concat(_drafts.OfType<T>());

    /// <summary>Whether others call its services only by names in the zone <c>global</c>.</summary>
    public bool IsJoinedByNames => Istio<Gateway>().Any(gateway => gateway.PassesGlobalNames);

    /// <summary>What is wrong with each Istio object, and with each MeshConfig, on its own.</summary>
    public IEnumerable<Problem> Complaints => _complaints.Concat(MeshMaps.SelectMany(map => map.Problems));

    /// <summary>The controller of an IngressClass; null when there is no such class.</summary>
    internal string? ControllerOf(string ingressClass) => Find($"{MeshApi.IngressClass.Name} {ingressClass}")?["spec"]?["controller"]?.ToString();

    /// <summary>The IngressClasses of a controller.</summary>
    internal IReadOnlyList<string> IngressClasses(string controller) => [.. Objects(MeshApi.IngressClass.Name)
        .Where(one => one["spec"]?["controller"]?.ToString() == controller).Select(one => one["metadata"]?["name"]?.ToString() ?? "")
        .Order(StringComparer.Ordinal)];

    public Service? Service(string ns, string name) => Services.FirstOrDefault(service => service.Metadata.Name == name && service.Metadata.Namespace == ns);

    /// <summary>Every object of a kind as it was read.</summary>
    public IEnumerable<JsonObject> Objects(string kind) => _kinds[kind];

    public IEnumerable<JsonObject> AllObjects => _objects.Values;

    /// <summary>The object as it was read, by <c>Kind namespace/name</c>; null when there is none.</summary>
    public JsonObject? Find(string name) => _objects.GetValueOrDefault(name);

    /// <summary>The kinds whose objects nobody may read.</summary>
    public IEnumerable<string> Unread => _unread.Order(StringComparer.Ordinal);

    /// <summary>Whether the objects of a kind were read. Of those that were not, nothing can be said to be missing.</summary>
    public bool Knows(string kind) => !_unread.Contains(kind);

    /// <param name="status">With which its API server answered; 0: it did not.</param>
    public static ClusterInventory Unreadable(string context, string error, int status = 0) =>
        new(context) { Error = error, AccessRemedy = AccessRefusal.Remedy(context, status, error) };

    /// <param name="objects">Objects of the kinds that commands look at; others are ignored. Of two with the same name, the later counts.</param>
    /// <param name="unread">Kinds whose objects could not be read.</param>
    public static ClusterInventory From(string context, IEnumerable<JsonObject> objects, TrustFacts? trust = null,
        string systemNamespace = WellKnown.SystemNamespace, IReadOnlySet<string>? unread = null)
    {
        var cluster = new ClusterInventory(context)
        {
            Trust = trust ?? TrustFacts.None, SystemNamespace = systemNamespace, _unread = unread ?? new HashSet<string>()
        };
        foreach (var value in objects.Where(IsRead)) cluster._objects[NameOf(value)] = value;
        cluster._kinds = cluster._objects.Values.ToLookup(KindOf, StringComparer.Ordinal);
        foreach (var value in cluster._objects.Values) cluster.ReadIstio(value);
        return cluster;
    }

    /// <summary>The same cluster with what was read about the Secrets that its Gateways name.</summary>
    public ClusterInventory WithCredentials(ValueMap<string> credentials)
    {
        var next = (ClusterInventory)MemberwiseClone();
        next.Credentials = credentials;
        return next;
    }

    /// <summary>The same cluster with what was read of Secrets that objects of the Gateway API name.</summary>
    public ClusterInventory WithSecrets(ValueMap<KnownSecret> secrets)
    {
        var next = (ClusterInventory)MemberwiseClone();
        next.Secrets = secrets;
        return next;
    }

    /// <summary>The same cluster with the clusters of remote secrets.</summary>
    public ClusterInventory WithRegistries(ValueList<string> registries)
    {
        var next = (ClusterInventory)MemberwiseClone();
        next.Registries = registries;
        return next;
    }

    /// <summary>The same cluster with its remote secrets.</summary>
    /// <param name="server">The address of its own API server.</param>
    public ClusterInventory WithRemoteSecrets(ValueList<RemoteSecretFacts> secrets, string server)
    {
        var next = (ClusterInventory)MemberwiseClone();
        (next.RemoteSecrets, next.Server) = (secrets, server);
        return next;
    }

    /// <summary>The same cluster for a user who may not read its remote secrets, and does not learn of them otherwise.</summary>
    public ClusterInventory WithoutRemoteSecrets(string server)
    {
        var next = WithRemoteSecrets([], server);
        next.HidesRemoteSecrets = true;
        return next;
    }

    /// <summary>The same cluster with the remote secrets that nobody reads.</summary>
    public ClusterInventory WithUnlabelledSecrets(ValueList<UnlabelledSecret> secrets, ValueList<MisplacedSecret> misplaced = default)
    {
        var next = (ClusterInventory)MemberwiseClone();
        (next.UnlabelledSecrets, next.MisplacedSecrets) = (secrets, misplaced);
        return next;
    }

    /// <summary>The same cluster with the kinds that it does not define.</summary>
    public ClusterInventory WithUndefined(ValueList<string> kinds)
    {
        var next = (ClusterInventory)MemberwiseClone();
        next.Undefined = kinds;
        return next;
    }

    /// <summary>The same cluster with what events say of refused Pods.</summary>
    public ClusterInventory WithRefusals(ValueMap<string> refusals)
    {
        var next = (ClusterInventory)MemberwiseClone();
        next.Refusals = refusals;
        return next;
    }

    /// <summary>The same cluster with what its control planes report.</summary>
    public ClusterInventory WithReports(ValueList<Problem> reports)
    {
        var next = (ClusterInventory)MemberwiseClone();
        next.Reports = reports;
        return next;
    }

    /// <summary>The same cluster with its certificates.</summary>
    public ClusterInventory WithCertificates(ValueList<MeshCertificate> certificates, DateTimeOffset at)
    {
        var next = (ClusterInventory)MemberwiseClone();
        (next.Certificates, next.CertificatesAt) = (certificates, at);
        return next;
    }

    private ClusterInventory WithFactsOf(ClusterInventory other)
    {
        var next = WithCredentials(other.Credentials).WithSecrets(other.Secrets).WithRegistries(other.Registries).WithReports(other.Reports)
            .WithRemoteSecrets(other.RemoteSecrets, other.Server).WithUnlabelledSecrets(other.UnlabelledSecrets, other.MisplacedSecrets)
            .WithRefusals(other.Refusals).WithUndefined(other.Undefined);
        next.HidesRemoteSecrets = other.HidesRemoteSecrets;
        return other.CertificatesAt is { } at ? next.WithCertificates(other.Certificates, at) : next;
    }

    /// <summary>A cluster whose objects are already parsed.</summary>
    /// <param name="istio">Records of Istio objects, as <see cref="IstioConfig"/> reads them.</param>
    public static ClusterInventory Of(string context, IEnumerable<Service> services, IEnumerable<object> istio)
    {
        var cluster = new ClusterInventory(context) { Services = [.. services] };
        cluster._istio.AddRange(istio);
        return cluster;
    }

    /// <summary>A copy with more objects, which replace those of the same names.</summary>
    public ClusterInventory With(params IEnumerable<JsonObject> values) =>
        From(Context, _objects.Values.Concat(values), Trust, SystemNamespace, _unread).WithFactsOf(this);

    /// <summary>A copy whose control planes all have this MeshConfig.</summary>
    public ClusterInventory WithMesh(string text)
    {
        var settings = new JsonObject
        {
            ["apiVersion"] = "v1", ["kind"] = "ConfigMap", ["metadata"] = new JsonObject { ["name"] = "istio", ["namespace"] = SystemNamespace },
            ["data"] = new JsonObject { ["mesh"] = text },
        };
        return From(Context, _objects.Values.Where(value => value["kind"]?.ToString() != "ConfigMap" || value["data"]?["mesh"] is null).Append(settings), Trust,
            SystemNamespace, _unread)
            .WithFactsOf(this);
    }

    /// <summary>How findings name an object: <c>Kind namespace/name</c>, or <c>Kind name</c> at cluster scope.</summary>
    public static string NameOf(JsonObject value)
    {
        var ns = value["metadata"]?["namespace"]?.ToString() ?? "";
        return $"{KindOf(value)} {(ns.Length > 0 ? $"{ns}/" : "")}{value["metadata"]?["name"]}";
    }

    /// <summary>How findings name the kind of an object: kinds of several API groups may have the same name.</summary>
    public static string KindOf(JsonObject value) => Described(value)?.Name ?? value["kind"]?.ToString() ?? "";

    private static KindDescriptor? Described(JsonObject value) => MeshApi.Find(value["apiVersion"]?.ToString() ?? "", value["kind"]?.ToString() ?? "");

    private static bool IsRead(JsonObject value) =>
        Described(value)?.Has(KindUse.Analysis | KindUse.AnalysisIfAllowed | KindUse.AnalysisOfSome | KindUse.Trace) == true;

    private void ReadIstio(JsonObject value)
    {
        if (Described(value) is not { IsIstio: true }) return;
        var read = IstioConfig.Read(value, Context);
        if (read.Value is not null) _istio.Add(read.Value);
        else if (read.Draft is not null) _drafts.Add(read.Draft);
        _complaints.AddRange(read.Problems);
    }

    private IReadOnlyList<T> All<T>(KindDescriptor kind) => [.. Objects(kind.Name).Select(value => value.Deserialize(KubeJson.Of<T>())!)];

    /// <summary>What the settings of all control planes have, those that were read last first; null when none were read.</summary>
    private IEnumerable<T>? OfMaps<T>(Func<MeshMap, IEnumerable<T>> of) =>
        MainMap is null ? null : MeshMaps.Where(map => map.IsReadable).Reverse().SelectMany(of);

    /// <summary>Whether the values of an injector say that namespaces are injected by default.</summary>
    private static bool IsSet(JsonObject map)
    {
        if (map["metadata"]?["name"]?.ToString() != InjectorMap || map["data"]?["mesh"] is not null) return false;
        try
        {
            return StrictJson.Parse(map["data"]?["values"]?.ToString() ?? "") is JsonObject given && given["sidecarInjectorWebhook"] is JsonObject webhook
                && webhook["enableNamespacesByDefault"]?.ToString() == "true";
        }
        catch (JsonException)
        {
            return false; // Its control plane reports it.
        }
    }
}

using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Core.Json;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;
using Isthmus.Operate.Certificates;

namespace Isthmus.Operate.Inventory;

/// <summary>The objects of one cluster that the analysis reads.</summary>
public sealed class ClusterInventory
{
    /// <summary>The ConfigMap with the settings of the injector of the revision without a name.</summary>
    internal const string InjectorMap = "istio-sidecar-injector";

    private readonly List<Service> _services = [];
    private readonly List<Pod> _pods = [];
    private readonly List<Node> _nodes = [];
    private readonly List<Namespace> _namespaces = [];
    private readonly List<WorkloadTemplate> _templates = [];
    private readonly List<object> _istio = [], _drafts = [];
    private readonly List<Problem> _complaints = [];
    private readonly Dictionary<string, JsonObject> _objects = new(StringComparer.Ordinal);
    private IReadOnlySet<string> _unread = new HashSet<string>();

    private ClusterInventory(string context) => Context = context;

    /// <summary>The kubeconfig context of the cluster.</summary>
    public string Context { get; }

    /// <summary>Why it could not be read; empty when it could. With an error, everything else is empty.</summary>
    public string Error { get; private init; } = "";

    public string RootNamespace { get; private init; } = WellKnown.SystemNamespace;

    public IReadOnlyList<Service> Services => _services;

    public IReadOnlyList<Pod> Pods => _pods;

    public IReadOnlyList<Node> Nodes => _nodes;

    public IReadOnlyList<Namespace> Namespaces => _namespaces;

    /// <summary>What Deployments, StatefulSets and DaemonSets make Pods from.</summary>
    public IReadOnlyList<WorkloadTemplate> Templates => _templates;

    /// <summary>The Corefile of the cluster's DNS; empty when there is none.</summary>
    public string Corefile { get; private set; } = "";

    /// <summary>The MeshConfig of its control plane, of the default revision if there is one; null when none was read.</summary>
    public MeshConfig? Mesh { get; private set; }

    /// <summary>The networks of that MeshConfig.</summary>
    public MeshNetworks Networks { get; private set; } = MeshNetworks.None;

    /// <summary>Whether its sidecars answer the DNS queries of applications, unless a Pod or a ProxyConfig says otherwise. Only then do applications
    /// learn addresses that control planes allocate. Null when no MeshConfig was read.</summary>
    public bool? CapturesDns { get; private set; }

    /// <summary>Whether its injector takes Pods of namespaces that do not request it (<c>enableNamespacesByDefault</c>).</summary>
    public bool InjectsByDefault { get; private set; }

    /// <summary>The external authorizers of its control planes, by name; null when no MeshConfig was read.</summary>
    public ValueMap<ExternalAuthorizer>? Authorizers { get; private set; }

    /// <summary>The collectors of traces of its control planes, by name; null when no MeshConfig was read.</summary>
    public ValueMap<Tracer>? Tracers { get; private set; }

    /// <summary>The access logs of its control planes, by name; null when no MeshConfig was read.</summary>
    public ValueMap<AccessLogger>? Loggers { get; private set; }

    /// <summary>The providers of metrics in MeshConfig; null: no MeshConfig was read.</summary>
    public ValueList<string>? Prometheus { get; private set; }

    /// <summary>The names of providers of Lightstep, which nothing sends spans to.</summary>
    public ValueList<string> Lightsteps { get; private set; }

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

    /// <summary>The remote secrets that control planes here read; also empty for users who may not read Secrets.</summary>
    public ValueList<RemoteSecretFacts> RemoteSecrets { get; private set; }

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

    /// <summary>What is wrong with each Istio object on its own.</summary>
    public IEnumerable<Problem> Complaints => _complaints;

    public Service? Service(string ns, string name) => _services.FirstOrDefault(service => service.Metadata.Name == name && service.Metadata.Namespace == ns);

    /// <summary>Every object of a kind as it was read.</summary>
    public IEnumerable<JsonObject> Objects(string kind) => _objects.Values.Where(value => KindOf(value) == kind);

    public IEnumerable<JsonObject> AllObjects => _objects.Values;

    /// <summary>The object as it was read, by <c>Kind namespace/name</c>; null when there is none.</summary>
    public JsonObject? Find(string name) => _objects.GetValueOrDefault(name);

    /// <summary>The kinds whose objects nobody may read.</summary>
    public IEnumerable<string> Unread => _unread.Order(StringComparer.Ordinal);

    /// <summary>Whether the objects of a kind were read. Of those that were not, nothing can be said to be missing.</summary>
    public bool Knows(string kind) => !_unread.Contains(kind);

    public static ClusterInventory Unreadable(string context, string error) => new(context) { Error = error };

    /// <param name="objects">Objects of the kinds that the analysis reads; others are ignored. Of two with the same name, the later counts.</param>
    /// <param name="unread">Kinds whose objects could not be read.</param>
    public static ClusterInventory From(string context, IEnumerable<JsonObject> objects, TrustFacts? trust = null,
        string rootNamespace = WellKnown.SystemNamespace, IReadOnlySet<string>? unread = null)
    {
        var cluster = new ClusterInventory(context)
        {
            Trust = trust ?? TrustFacts.None, RootNamespace = rootNamespace, _unread = unread ?? new HashSet<string>()
        };
        foreach (var value in objects.Where(IsRead)) cluster._objects[NameOf(value)] = value;
        foreach (var value in cluster._objects.Values) cluster.Add(value);
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
            .WithRemoteSecrets(other.RemoteSecrets, other.Server);
        return other.CertificatesAt is { } at ? next.WithCertificates(other.Certificates, at) : next;
    }

    /// <summary>A cluster whose objects are already parsed.</summary>
    /// <param name="istio">Records of Istio objects, as <see cref="IstioConfig"/> reads them.</param>
    public static ClusterInventory Of(string context, IEnumerable<Service> services, IEnumerable<object> istio)
    {
        var cluster = new ClusterInventory(context);
        cluster._services.AddRange(services);
        cluster._istio.AddRange(istio);
        return cluster;
    }

    /// <summary>A copy with more objects, which replace those of the same names.</summary>
    public ClusterInventory With(params IEnumerable<JsonObject> values) =>
        From(Context, _objects.Values.Concat(values), Trust, RootNamespace, _unread).WithFactsOf(this);

    /// <summary>A copy whose control planes all have this MeshConfig.</summary>
    public ClusterInventory WithMesh(string text)
    {
        var settings = new JsonObject
        {
            ["apiVersion"] = "v1", ["kind"] = "ConfigMap", ["metadata"] = new JsonObject { ["name"] = "istio", ["namespace"] = RootNamespace },
            ["data"] = new JsonObject { ["mesh"] = text },
        };
        return From(Context, _objects.Values.Where(value => value["kind"]?.ToString() != "ConfigMap" || value["data"]?["mesh"] is null).Append(settings), Trust,
            RootNamespace, _unread)
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

    private static bool IsRead(JsonObject value) => Described(value)?.Has(KindUse.Analysis | KindUse.AnalysisIfAllowed | KindUse.AnalysisOfSome) == true;

    private void Add(JsonObject value)
    {
        switch (KindOf(value))
        {
            case "Service": _services.Add(Read<Service>(value)); break;
            case "Pod": _pods.Add(Read<Pod>(value)); break;
            case "Namespace": _namespaces.Add(Read<Namespace>(value)); break;
            case "Node": _nodes.Add(Read<Node>(value)); break;
            case "Deployment" or "StatefulSet" or "DaemonSet": _templates.Add(WorkloadTemplate.Of(value)); break;
            case "ConfigMap":
                if (value["metadata"]?["namespace"]?.ToString() == "kube-system" && value["metadata"]?["name"]?.ToString() == "coredns")
                    Corefile = value["data"]?["Corefile"]?.ToString() ?? "";
                else if (value["data"]?["mesh"] is JsonValue mesh)
                    AddSettings($"ConfigMap {value["metadata"]?["namespace"]}/{value["metadata"]?["name"]}", mesh.ToString(),
                        value["data"]?["meshNetworks"]?.ToString() ?? "");
                else if (value["metadata"]?["name"]?.ToString() == InjectorMap) InjectsByDefault |= IsSet(value["data"]?["values"]?.ToString() ?? "");
                break;
            case "MutatingWebhookConfiguration": InjectsByDefault |= (value["webhooks"] as JsonArray ?? [])
                .Any(webhook => webhook?["name"]?.ToString() == DefaultInjection.Webhook); break;
            case not null when Described(value) is { IsIstio: true }:
                var read = IstioConfig.Read(value, Context);
                if (read.Value is not null) _istio.Add(read.Value);
                else if (read.Draft is not null) _drafts.Add(read.Draft);
                _complaints.AddRange(read.Problems);
                break;
            default: break;
        }
    }

    // Control planes with revisions have MeshConfigs of their own.
    private void AddSettings(string map, string mesh, string networks)
    {
        try
        {
            var written = YamlText.Parse(mesh, "data[mesh]");
            var (config, problems) = MeshConfigReader.ReadMesh(written, $"{map}, key mesh");
            var (known, networkProblems) = MeshConfigReader.ReadNetworks(YamlText.Parse(networks, "data[meshNetworks]"), $"{map}, key meshNetworks");
            if (Mesh is null || map.EndsWith("/istio", StringComparison.Ordinal))
            {
                (Mesh, Networks) = (config, known);
                CapturesDns = bool.TryParse(written?["defaultConfig"]?["proxyMetadata"]?["ISTIO_META_DNS_CAPTURE"]?.ToString(), out var captures) && captures;
            }
            Authorizers = config.Authorizers.Concat(Authorizers ?? ValueMap<ExternalAuthorizer>.Empty).DistinctBy(item => item.Key).ToValueMap();
            Tracers = config.Tracers.Concat(Tracers ?? ValueMap<Tracer>.Empty).DistinctBy(item => item.Key).ToValueMap();
            Prometheus = config.Prometheus.Union(Prometheus ?? []).ToValueList();
            Loggers = config.Loggers.Concat(Loggers ?? ValueMap<AccessLogger>.Empty).DistinctBy(item => item.Key).ToValueMap();
            Lightsteps = (written?["extensionProviders"] as JsonArray ?? []).Where(provider => provider?["lightstep"] is not null)
                .Select(provider => provider!["name"]?.ToString() ?? "").Union(Lightsteps).ToValueList();
            _complaints.AddRange([.. problems, .. networkProblems]);
        }
        catch (ProblemException e)
        {
            _complaints.Add(e.Problem with { Code = "IST0106", Object = map });
        }
    }

    /// <summary>Whether the values of an injector say that namespaces are injected by default.</summary>
    private static bool IsSet(string values)
    {
        try
        {
            return StrictJson.Parse(values) is JsonObject given && given["sidecarInjectorWebhook"] is JsonObject webhook
                && webhook["enableNamespacesByDefault"]?.ToString() == "true";
        }
        catch (JsonException)
        {
            return false; // Its control plane reports it.
        }
    }

    private static T Read<T>(JsonObject value) => value.Deserialize(KubeJson.Of<T>())!;
}

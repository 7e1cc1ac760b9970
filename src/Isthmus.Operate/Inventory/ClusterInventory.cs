using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Inventory;

/// <summary>The objects of one cluster that the analysis reads.</summary>
public sealed class ClusterInventory
{
    private readonly List<Service> _services = [];
    private readonly List<Pod> _pods = [];
    private readonly List<Node> _nodes = [];
    private readonly List<Namespace> _namespaces = [];
    private const string IngressClass = "istio";

    private readonly List<object> _istio = [];
    private readonly List<Problem> _complaints = [];

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

    /// <summary>The Corefile of the cluster's DNS; empty when there is none.</summary>
    public string Corefile { get; private set; } = "";

    /// <summary>The external authorizers of its control planes, by name; null when no MeshConfig was read.</summary>
    public ValueMap<ExternalAuthorizer>? Authorizers { get; private set; }

    /// <summary>The collectors of traces of its control planes, by name; null when no MeshConfig was read.</summary>
    public ValueMap<Tracer>? Tracers { get; private set; }

    /// <summary>The access logs of its control planes, by name; null when no MeshConfig was read.</summary>
    public ValueMap<AccessLogger>? Loggers { get; private set; }

    /// <summary>Where its proxies' trust comes from.</summary>
    public TrustFacts Trust { get; init; } = TrustFacts.None;

    /// <summary>What is wrong with the Secrets that Gateways name, by NAMESPACE/NAME, and <c>with CA</c> for those that hold the CA of clients; empty when nothing is. Those that could not be read are
    /// missing here.</summary>
    public ValueMap<string> Credentials { get; init; }

    /// <summary>The readable Istio objects of one kind.</summary>
    public IEnumerable<T> Istio<T>() => _istio.OfType<T>();

    /// <summary>What is wrong with each Istio object on its own.</summary>
    public IEnumerable<Problem> Complaints => _complaints;

    public Service? Service(string ns, string name) => _services.FirstOrDefault(service => service.Metadata.Name == name && service.Metadata.Namespace == ns);

    public static ClusterInventory Unreadable(string context, string error) => new(context) { Error = error };

    /// <param name="objects">Services, Pods, Nodes, Namespaces, ConfigMaps, Ingress and Istio objects; others are ignored.</param>
    public static ClusterInventory From(string context, IEnumerable<JsonObject> objects, TrustFacts? trust = null, string rootNamespace = WellKnown.SystemNamespace)
    {
        var cluster = new ClusterInventory(context) { Trust = trust ?? TrustFacts.None, RootNamespace = rootNamespace };
        foreach (var value in objects) cluster.Add(value);
        return cluster;
    }

    /// <summary>The same cluster with what was read about the Secrets that its Gateways name.</summary>
    public ClusterInventory WithCredentials(ValueMap<string> credentials)
    {
        var next = new ClusterInventory(Context) { Error = Error, RootNamespace = RootNamespace, Trust = Trust, Corefile = Corefile, Credentials = credentials, Authorizers = Authorizers, Tracers = Tracers, Loggers = Loggers };
        next._services.AddRange(_services);
        next._pods.AddRange(_pods);
        next._nodes.AddRange(_nodes);
        next._namespaces.AddRange(_namespaces);
        next._istio.AddRange(_istio);
        next._complaints.AddRange(_complaints);
        return next;
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

    /// <summary>A copy with one more object.</summary>
    public ClusterInventory With(JsonObject value)
    {
        var next = WithCredentials(Credentials);
        next.Add(value);
        return next;
    }

    private void Add(JsonObject value)
    {
        switch (value["kind"]?.ToString())
        {
            case "Service" when value["apiVersion"]?.ToString() == "v1": _services.Add(Read<Service>(value)); break;
            case "Pod": _pods.Add(Read<Pod>(value)); break;
            case "Namespace": _namespaces.Add(Read<Namespace>(value)); break;
            case "Node": _nodes.Add(Read<Node>(value)); break;
            case "ConfigMap":
                if (value["metadata"]?["namespace"]?.ToString() == "kube-system" && value["metadata"]?["name"]?.ToString() == "coredns") Corefile = value["data"]?["Corefile"]?.ToString() ?? "";
                else if (value["data"]?["mesh"] is JsonValue mesh) AddSettings($"ConfigMap {value["metadata"]?["namespace"]}/{value["metadata"]?["name"]}", mesh.ToString(), value["data"]?["meshNetworks"]?.ToString() ?? "");
                break;
            case "Ingress":
                if (value["spec"]?["ingressClassName"]?.ToString() == IngressClass || value["metadata"]?["annotations"]?["kubernetes.io/ingress.class"]?.ToString() == IngressClass)
                    _complaints.Add(new("ISM1412", $"Ingress {value["metadata"]?["namespace"]}/{value["metadata"]?["name"]}", "", "has no effect: control planes of Isthmus do not read Ingress objects", "create a Gateway and a VirtualService", Severity.Warning));
                break;
            case { } kind when IstioKind.Find(value["apiVersion"]?.ToString() ?? "", kind) is not null:
                var read = IstioConfig.Read(value, Context);
                if (read.Value is not null) _istio.Add(read.Value);
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
            var (config, problems) = MeshConfigReader.ReadMesh(YamlText.Parse(mesh, "data[mesh]"), $"{map}, key mesh");
            Authorizers = config.Authorizers.Concat(Authorizers ?? ValueMap<ExternalAuthorizer>.Empty).DistinctBy(item => item.Key).ToValueMap();
            Tracers = config.Tracers.Concat(Tracers ?? ValueMap<Tracer>.Empty).DistinctBy(item => item.Key).ToValueMap();
            Loggers = config.Loggers.Concat(Loggers ?? ValueMap<AccessLogger>.Empty).DistinctBy(item => item.Key).ToValueMap();
            _complaints.AddRange([.. problems, .. MeshConfigReader.ReadNetworks(YamlText.Parse(networks, "data[meshNetworks]"), $"{map}, key meshNetworks").Problems]);
        }
        catch (ProblemException e)
        {
            _complaints.Add(e.Problem with { Code = "IST0106", Object = map });
        }
    }

    private static T Read<T>(JsonObject value) => value.Deserialize(KubeJson.Of<T>())!;
}

using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Operate.Install.Operator;
using static Isthmus.Operate.Install.Render.ObjectLabels;
using static Isthmus.Operate.Install.Render.Rbac;

namespace Isthmus.Operate.Install.Render;

/// <summary>A gateway: its proxy comes from the injection template <c>gateway</c>, so it always fits the control plane (charts <c>gateways/*</c>).</summary>
internal sealed class GatewayObjects
{
    /// <summary>The mode of a gateway that chooses clusters by SNI, as its node metadata says it.</summary>
    internal const string RouterMode = "ISTIO_META_ROUTER_MODE", SniDnat = "sni-dnat";

    private static readonly string EastWest = Core.Names.Ports.EastWest.ToString(System.Globalization.CultureInfo.InvariantCulture);

    private readonly OperatorSpec _spec;
    private readonly JsonObject _gateway;
    private readonly bool _egress;
    private readonly string _name;
    private readonly string _namespace;

    /// <summary><c>values.gateways</c> of its kind, and over them those of its name.</summary>
    private readonly JsonObject _values;

    private readonly WorkloadSettings _settings;

    /// <summary>The labels by which its Service and other people's Gateway objects select it.</summary>
    private readonly Dictionary<string, string> _identity;

    private GatewayObjects(OperatorSpec spec, JsonObject gateway, bool egress)
    {
        (_spec, _gateway, _egress) = (spec, gateway, egress);
        _name = gateway["name"]!.ToString();
        _namespace = gateway["namespace"]?.ToString() is { Length: > 0 } own ? own : spec.Namespace;
        _values = Values(egress ? "istio-egressgateway" : "istio-ingressgateway");
        if (_name is not ("istio-egressgateway" or "istio-ingressgateway")) Overlay.Merge(_values, Values(_name));
        _settings = new(spec, _values, gateway["k8s"] as JsonObject);
        _identity = new(StringComparer.Ordinal) { ["app"] = _name, ["istio"] = egress ? "egressgateway" : "ingressgateway" };
        foreach (var (key, value) in gateway["label"] as JsonObject ?? []) _identity[key] = value?.ToString() ?? "";
    }

    private JsonObject Values(string name) => _spec.Value("gateways", name)?.DeepClone() as JsonObject ?? [];

    /// <summary>Whether other clusters call global-zone names through it.</summary>
    private bool JoinsClusters => _spec.JoinsByNames && _identity["istio"] == "ingressgateway";

    internal static IEnumerable<JsonObject> Build(OperatorSpec spec, JsonObject gateway, bool egress) => new GatewayObjects(spec, gateway, egress).Build();

    private IEnumerable<JsonObject> Build()
    {
        var account = $"{_name}-service-account";
        yield return WithPullSecrets(_spec, ServiceAccount(account, _namespace, OwnLabels()));
        yield return Role($"{_name}-sds", _namespace, OwnLabels(), Rule("core", "secrets", "get watch list"));
        yield return RoleBinding($"{_name}-sds", _namespace, OwnLabels(), account);
        yield return Service();
        var deployment = Deployment(account);
        yield return deployment;
        foreach (var scaling in _settings.Scaling(deployment)) yield return scaling;
        foreach (var policy in NetworkPolicies.Of(_spec, deployment, Reached())) yield return policy;
    }

    /// <summary>Metrics, health checks, and the ports of the Service.</summary>
    private IEnumerable<(string Protocol, JsonNode Port)> Reached() =>
        ((int[])[Core.Names.Ports.AgentStatus, Core.Names.Ports.ProxyReady, Core.Names.Ports.ProxyMetrics]).Select(port => ("TCP", (JsonNode)port))
        .Concat(Ports().Select(port => (port["protocol"]!.ToString(), port["targetPort"] ?? port["port"]!)));

    private JsonObject OwnLabels()
    {
        var labels = Make(_spec, _egress ? "EgressGateways" : "IngressGateways", _name);
        foreach (var (key, value) in _identity) labels[key] = value;
        return labels;
    }

    private JsonObject IdentityLabels() => new(_identity.Select(label => KeyValuePair.Create(label.Key, (JsonNode?)label.Value)));

    private JsonObject Service()
    {
        var given = _gateway["k8s"]?["service"] as JsonObject ?? [];
        var service = Object("v1", "Service", _name, _namespace, OwnLabels());
        if (_settings.ServiceAnnotations is { } annotations) service["metadata"]!["annotations"] = annotations;
        var body = (JsonObject)given.DeepClone();
        body["type"] ??= _values["type"]?.DeepClone() ?? (_egress ? "ClusterIP" : "LoadBalancer");
        foreach (var field in (string[])["loadBalancerIP", "loadBalancerSourceRanges", "externalTrafficPolicy", "externalIPs"])
        {
            if (body[field] is null && _values[field] is { } value && value is not JsonArray { Count: 0 } && value.ToString().Length > 0)
                body[field] = value.DeepClone();
        }
        body["selector"] ??= IdentityLabels();
        body["ports"] = new JsonArray([.. Ports().Select(port => port.DeepClone())]);
        service["spec"] = body;
        return service;
    }

    private List<JsonObject> Ports()
    {
        var ports = GivenPorts();
        if (JoinsClusters && ports.All(port => port["port"]?.ToString() != EastWest))
            ports.Add(IstiodObjects.Port("tls", Core.Names.Ports.EastWest, Core.Names.Ports.EastWest));
        return ports;
    }

    private List<JsonObject> GivenPorts()
    {
        var given = _gateway["k8s"]?["service"]?["ports"] as JsonArray ?? _spec.Value("gateways", _name, "ports") as JsonArray;
        if (given is { Count: > 0 })
        {
            return [.. given.OfType<JsonObject>().Select(port =>
            {
                var copy = (JsonObject)port.DeepClone();
                copy["protocol"] ??= "TCP";
                copy["targetPort"] ??= copy["port"]?.DeepClone();
                return copy;
            })];
        }
        List<JsonObject> ports = [IstiodObjects.Port("http2", 80, 8080), IstiodObjects.Port("https", 443, 8443)];
        if (!_egress) ports.Insert(0, IstiodObjects.Port("status-port", Core.Names.Ports.ProxyReady, Core.Names.Ports.ProxyReady));
        return ports;
    }

    private JsonObject Deployment(string account)
    {
        var k8s = _gateway["k8s"] as JsonObject;
        var deployment = Object("apps/v1", "Deployment", _name, _namespace, OwnLabels());
        var podLabels = OwnLabels();
        podLabels[Labels.Inject] = "true";
        var metadata = new JsonObject
        {
            ["labels"] = podLabels,
            ["annotations"] = new JsonObject { [Annotations.InjectTemplates] = "gateway" },
        };
        var containerPorts = new JsonArray([.. Ports().Select(port => (JsonNode)IstiodObjects.ContainerPort((int?)port["targetPort"] ?? (int)port["port"]!))]);
        var env = new JsonArray(IstiodObjects.Value("ISTIO_META_UNPRIVILEGED_POD", "true"));
        if (JoinsClusters) env.Add((JsonNode)IstiodObjects.Value(RouterMode, SniDnat));
        foreach (var (name, value) in _values["env"] as JsonObject ?? []) env.Add((JsonNode)IstiodObjects.Value(name, value?.ToString() ?? ""));
        foreach (var entry in k8s?["env"] as JsonArray ?? []) env.Add(entry?.DeepClone());
        var container = new JsonObject
        {
            ["name"] = "istio-proxy",
            ["image"] = "auto",
            ["ports"] = containerPorts,
            ["env"] = env,
            ["resources"] = _spec.Value("global", "proxy", "resources")?.DeepClone() ?? new JsonObject(),
            ["securityContext"] = new JsonObject
            {
                ["allowPrivilegeEscalation"] = false, ["privileged"] = false, ["readOnlyRootFilesystem"] = true,
                ["capabilities"] = new JsonObject { ["drop"] = Strings("ALL") },
            },
        };
        var pod = new JsonObject
        {
            ["serviceAccountName"] = account,
            ["securityContext"] = new JsonObject
            {
                ["fsGroup"] = ProxyUser.Id, ["runAsUser"] = ProxyUser.Id, ["runAsGroup"] = ProxyUser.Id, ["runAsNonRoot"] = true,
                ["seccompProfile"] = new JsonObject { ["type"] = "RuntimeDefault" },
            },
            ["containers"] = new JsonArray(container),
        };
        _settings.Apply(pod, metadata);
        if (container["imagePullPolicy"]?.ToString() is { Length: > 0 } policy) metadata["annotations"]![Annotations.PullPolicy] = policy;
        deployment["spec"] = new JsonObject
        {
            ["selector"] = new JsonObject
            {
                ["matchLabels"] = IdentityLabels(),
            },
            // Replacing a gateway must never leave the network without one.
            ["strategy"] = _settings.Strategy,
            ["template"] = new JsonObject { ["metadata"] = metadata, ["spec"] = pod },
        };
        if (_settings.Replicas is { } replicas) deployment["spec"]!["replicas"] = replicas;
        return deployment;
    }

    internal static JsonObject TokenVolume() => new()
    {
        ["name"] = "istio-token",
        ["projected"] = new JsonObject
        {
            ["sources"] = new JsonArray(new JsonObject
            {
                ["serviceAccountToken"] = new JsonObject { ["audience"] = WellKnown.TokenAudience, ["expirationSeconds"] = 43200, ["path"] = "istio-token" },
            }),
        },
    };
}

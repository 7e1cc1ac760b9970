using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using static Isthmus.Operate.Install.Render.ObjectLabels;
using static Isthmus.Operate.Install.Render.Rbac;

namespace Isthmus.Operate.Install.Render;

/// <summary>A gateway: its proxy comes from the injection template <c>gateway</c>, so it always fits the control plane (charts <c>gateways/*</c>).</summary>
internal static class GatewayObjects
{
    internal static IEnumerable<JsonObject> Build(OperatorSpec spec, JsonObject gateway, bool egress)
    {
        var name = gateway["name"]!.ToString();
        var ns = gateway["namespace"]?.ToString() is { Length: > 0 } own ? own : spec.Namespace;
        var k8s = gateway["k8s"] as JsonObject;
        var component = egress ? "EgressGateways" : "IngressGateways";
        var identity = Identity(name, gateway, egress);
        JsonObject Labelled()
        {
            var labels = Make(spec, component);
            foreach (var (key, value) in identity) labels[key] = value;
            return labels;
        }
        yield return ServiceAccount($"{name}-service-account", ns, Labelled());
        yield return Role($"{name}-sds", ns, Labelled(), Rule("core", "secrets", "get watch list"));
        yield return RoleBinding($"{name}-sds", ns, Labelled(), $"{name}-service-account");
        yield return Service(spec, gateway, name, ns, egress, identity, Labelled());
        yield return Deployment(spec, name, ns, k8s, Ports(spec, gateway, name, egress), identity, Labelled, JoinsClusters(spec, identity));
    }

    private static Dictionary<string, string> Identity(string name, JsonObject gateway, bool egress)
    {
        var identity = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["app"] = name,
            ["istio"] = egress ? "egressgateway" : "ingressgateway",
        };
        foreach (var (key, value) in gateway["label"] as JsonObject ?? []) identity[key] = value?.ToString() ?? "";
        return identity;
    }

    private static JsonObject Service(
        OperatorSpec spec, JsonObject gateway, string name, string ns, bool egress, Dictionary<string, string> identity, JsonObject labels)
    {
        var given = gateway["k8s"]?["service"] as JsonObject ?? [];
        var service = Object("v1", "Service", name, ns, labels);
        if (gateway["k8s"]?["serviceAnnotations"] is JsonObject { Count: > 0 } annotations) service["metadata"]!["annotations"] = annotations.DeepClone();
        var body = (JsonObject)given.DeepClone();
        body["type"] ??= spec.Value("gateways", egress ? "istio-egressgateway" : "istio-ingressgateway", "type")?.DeepClone() ?? (egress ? "ClusterIP" : "LoadBalancer");
        body["selector"] ??= new JsonObject(identity.Select(label => KeyValuePair.Create(label.Key, (JsonNode?)label.Value)));
        body["ports"] = new JsonArray([.. Ports(spec, gateway, name, egress).Select(port => port.DeepClone())]);
        service["spec"] = body;
        return service;
    }

    /// <summary>Whether it is the entry for calls of other clusters to names of the global zone (replicated control planes).</summary>
    private static bool JoinsClusters(OperatorSpec spec, Dictionary<string, string> identity) =>
        ReplicatedObjects.GatewaysEnabled(spec) && identity["istio"] == "ingressgateway";

    private static List<JsonObject> Ports(OperatorSpec spec, JsonObject gateway, string name, bool egress)
    {
        var ports = GivenPorts(spec, gateway, name, egress);
        if (JoinsClusters(spec, Identity(name, gateway, egress)) && ports.All(port => port["port"]?.ToString() != EastWest))
            ports.Add(IstiodObjects.Port("tls", Core.Names.Ports.EastWest, Core.Names.Ports.EastWest));
        return ports;
    }

    private static readonly string EastWest = Core.Names.Ports.EastWest.ToString(System.Globalization.CultureInfo.InvariantCulture);

    private static List<JsonObject> GivenPorts(OperatorSpec spec, JsonObject gateway, string name, bool egress)
    {
        var given = gateway["k8s"]?["service"]?["ports"] as JsonArray ?? spec.Value("gateways", name, "ports") as JsonArray;
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
        if (!egress) ports.Insert(0, IstiodObjects.Port("status-port", Core.Names.Ports.ProxyReady, Core.Names.Ports.ProxyReady));
        return ports;
    }

    private static JsonObject Deployment(
        OperatorSpec spec, string name, string ns, JsonObject? k8s, List<JsonObject> ports, Dictionary<string, string> identity, Func<JsonObject> labels, bool joinsClusters)
    {
        var deployment = Object("apps/v1", "Deployment", name, ns, labels());
        var podLabels = labels();
        podLabels[Labels.Inject] = "true";
        var metadata = new JsonObject
        {
            ["labels"] = podLabels,
            ["annotations"] = new JsonObject { [Annotations.InjectTemplates] = "gateway" },
        };
        var containerPorts = new JsonArray([.. ports.Select(port => (JsonNode)IstiodObjects.ContainerPort((int?)port["targetPort"] ?? (int)port["port"]!))]);
        var env = new JsonArray(IstiodObjects.Value("ISTIO_META_UNPRIVILEGED_POD", "true"));
        if (joinsClusters) env.Add((JsonNode)IstiodObjects.Value(ReplicatedObjects.RouterMode, ReplicatedObjects.SniDnat));
        foreach (var entry in k8s?["env"] as JsonArray ?? []) env.Add(entry?.DeepClone());
        var container = new JsonObject
        {
            ["name"] = "istio-proxy",
            ["image"] = "auto",
            ["ports"] = containerPorts,
            ["env"] = env,
            ["resources"] = spec.Value("global", "proxy", "resources")?.DeepClone() ?? new JsonObject(),
            ["securityContext"] = new JsonObject
            {
                ["allowPrivilegeEscalation"] = false, ["privileged"] = false, ["readOnlyRootFilesystem"] = true,
                ["capabilities"] = new JsonObject { ["drop"] = Strings("ALL") },
            },
        };
        var pod = new JsonObject
        {
            ["serviceAccountName"] = $"{name}-service-account",
            ["securityContext"] = new JsonObject { ["fsGroup"] = ProxyUser.Id, ["runAsUser"] = ProxyUser.Id, ["runAsGroup"] = ProxyUser.Id, ["runAsNonRoot"] = true },
            ["containers"] = new JsonArray(container),
        };
        WorkloadSettings.Apply(pod, metadata, k8s);
        deployment["spec"] = new JsonObject
        {
            ["replicas"] = (int?)k8s?["replicaCount"] ?? 1,
            ["selector"] = new JsonObject
            {
                ["matchLabels"] = new JsonObject(identity.Select(label => KeyValuePair.Create(label.Key, (JsonNode?)label.Value))),
            },
            // A gateway that is replaced must never leave the network without one.
            ["strategy"] = k8s?["strategy"]?.DeepClone() ?? new JsonObject { ["rollingUpdate"] = new JsonObject { ["maxSurge"] = "100%", ["maxUnavailable"] = "25%" } },
            ["template"] = new JsonObject { ["metadata"] = metadata, ["spec"] = pod },
        };
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

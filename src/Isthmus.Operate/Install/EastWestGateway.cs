using System.Globalization;
using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Operate.Install.Operator;

namespace Isthmus.Operate.Install;

/// <summary>The east-west gateway of a network: the objects of samples/multicluster, built in code.</summary>
public static class EastWestGateway
{
    public const string Name = "istio-eastwestgateway";

    /// <summary>The value of the label <c>istio</c> by which Gateway objects select it.</summary>
    private const string Selector = "eastwestgateway";

    /// <summary>What <c>gen-eastwest-gateway.sh --network</c> prints.</summary>
    public static JsonObject Operator(string network, string revision, JsonObject k8s)
    {
        var own = new JsonObject
        {
            // Only the services of this network: traffic that enters here never leaves for another network.
            ["env"] = new JsonArray(new JsonObject { ["name"] = "ISTIO_META_REQUESTED_NETWORK_VIEW", ["value"] = network }),
            ["service"] = new JsonObject
            {
                ["ports"] = new JsonArray(
                    Port("status-port", Ports.ProxyReady), Port("tls", Ports.EastWest), Port("tls-istiod", Ports.DiscoveryTls),
                    Port("tls-webhook", Ports.Webhook)),
            },
        };
        Overlay.Merge(own, k8s);
        var spec = new JsonObject
        {
            ["profile"] = "empty",
            ["components"] = new JsonObject
            {
                ["ingressGateways"] = new JsonArray(new JsonObject
                {
                    ["name"] = Name,
                    ["label"] = new JsonObject { ["istio"] = Selector, ["app"] = Name, [Labels.Network] = network },
                    ["enabled"] = true,
                    ["k8s"] = own,
                }),
            },
            ["values"] = new JsonObject
            {
                ["gateways"] = new JsonObject { ["istio-ingressgateway"] = new JsonObject { ["injectionTemplate"] = "gateway" } },
                ["global"] = new JsonObject { ["network"] = network },
            },
        };
        if (revision.Length > 0) spec["revision"] = revision;
        return new JsonObject
        {
            ["apiVersion"] = "install.istio.io/v1alpha1",
            ["kind"] = "IstioOperator",
            ["metadata"] = new JsonObject { ["name"] = "eastwest" },
            ["spec"] = spec,
        };
    }

    /// <summary>Lets other networks reach every service of the mesh: <c>expose-services.yaml</c>.</summary>
    public static IReadOnlyList<JsonObject> ExposeServices() => Read("expose-services.yaml");

    /// <summary>Lets other clusters reach the control plane: <c>expose-istiod.yaml</c>, or the same for one revision.</summary>
    public static IReadOnlyList<JsonObject> ExposeControlPlane(string revision) =>
        revision.Length == 0 ? Read("expose-istiod.yaml") : Read("expose-istiod-rev.yaml.tmpl", revision);

    /// <summary>Lets another cluster reach its control plane, which runs here in its own namespace: <c>expose-external-istiod.yaml</c>.</summary>
    public static IReadOnlyList<JsonObject> ExposeHosted(string ns)
    {
        var objects = YamlText.ParseAll(Text("expose-external-istiod.yaml").Replace("istiod.external-istiod.", $"istiod.{ns}.", StringComparison.Ordinal),
            "expose-external-istiod.yaml")
            .OfType<JsonObject>().ToList();
        foreach (var value in objects) value["metadata"]!["namespace"] = ns;
        return objects;
    }

    /// <summary>The IstioOperator for clusters that are joined by names: <c>values-istio-multicluster-gateways.yaml</c>.</summary>
    public static string ReplicatedControlPlanes() => Text("values-istio-multicluster-gateways.yaml");

    private static string Text(string name)
    {
        using var stream = typeof(EastWestGateway).Assembly.GetManifestResourceStream($"multicluster/{name}")!;
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    }

    private static IReadOnlyList<JsonObject> Read(string name, string revision = "")
    {
        var objects = YamlText.ParseAll(Text(name).Replace("{{.Revision}}", revision, StringComparison.Ordinal), name).OfType<JsonObject>().ToList();
        foreach (var value in objects) value["metadata"]!["namespace"] = WellKnown.SystemNamespace;
        return objects;
    }

    private static JsonObject Port(string name, int number) =>
        new() { ["name"] = name, ["port"] = Number(number), ["targetPort"] = Number(number) };

    /// <summary>The integer type that a parser produces: other readers accept any width.</summary>
    private static JsonNode Number(int number) => JsonNode.Parse(number.ToString(CultureInfo.InvariantCulture))!;
}

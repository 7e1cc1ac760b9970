using System.Text.Json.Nodes;
using Isthmus.Core.Names;

namespace Isthmus.Injection;

/// <summary>The init container <c>istio-init</c>, which captures the Pod's traffic. Where the node's CNI agent has done that, it is
/// <c>istio-validation</c>, which checks it without privileges and names the same rules: the agent reads them there.</summary>
internal static class InitContainer
{
    private const string Capture = "istio-init", Validation = "istio-validation";

    internal static readonly string[] Names = [Capture, Validation];

    private const string Traffic = "traffic.sidecar.istio.io/";

    internal static string Name(InjectionInputs inputs) => inputs.Values.HasNodeAgent ? Validation : Capture;

    internal static JsonObject Build(InjectionInputs inputs)
    {
        var values = inputs.Values;
        var arguments = new JsonArray("istio-iptables", "-p", Text(Ports.Outbound), "-z", Text(Ports.Inbound), "-u", Text(inputs.User), "-m",
            inputs.InterceptionMode);
        foreach (var (flag, _, value, _) in Rules(inputs).Where(rule => rule.Value.Length > 0 || !rule.IsOptional))
        {
            arguments.Add((JsonNode)flag);
            arguments.Add((JsonNode)value);
        }
        if (values.HasNodeAgent)
        {
            arguments.Add((JsonNode)"--run-validation");
            arguments.Add((JsonNode)"--skip-rule-apply");
        }
        var container = new JsonObject
        {
            ["name"] = Name(inputs),
            ["image"] = inputs.Annotation("sidecar.istio.io/proxyImage") ?? values.InitImage,
            ["args"] = arguments,
            ["resources"] = ProxyContainer.Resources(inputs),
            ["securityContext"] = Security(inputs),
        };
        var env = new JsonArray();
        foreach (var (name, value) in inputs.ProxyMetadata) env.Add((JsonNode)new JsonObject { ["name"] = name, ["value"] = value });
        if (env.Count > 0) container["env"] = env;
        if (values.PullPolicy.Length > 0) container["imagePullPolicy"] = values.PullPolicy;
        return container;
    }

    /// <summary>The annotations by which other node agents, such as Istio's, learn the rules.</summary>
    internal static IEnumerable<KeyValuePair<string, string>> Annotations(InjectionInputs inputs) =>
        Rules(inputs).Where(rule => rule.Value.Length > 0).Select(rule => KeyValuePair.Create(Traffic + rule.Annotation, rule.Value));

    private static (string Flag, string Annotation, string Value, bool IsOptional)[] Rules(InjectionInputs inputs)
    {
        var values = inputs.Values;
        return
        [
            ("-i", "includeOutboundIPRanges", inputs.RangeList(Traffic + "includeOutboundIPRanges", values.IncludeIpRanges), false),
            ("-x", "excludeOutboundIPRanges", inputs.RangeList(Traffic + "excludeOutboundIPRanges", values.ExcludeIpRanges), false),
            ("-b", "includeInboundPorts", inputs.PortList(Traffic + "includeInboundPorts", values.IncludeInboundPorts), false),
            ("-d", "excludeInboundPorts", Excluded(inputs), false),
            ("-o", "excludeOutboundPorts", inputs.PortList(Traffic + "excludeOutboundPorts", values.ExcludeOutboundPorts), true),
            ("-q", "includeOutboundPorts", inputs.PortList(Traffic + "includeOutboundPorts", values.IncludeOutboundPorts), true),
            ("-c", "excludeInterfaces", inputs.Annotation(Traffic + "excludeInterfaces") ?? "", true),
        ];
    }

    private static JsonObject Security(InjectionInputs inputs)
    {
        var checks = inputs.Values.HasNodeAgent;
        var capabilities = new JsonObject { ["drop"] = new JsonArray("ALL") };
        // Our own image writes the rules with nft. The iptables of Istio's opens a raw socket, and locks a file.
        var isForeign = !checks && IsForeign(inputs);
        if (!checks)
            capabilities = new JsonObject
            {
                ["add"] = isForeign ? new JsonArray("NET_ADMIN", "NET_RAW") : new JsonArray("NET_ADMIN"), ["drop"] = new JsonArray("ALL")
            };
        var security = new JsonObject
        {
            ["capabilities"] = capabilities,
            ["privileged"] = false,
            ["runAsUser"] = checks ? inputs.User : 0,
            ["runAsGroup"] = checks ? inputs.Group : 0,
            ["runAsNonRoot"] = checks,
            ["readOnlyRootFilesystem"] = !isForeign,
            ["allowPrivilegeEscalation"] = false,
        };
        if (inputs.SeccompProfile is { } profile) security["seccompProfile"] = profile;
        return security;
    }

    /// <summary>The Pod names an image of another repository than the installation does: Istio's, for instance.</summary>
    private static bool IsForeign(InjectionInputs inputs) =>
        inputs.Annotation("sidecar.istio.io/proxyImage") is { } image && Repository(image) != Repository(inputs.Values.InitImage);

    /// <summary>The image without its tag and digest.</summary>
    private static string Repository(string image)
    {
        var name = image.Split('@')[0];
        var colon = name.LastIndexOf(':');
        return colon > name.LastIndexOf('/') ? name[..colon] : name;
    }

    /// <summary>The proxy's own ports are never captured.</summary>
    private static string Excluded(InjectionInputs inputs)
    {
        var own = string.Join(',', [Ports.ProxyMetrics, Ports.ProxyReady, inputs.StatusPort, .. SecureMetrics.Ports(inputs)]);
        var more = inputs.PortList(Traffic + "excludeInboundPorts", inputs.Values.ExcludeInboundPorts);
        return more.Length == 0 ? own : $"{own},{more}";
    }

    private static string Text(int number) => number.ToString(System.Globalization.CultureInfo.InvariantCulture);
}

using System.Text.Json.Nodes;
using Isthmus.Core.Names;

namespace Isthmus.ControlPlane.Injection;

/// <summary>The <c>istio-init</c> container, which captures the Pod's traffic before anything else runs in it.</summary>
internal static class InitContainer
{
    internal const string Name = "istio-init";

    private const string Traffic = "traffic.sidecar.istio.io/";

    internal static JsonObject Build(InjectionInputs inputs)
    {
        var values = inputs.Values;
        JsonArray arguments =
        [
            "istio-iptables",
            "-p", Text(Ports.Outbound),
            "-z", Text(Ports.Inbound),
            "-u", Text(ProxyUser.Id),
            "-m", inputs.InterceptionMode,
            "-i", inputs.RangeList(Traffic + "includeOutboundIPRanges", values.IncludeIpRanges),
            "-x", inputs.RangeList(Traffic + "excludeOutboundIPRanges", values.ExcludeIpRanges),
            "-b", inputs.PortList(Traffic + "includeInboundPorts", "*"),
            "-d", Excluded(inputs),
        ];
        Optional(arguments, "-o", inputs.PortList(Traffic + "excludeOutboundPorts", values.ExcludeOutboundPorts));
        Optional(arguments, "-q", inputs.PortList(Traffic + "includeOutboundPorts", ""));
        Optional(arguments, "-c", inputs.Annotation(Traffic + "excludeInterfaces") ?? "");
        Optional(arguments, "-k", inputs.Annotation(Traffic + "kubevirtInterfaces") ?? "");
        var security = new JsonObject
        {
            // nft needs no raw sockets.
            ["capabilities"] = new JsonObject { ["add"] = new JsonArray("NET_ADMIN"), ["drop"] = new JsonArray("ALL") },
            ["privileged"] = false,
            ["runAsUser"] = 0,
            ["runAsGroup"] = 0,
            ["runAsNonRoot"] = false,
            ["readOnlyRootFilesystem"] = true,
            ["allowPrivilegeEscalation"] = false,
        };
        if (inputs.SeccompProfile is { } profile) security["seccompProfile"] = profile;
        var container = new JsonObject
        {
            ["name"] = Name,
            ["image"] = inputs.Annotation("sidecar.istio.io/proxyImage") ?? values.InitImage,
            ["args"] = arguments,
            ["resources"] = ProxyContainer.Resources(inputs),
            ["securityContext"] = security,
        };
        var env = new JsonArray();
        foreach (var (name, value) in inputs.ProxyMetadata) env.Add((JsonNode)new JsonObject { ["name"] = name, ["value"] = value });
        if (env.Count > 0) container["env"] = env;
        if (values.PullPolicy.Length > 0) container["imagePullPolicy"] = values.PullPolicy;
        return container;
    }

    /// <summary>The proxy's own ports are never captured.</summary>
    private static string Excluded(InjectionInputs inputs)
    {
        var own = $"{Ports.ProxyMetrics},{Ports.ProxyReady},{inputs.StatusPort}";
        var more = inputs.PortList(Traffic + "excludeInboundPorts", inputs.Values.ExcludeInboundPorts);
        return more.Length == 0 ? own : $"{own},{more}";
    }

    private static void Optional(JsonArray arguments, string flag, string value)
    {
        if (value.Length == 0) return;
        arguments.Add((JsonNode)flag);
        arguments.Add((JsonNode)value);
    }

    private static string Text(int number) => number.ToString(System.Globalization.CultureInfo.InvariantCulture);
}

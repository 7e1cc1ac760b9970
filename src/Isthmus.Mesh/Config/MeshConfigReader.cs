using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Core.Net;
using Isthmus.Core.Problems;
using Isthmus.Core.Time;
using Isthmus.Mesh.Model;

namespace Isthmus.Mesh.Config;

/// <summary>Reads the two documents of ConfigMap <c>istio</c>. An absent field keeps Istio's default; an invalid one also
/// does, and is reported.</summary>
public static class MeshConfigReader
{
    /// <param name="node">The parsed <c>mesh</c> document; null means empty.</param>
    /// <param name="origin">The name of the document in problems.</param>
    public static (MeshConfig Config, ValueList<Problem> Problems) ReadMesh(JsonNode? node, string origin = "ConfigMap istio, key mesh")
    {
        var findings = new Findings(origin);
        var root = new Field(node, "", findings);
        if (node is not (null or JsonObject)) root.Error("mesh configuration must be an object");
        else if (node is not null) MeshSchemas.MeshConfig.Check(node, "", findings);
        var @default = MeshConfig.Default;
        var proxy = root["defaultConfig"];
        var providers = ExtensionProviderReader.Read(root["extensionProviders"]);
        foreach (var name in root["defaultProviders"]["tracing"].Items.Where(name => !providers.Tracers.ContainsKey(name.Text)))
            name.Warn($"\"{name.Text}\" is not a collector of traces (zipkin or opentelemetry) in extensionProviders: nothing is traced",
                "add the provider, or correct the name");
        foreach (var name in root["defaultProviders"]["accessLogging"].Items.Where(name => !providers.Loggers.ContainsKey(name.Text)))
            name.Warn($"\"{name.Text}\" is not an access log in extensionProviders: it is not written", "add the provider, or correct the name");
        foreach (var name in root["defaultProviders"]["metrics"].Items.Where(name => !providers.Prometheus.Contains(name.Text)))
            name.Warn($"\"{name.Text}\" is not Prometheus in extensionProviders: nothing is reported to it", "add the provider, or correct the name");
        var config = @default with
        {
            TrustDomain = Or(root["trustDomain"].Text, @default.TrustDomain),
            TrustDomainAliases = root["trustDomainAliases"].Texts,
            RootNamespace = Or(root["rootNamespace"].Text, @default.RootNamespace),
            OutboundTrafficPolicy = ReadOutbound(root["outboundTrafficPolicy"]["mode"]),
            AccessLogFile = root["accessLogFile"].Text,
            AccessLogTemplate = LoggerReader.ReadMesh(root),
            Ingress = ReadIngress(root),
            HostsAreOwned = root["hostOwnership"].Text == "NAMESPACE",
            EnableAutoMtls = root["enableAutoMtls"].Flag ?? true,
            ConnectTimeout = root["connectTimeout"].Duration(Durations.OneMillisecond) ?? @default.ConnectTimeout,
            ProtocolDetectionTimeout = root["protocolDetectionTimeout"].Duration() ?? @default.ProtocolDetectionTimeout,
            LocalityLb = DestinationRuleReader.ReadLocalities(root) ?? LocalityLbSetting.Default,
            ServiceSettings = root["serviceSettings"].Items
                .Select(setting => new ServiceSetting(setting["hosts"].Texts, setting["settings"]["clusterLocal"].Flag ?? false)).ToValueList(),
            DefaultServiceExportTo = root["defaultServiceExportTo"].Texts,
            DefaultVirtualServiceExportTo = root["defaultVirtualServiceExportTo"].Texts,
            DefaultDestinationRuleExportTo = root["defaultDestinationRuleExportTo"].Texts,
            DefaultPolicy = DestinationRuleReader.ReadDefault(root["defaultTrafficPolicy"]),
            DefaultHttpRetry = root["defaultHttpRetryPolicy"] is { Exists: true } retry ? HttpRouteReader.ReadRetries(retry, unset: 2) : null,
            PathNormalization = ReadNormalization(root["pathNormalization"]["normalization"]),
            GatewayTopology = ReadTopology(proxy["gatewayTopology"]),
            Connections = ReadConnections(proxy["connectionSettings"]),
            ProxyHeaders = ReadHeaders(proxy["proxyHeaders"]),
            MeshTls = ReadLimits(root["meshMTLS"]),
            TlsDefaults = ReadLimits(root["tlsDefaults"]),
            DiscoverySelectors = root["discoverySelectors"].Items.Select(ReadSelector).ToValueList(),
            DnsRefreshRate = root["dnsRefreshRate"].Duration(Durations.OneMillisecond) ?? @default.DnsRefreshRate,
            UpgradeToHttp2 = root["h2UpgradePolicy"].Text == "UPGRADE",
            Keepalive = root["tcpKeepalive"] is { Exists: true } keepalive ? DestinationRuleReader.ReadKeepalive(keepalive) : null,
            CallsLocalhost = root["inboundTrafficPolicy"]["mode"].Text == "LOCALHOST",
            DisableListenerLog = root["disableEnvoyListenerLog"].Flag ?? false,
            Authorizers = providers.Authorizers,
            Tracers = providers.Tracers,
            DefaultTracers = root["defaultProviders"]["tracing"].Texts,
            Prometheus = providers.Prometheus,
            DefaultMetrics = root["defaultProviders"]["metrics"] is { Exists: true } metrics ? metrics.Texts : @default.DefaultMetrics,
            Loggers = providers.Loggers,
            DefaultLoggers = root["defaultProviders"]["accessLogging"].Texts,
            EnableTracing = root["enableTracing"].Flag ?? true,
            Tracing = TelemetryReader.ReadProxy(proxy["tracing"]),
            DefaultProxyConfig = proxy.Node is JsonObject written ? Canonical.Text(written) : @default.DefaultProxyConfig,
        };
        ControlCharacters.Check(root);
        return (config, findings.Problems);
    }

    /// <param name="node">The parsed <c>meshNetworks</c> document, with root <c>networks</c>; null means none.</param>
    public static (MeshNetworks Networks, ValueList<Problem> Problems) ReadNetworks(JsonNode? node, string origin = "ConfigMap istio, key meshNetworks")
    {
        var findings = new Findings(origin);
        node = WithJsonNames(node);
        var root = new Field(node, "", findings);
        if (node is JsonObject written) MeshSchemas.Networks.Check(written, "", findings);
        else if (node is not null) root.Error("meshNetworks must be an object");
        var networks = root["networks"].Members.Select(network => KeyValuePair.Create(network.Key, new MeshNetwork(
            network.Value["endpoints"].Items.Select(ReadEndpoints).ToValueList(),
            network.Value["gateways"].Items.Select(ReadGateway).ToValueList()))).ToValueMap();
        ControlCharacters.Check(root);
        return (new(networks), findings.Problems);
    }

    /// <summary>Fields may have their names of protobuf, as in much that is written about them: <c>registry_service_name</c>.</summary>
    private static JsonNode? WithJsonNames(JsonNode? node)
    {
        var renamed = node?.DeepClone();
        var items = ((renamed as JsonObject)?["networks"] as JsonObject ?? [])
            .SelectMany(network => ((string[])["endpoints", "gateways"]).SelectMany(list => (network.Value as JsonObject)?[list] as JsonArray ?? []));
        foreach (var item in items.OfType<JsonObject>())
        {
            foreach (var (from, to) in ((string, string)[])[("from_registry", "fromRegistry"), ("from_cidr", "fromCidr"),
                ("registry_service_name", "registryServiceName")])
                if (item.Remove(from, out var value) && !item.ContainsKey(to)) item[to] = value;
        }
        return renamed;
    }

    private static NetworkEndpoints ReadEndpoints(Field endpoints)
    {
        var (cidr, registry) = (endpoints["fromCidr"].Text, endpoints["fromRegistry"].Text);
        Cidr? range = Cidr.TryParse(cidr, out var parsed) ? parsed : null;
        if (cidr.Length > 0 && range is null) endpoints["fromCidr"].Error($"\"{cidr}\" is not a valid CIDR block");
        if (cidr.Length > 0 == registry.Length > 0) endpoints.Error("one of fromCidr and fromRegistry must be set");
        return new(range, registry);
    }

    private static StaticGateway ReadGateway(Field gateway)
    {
        var (address, service) = (gateway["address"].Text, gateway["registryServiceName"].Text);
        if (address.Length > 0 == service.Length > 0) gateway.Error("one of address and registryServiceName must be set");
        else if (address.Length > 0) HostNames.Check(gateway["address"], address, allowWildcard: false, allowIp: true);
        var port = gateway["port"];
        if (port.Integer is not (>= 1 and <= 65535) && !port.IsWrong) port.Error($"port number {port.Integer ?? 0} must be in the range 1..65535");
        return new(EndpointAddress.Parse(address), service, port.Int ?? 0);
    }

    private static NamespaceSelector ReadSelector(Field selector) =>
        new(selector["matchLabels"].TextMap, selector["matchExpressions"].Items.Select(ReadExpression).ToValueList());

    private static LabelExpression ReadExpression(Field expression)
    {
        var (key, values) = (expression["key"].Text, expression["values"].Texts);
        if (key.Length == 0) expression["key"].Error("must not be empty");
        if (!Enum.TryParse<LabelOperator>(expression["operator"].Text, out var @operator) && !expression["operator"].IsWrong)
            expression["operator"].Error("must be one of In, NotIn, Exists and DoesNotExist");
        else if (@operator is LabelOperator.In or LabelOperator.NotIn == values.IsEmpty)
            expression["values"].Error(values.IsEmpty ? $"must not be empty with {@operator}" : $"must be empty with {@operator}");
        return new(key, @operator, values);
    }

    /// <summary>The problems of ProxyConfig that a Pod overrides by its annotation.</summary>
    public static ValueList<Problem> CheckProxyConfig(JsonObject config, string origin)
    {
        var findings = new Findings(origin);
        MeshSchemas.DefaultConfig.Check(config, "", findings);
        var root = new Field(config, "", findings);
        ReadTopology(root["gatewayTopology"]);
        TelemetryReader.ReadProxy(root["tracing"]);
        ReadHeaders(root["proxyHeaders"]);
        ReadConnections(root["connectionSettings"]);
        ControlCharacters.Check(root);
        return findings.Problems;
    }

    private static ConnectionSettings ReadConnections(Field settings)
    {
        if (!settings.Exists) return ConnectionSettings.Default;
        foreach (var name in (string[])["httpMaxConcurrentStreams", "globalDownstreamConnectionLimit"])
        {
            if (settings[name].Integer is 0) settings[name].Error("must be positive");
        }
        foreach (var (name, _) in settings.Members)
        {
            if (name.EndsWith("Timeout", StringComparison.Ordinal) || name.EndsWith("Duration", StringComparison.Ordinal)) settings[name].Duration();
        }
        return ConnectionSettings.Read(name => settings[name].Node?.ToString() ?? "");
    }

    private static ProxyHeaders ReadHeaders(Field headers)
    {
        if (!headers.Exists) return ProxyHeaders.Default;
        var server = headers["server"]["value"];
        if (!ProxyHeaders.IsServer(server.Text)) server.Error("is not the value of a header field", "use printable ASCII characters");
        return ProxyHeaders.Read(path => path.Split('.').Aggregate(headers, (at, name) => at[name]).Node?.ToString() ?? "");
    }

    /// <summary>In a topology with errors, nothing is trusted: the client is whoever opened the connection, and certificates that others
    /// report are removed.</summary>
    private static GatewayTopology ReadTopology(Field topology)
    {
        if (!topology.Exists) return GatewayTopology.Default;
        var (trusted, mode) = (topology["numTrustedProxies"], topology["forwardClientCertDetails"]);
        if (trusted is { Integer: > 100 }) trusted.Error("must be an integer in the range 0..100");
        return topology.IsWrong
            ? new(0, ClientCertForwarding.Sanitize)
            : new(trusted.UInt ?? 0, GatewayTopology.ParseMode(mode.Text)!.Value) { ReadsProxyHeader = topology["proxyProtocol"].Exists };
    }

    private static IngressSettings ReadIngress(Field root)
    {
        var @default = IngressSettings.Default;
        var mode = root["ingressControllerMode"].Text switch { "OFF" => IngressMode.Off, "DEFAULT" => IngressMode.Default, _ => @default.Mode };
        return new(mode, Or(root["ingressClass"].Text, @default.Class), Or(root["ingressService"].Text, @default.Service), root["ingressSelector"].Text);
    }

    private static TlsLimits ReadLimits(Field tls) => TlsLimitsReader.Read(tls) with { Max = TlsVersion.Auto };

    private static PathNormalization ReadNormalization(Field normalization) => normalization.Text switch
    {
        "NONE" => PathNormalization.None,
        "MERGE_SLASHES" => PathNormalization.MergeSlashes,
        "DECODE_AND_MERGE_SLASHES" => PathNormalization.DecodeAndMergeSlashes,
        "STRICT" => PathNormalization.Strict,
        _ => PathNormalization.Base,
    };

    private static OutboundPolicy ReadOutbound(Field mode) => mode.Text switch
    {
        "REGISTRY_ONLY" => OutboundPolicy.RegistryOnly,
        "ALLOW_ANY_DYNAMIC_DNS" => OutboundPolicy.AllowAnyDynamicDns,
        _ => OutboundPolicy.AllowAny,
    };

    private static string Or(string text, string fallback) => text.Length > 0 ? text : fallback;
}

internal static class Canonical
{
    /// <summary>JSON with sorted keys, so that equal documents have equal text.</summary>
    public static string Text(JsonNode? node) => Sorted(node)?.ToJsonString() ?? "null";

    private static JsonNode? Sorted(JsonNode? node) => node switch
    {
        JsonObject members => new JsonObject(members.OrderBy(member => member.Key, StringComparer.Ordinal)
            .Select(member => KeyValuePair.Create(member.Key, Sorted(member.Value)))),
        JsonArray items => new JsonArray([.. items.Select(Sorted)]),
        null => null,
        _ => node.DeepClone(),
    };
}

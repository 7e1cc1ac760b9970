using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Core.Net;
using Isthmus.Core.Problems;
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
        var @default = MeshConfig.Default;
        var proxy = root["defaultConfig"];
        var config = @default with
        {
            TrustDomain = Or(root["trustDomain"].Text, @default.TrustDomain),
            TrustDomainAliases = root["trustDomainAliases"].Texts,
            RootNamespace = Or(root["rootNamespace"].Text, @default.RootNamespace),
            OutboundTrafficPolicy = ReadOutbound(root["outboundTrafficPolicy"]["mode"]),
            AccessLogFile = root["accessLogFile"].Text,
            AccessLogFormat = root["accessLogFormat"].Text,
            AccessLogJson = ReadEncoding(root["accessLogEncoding"]),
            EnableAutoMtls = root["enableAutoMtls"].Flag ?? true,
            ConnectTimeout = root["connectTimeout"].Duration(Durations.OneMillisecond) ?? @default.ConnectTimeout,
            ProtocolDetectionTimeout = root["protocolDetectionTimeout"].Duration() ?? @default.ProtocolDetectionTimeout,
            LocalityLb = root["localityLbSetting"].Exists ? DestinationRuleReader.ReadLocality(root["localityLbSetting"]) : LocalityLbSetting.Default,
            ServiceSettings = root["serviceSettings"].Items
                .Select(setting => new ServiceSetting(setting["hosts"].Texts, setting["settings"]["clusterLocal"].Flag ?? false)).ToValueList(),
            DefaultServiceExportTo = root["defaultServiceExportTo"].Texts,
            DefaultVirtualServiceExportTo = root["defaultVirtualServiceExportTo"].Texts,
            DefaultDestinationRuleExportTo = root["defaultDestinationRuleExportTo"].Texts,
            DefaultHttpRetry = root["defaultHttpRetryPolicy"] is { Exists: true } retry
                ? new(Math.Max(0, retry["attempts"].Int ?? 2), retry["perTryTimeout"].Duration(Durations.OneMillisecond), retry["retryOn"].Text, retry["retryRemoteLocalities"].Flag)
                : null,
            PathNormalization = ReadNormalization(root["pathNormalization"]["normalization"]),
            GatewayTopology = ReadTopology(proxy["gatewayTopology"]),
            MeshTls = ReadLimits(root["meshMTLS"]),
            TlsDefaults = ReadLimits(root["tlsDefaults"]),
            IngressSelector = root["ingressSelector"].Text,
            MeshId = proxy["meshId"].Text,
            DiscoveryAddress = proxy["discoveryAddress"].Text,
            DefaultProxyConfig = proxy.Node is JsonObject written ? Canonical.Text(written) : @default.DefaultProxyConfig,
        };
        return (config, findings.Problems);
    }

    /// <param name="node">The parsed <c>meshNetworks</c> document, with root <c>networks</c>; null means none.</param>
    public static (MeshNetworks Networks, ValueList<Problem> Problems) ReadNetworks(JsonNode? node, string origin = "ConfigMap istio, key meshNetworks")
    {
        var findings = new Findings(origin);
        var root = new Field(node, "", findings);
        if (node is not (null or JsonObject)) root.Error("meshNetworks must be an object");
        var networks = root["networks"].Members.Select(network => KeyValuePair.Create(network.Key, new MeshNetwork(
            network.Value["endpoints"].Items.Select(ReadEndpoints).ToValueList(),
            network.Value["gateways"].Items.Select(ReadGateway).ToValueList())));
        return (new(networks.ToValueMap()), findings.Problems);
    }

    private static NetworkEndpoints ReadEndpoints(Field endpoints)
    {
        var (cidr, registry) = (endpoints["fromCidr"].Text, endpoints["fromRegistry"].Text);
        if (cidr.Length > 0 && !Cidr.TryParse(cidr, out _)) endpoints["fromCidr"].Error($"\"{cidr}\" is not a valid CIDR block");
        if (cidr.Length > 0 == registry.Length > 0) endpoints.Error("one of fromCidr and fromRegistry must be set");
        return new(cidr, registry);
    }

    private static StaticGateway ReadGateway(Field gateway)
    {
        var (address, service) = (gateway["address"].Text, gateway["registryServiceName"].Text);
        if (address.Length > 0 == service.Length > 0) gateway.Error("one of address and registryServiceName must be set");
        else if (address.Length > 0) HostNames.Check(gateway["address"], address, allowWildcard: false, allowIp: true);
        var port = gateway["port"];
        if (port.Integer is not (>= 1 and <= 65535)) port.Error($"port number {port.Integer ?? 0} must be in the range 1..65535");
        return new(address, service, port.Int ?? 0, Locality.Parse(gateway["locality"].Text));
    }

    /// <summary>The problems of ProxyConfig that a Pod overrides by its annotation.</summary>
    public static ValueList<Problem> CheckProxyConfig(JsonObject config, string origin)
    {
        var findings = new Findings(origin);
        ReadTopology(new Field(config, "", findings)["gatewayTopology"]);
        return findings.Problems;
    }

    /// <summary>In a topology with errors, nothing is trusted: the client is whoever opened the connection, and certificates that others
    /// report are removed.</summary>
    private static GatewayTopology ReadTopology(Field topology)
    {
        if (!topology.Exists) return GatewayTopology.Default;
        foreach (var (name, field) in topology.Members)
        {
            if (name == "proxyProtocol") topology[name].Error("the PROXY protocol is not supported", "have the load balancer keep the client's address, or send it in x-forwarded-for and set numTrustedProxies");
            else if (name is not ("numTrustedProxies" or "forwardClientCertDetails")) topology[name].Error($"unknown field \"{name}\"", "remove it or correct its spelling");
        }
        var trusted = topology["numTrustedProxies"];
        if (trusted is { Exists: true, Integer: not (>= 0 and <= 100) }) trusted.Error("must be an integer in the range 0..100");
        var mode = topology["forwardClientCertDetails"];
        if (GatewayTopology.ParseMode(mode.Text) is null || mode is { Exists: true, Text: "" })
            mode.Error($"unsupported value \"{mode.Text}\"", "use SANITIZE, FORWARD_ONLY, APPEND_FORWARD, SANITIZE_SET or ALWAYS_FORWARD_ONLY");
        return topology.IsWrong ? new(0, ClientCertForwarding.Sanitize) : new(trusted.UInt ?? 0, GatewayTopology.ParseMode(mode.Text)!.Value);
    }

    private static TlsLimits ReadLimits(Field tls)
    {
        foreach (var (name, _) in tls.Members)
        {
            if (name == "ecdhCurves") tls[name].Error("key exchange groups cannot be chosen", "remove the field; proxies use those of OpenSSL");
            else if (name is not ("minProtocolVersion" or "cipherSuites")) tls[name].Error($"unknown field \"{name}\"", "remove it or correct its spelling");
        }
        return TlsLimitsReader.Read(tls) with { Max = TlsVersion.Auto };
    }

    private static PathNormalization ReadNormalization(Field normalization)
    {
        PathNormalization? known = normalization.Text switch
        {
            "" or "DEFAULT" or "BASE" => PathNormalization.Base,
            "NONE" => PathNormalization.None,
            "MERGE_SLASHES" => PathNormalization.MergeSlashes,
            "DECODE_AND_MERGE_SLASHES" => PathNormalization.DecodeAndMergeSlashes,
            _ => null,
        };
        if (known is null) normalization.Error($"unsupported value \"{normalization.Text}\"", "use NONE, BASE, MERGE_SLASHES or DECODE_AND_MERGE_SLASHES");
        return known ?? PathNormalization.Base;
    }

    private static OutboundPolicy ReadOutbound(Field mode)
    {
        if (mode.Text is not ("" or "ALLOW_ANY" or "REGISTRY_ONLY")) mode.Error($"unsupported value \"{mode.Text}\"", "use ALLOW_ANY or REGISTRY_ONLY");
        return mode.Text == "REGISTRY_ONLY" ? OutboundPolicy.RegistryOnly : OutboundPolicy.AllowAny;
    }

    private static bool ReadEncoding(Field encoding)
    {
        if (encoding.Text is not ("" or "TEXT" or "JSON")) encoding.Error($"unsupported value \"{encoding.Text}\"", "use TEXT or JSON");
        return encoding.Text == "JSON";
    }

    private static string Or(string text, string fallback) => text.Length > 0 ? text : fallback;
}

internal static class Canonical
{
    /// <summary>JSON with sorted keys, so that equal documents have equal text.</summary>
    public static string Text(JsonNode? node) => Sorted(node)?.ToJsonString() ?? "null";

    private static JsonNode? Sorted(JsonNode? node) => node switch
    {
        JsonObject members => new JsonObject(members.OrderBy(member => member.Key, StringComparer.Ordinal).Select(member => KeyValuePair.Create(member.Key, Sorted(member.Value)))),
        JsonArray items => new JsonArray([.. items.Select(Sorted)]),
        null => null,
        _ => node.DeepClone(),
    };
}

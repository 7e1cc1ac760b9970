using System.Globalization;
using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;

namespace Isthmus.Mesh.Config;

internal static class SidecarReader
{
    private const string EndpointForm =
        "sidecar: defaultEndpoint must be of form 127.0.0.1:<port>,0.0.0.0:<port>,[::1]:port,[::]:port,unix://filepath or unset";

    public static Sidecar Read(ObjectRef source, Field spec, long createdAt)
    {
        if (!spec["egress"].Exists && !spec["ingress"].Exists && !spec["outboundTrafficPolicy"].Exists && !spec["inboundConnectionPool"].Exists)
            spec.Error("sidecar: empty configuration provided");
        var egress = spec["egress"].Items.Select(ReadEgress).ToValueList();
        for (var i = 0; i < egress.Count - 1; i++)
        {
            if (egress[i].Port == 0) spec["egress"].Error("sidecar: the egress listener with empty port should be the last listener in the list");
        }
        return new(
            source, HostNames.ReadMatchedLabels(spec["workloadSelector"]["labels"]),
            spec["ingress"].Items.Select(ReadIngress).ToValueList(), egress,
            ReadOutbound(spec["outboundTrafficPolicy"]),
            createdAt) { InboundPool = ReadPool(spec["inboundConnectionPool"]) };
    }

    private static OutboundPolicy? ReadOutbound(Field policy)
    {
        var proxy = policy["egressProxy"];
        if (proxy.Exists)
            proxy.Error("egress proxies are not supported", "remove the field, and route known hosts to the proxy with ServiceEntries and VirtualServices");
        // Without the proxy, traffic that should pass it goes nowhere.
        if (proxy.CloseIfWrong()) return OutboundPolicy.RegistryOnly;
        return policy["mode"].Text switch { "REGISTRY_ONLY" => OutboundPolicy.RegistryOnly, "ALLOW_ANY" => OutboundPolicy.AllowAny, _ => null };
    }

    private static SidecarEgress ReadEgress(Field egress)
    {
        if (!egress["hosts"].Items.Any()) egress["hosts"].Error("sidecar: egress listener must contain at least one host");
        foreach (var host in egress["hosts"].Items)
        {
            var slash = host.Text.IndexOf('/', StringComparison.Ordinal);
            if (slash < 0)
            {
                host.Error("host must be of form namespace/dnsName",
                    $"write {(host.Text is ['~', .. var left] ? $"~*/{left}" : $"*/{host.Text}")} for every namespace");
                continue;
            }
            // With ~ before the namespace, hosts are taken away; ~ alone is every namespace.
            var ns = host.Text[..slash] is ['~', .. var rest] ? rest.Length > 0 ? rest : "*" : host.Text[..slash];
            if (ns is not ("*" or ".") && !HostNames.IsLabel(ns)) host.Error($"invalid namespace \"{host.Text[..slash]}\"");
            HostNames.Check(host, host.Text[(slash + 1)..]);
        }
        CheckCapture(egress);
        // A listener for every address takes what all others take, too.
        if (egress["bind"].Text is not ("" or "0.0.0.0"))
            egress["bind"].Error("listeners at an address of their own are not supported", "remove the field: connections are captured whatever their address");
        var port = egress["port"];
        return new(port["number"].Int ?? 0, port["name"].Text, ReadProtocol(port), egress["hosts"].Texts);
    }

    /// <summary>All traffic passes the two listeners of captured connections.</summary>
    private static void CheckCapture(Field listener)
    {
        if (listener["captureMode"].Text == "NONE")
            listener["captureMode"]
                .Error("NONE is not supported: traffic is captured by redirection", "remove the field: applications need not know of the proxy");
    }

    private static SidecarIngress ReadIngress(Field ingress)
    {
        var port = ingress["port"];
        if (port["number"].Integer is not (>= 1 and <= 65535))
            port["number"].Error($"sidecar: port number {port["number"].Integer ?? 0} must be in the range 1..65535");
        CheckCapture(ingress);
        if (ingress["bind"].Text.Length > 0)
            ingress["bind"]
                .Idle("proxies open no listener of its own for it", "remove the field: connections are captured whatever their address");
        var endpoint = DefaultEndpoint.Parse(ingress["defaultEndpoint"].Text);
        if (endpoint is null && ingress["defaultEndpoint"].Text.Length > 0) ingress["defaultEndpoint"].Error(EndpointForm);
        if (ingress["tls"].Exists)
            ingress["tls"]
                .Error("TLS settings of ingress listeners are not supported",
                    "remove the field; terminate TLS of callers outside of the mesh at a gateway or in the application");
        return new(port["number"].Int ?? 0, port["name"].Text, ReadProtocol(port), endpoint)
            { IsBlocked = ingress["tls"].CloseIfWrong(), Pool = ReadPool(ingress["connectionPool"]) };
    }

    private static ConnectionPool? ReadPool(Field pool) => pool.Exists ? DestinationRuleReader.ReadPool(pool) : null;

    private static Protocol ReadProtocol(Field port)
    {
        if (!port.Exists) return Protocol.Auto;
        if (port["protocol"].Text.Length == 0) return Protocols.Of("TCP", null, port["name"].Text, port["number"].Int ?? 0);
        if (Protocols.Parse(port["protocol"].Text) is { } known) return known;
        port["protocol"].Error($"invalid protocol \"{port["protocol"].Text}\"");
        return Protocol.Auto;
    }
}

internal static class PeerAuthenticationReader
{
    public static PeerAuthentication Read(ObjectRef source, Field spec, long createdAt)
    {
        var selector = HostNames.ReadMatchedLabels(spec["selector"]["matchLabels"]);
        if (selector.Count == 0 && spec["portLevelMtls"].Members.Any())
        {
            spec["portLevelMtls"].Error("mesh/namespace peer authentication cannot have port level mTLS", "add a selector");
        }
        if (spec["portLevelMtls"].Exists && !spec["portLevelMtls"].Members.Any())
            spec["portLevelMtls"].Error("should have at least 1 properties", "remove it, or name a port");
        foreach (var (name, field) in spec["portLevelMtls"].Members)
        {
            if (!int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out var port) || port is < 1 or > 65535)
                spec["portLevelMtls"].Error($"port \"{name}\" must be a number in the range 1..65535");
        }
        return new(
            source, selector, ReadMode(spec["mtls"]),
            spec["portLevelMtls"].Members.Select(member => KeyValuePair.Create(member.Key, ReadMode(member.Value))).ToValueMap(),
            createdAt);
    }

    private static MtlsMode ReadMode(Field mtls) => mtls.CloseIfWrong() ? MtlsMode.Strict : mtls["mode"].Text switch
    {
        "DISABLE" => MtlsMode.Disable,
        "PERMISSIVE" => MtlsMode.Permissive,
        "STRICT" => MtlsMode.Strict,
        _ => MtlsMode.Unset,
    };
}

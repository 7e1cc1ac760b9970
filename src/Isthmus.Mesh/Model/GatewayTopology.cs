using Google.Protobuf.WellKnownTypes;

namespace Isthmus.Mesh.Model;

/// <summary>What a gateway does with <c>x-forwarded-client-cert</c> (Envoy's ForwardClientCertDetails).</summary>
public enum ClientCertForwarding { SanitizeSet, Sanitize, ForwardOnly, AppendForward, AlwaysForwardOnly }

/// <summary>What stands in front of a gateway (ProxyConfig's <c>gatewayTopology</c>).</summary>
/// <param name="TrustedProxies">How many proxies in front of the gateway are trusted: the client's address is that many addresses from
/// the right end of <c>x-forwarded-for</c>. 0: the client is whoever opened the connection.</param>
public sealed record GatewayTopology(uint TrustedProxies, ClientCertForwarding ClientCert)
{
    public static readonly GatewayTopology Default = new(0, ClientCertForwarding.SanitizeSet);

    /// <summary>Connections begin with a header of the PROXY protocol, which names the client.</summary>
    public bool ReadsProxyHeader { get; init; }

    /// <summary>Null for an unknown mode.</summary>
    public static ClientCertForwarding? ParseMode(string mode) => mode switch
    {
        "" or "UNDEFINED" or "SANITIZE_SET" => ClientCertForwarding.SanitizeSet,
        "SANITIZE" => ClientCertForwarding.Sanitize,
        "FORWARD_ONLY" => ClientCertForwarding.ForwardOnly,
        "APPEND_FORWARD" => ClientCertForwarding.AppendForward,
        "ALWAYS_FORWARD_ONLY" => ClientCertForwarding.AlwaysForwardOnly,
        _ => null,
    };

    /// <summary>The topology that a gateway reports in its ProxyConfig; null when that has none. What cannot be read is not
    /// trusted.</summary>
    internal static GatewayTopology? Of(Value? proxyConfig)
    {
        if (proxyConfig?.StructValue?.Fields.TryGetValue("gatewayTopology", out var topology) != true || topology!.StructValue is not { Fields: var fields })
            return null;
        var trusted = fields.TryGetValue("numTrustedProxies", out var number) && number.NumberValue is >= 0 and <= uint.MaxValue ? (uint)number.NumberValue : 0;
        var mode = fields.TryGetValue("forwardClientCertDetails", out var text) ? text.StringValue : "";
        return new(trusted, ParseMode(mode) ?? ClientCertForwarding.Sanitize) { ReadsProxyHeader = fields.ContainsKey("proxyProtocol") };
    }
}

using Google.Protobuf.WellKnownTypes;

namespace Isthmus.Mesh.Model;

/// <summary>Which header fields proxies add of their own (ProxyConfig's <c>proxyHeaders</c>).</summary>
public sealed record ProxyHeaders
{
    public static readonly ProxyHeaders Default = new();

    /// <summary>What sidecars do with <c>x-forwarded-client-cert</c> of calls to their workload; gateways have <see cref="GatewayTopology"/>.</summary>
    public ClientCertForwarding ClientCert { get; init; } = ClientCertForwarding.AppendForward;

    /// <summary>What sidecars say there of the caller's certificate.</summary>
    public ClientCertParts ClientCertParts { get; init; } = new(Subject: true, Cert: false, Dns: true, Uri: true);

    /// <summary>Responses have <c>server</c>; if not, that of the application stays as it is.</summary>
    public bool HasServer { get; init; } = true;

    /// <summary>Its value; empty: Istio's.</summary>
    public string Server { get; init; } = "";

    /// <summary>Requests without <c>x-request-id</c> get one.</summary>
    public bool HasRequestId { get; init; } = true;

    /// <summary>Requests have <c>x-envoy-attempt-count</c>.</summary>
    public bool HasAttemptCount { get; init; } = true;

    /// <summary>Messages have the other fields of routing, such as <c>x-envoy-upstream-service-time</c>.</summary>
    public bool HasEnvoyFields { get; init; } = true;

    /// <summary>Sidecars tell only hosts of the mesh about their workload (<c>x-envoy-peer-metadata</c>).</summary>
    public bool TellsMeshOnly { get; init; }

    /// <param name="textAt">The text of the field with a path such as <c>server.value</c>; empty where it is not set.</param>
    public static ProxyHeaders Read(Func<string, string> textAt)
    {
        var mode = textAt("forwardedClientCert");
        return new()
        {
            // What cannot be read is not trusted.
            ClientCert = mode is "" or "UNDEFINED" ? Default.ClientCert : GatewayTopology.ParseMode(mode) ?? ClientCertForwarding.Sanitize,
            ClientCertParts = new(Part("subject", true), Part("cert", false), Part("dns", true), Part("uri", true)),
            HasServer = IsOn("server"),
            Server = textAt("server.value"),
            HasRequestId = IsOn("requestId"),
            HasAttemptCount = IsOn("attemptCount"),
            HasEnvoyFields = IsOn("envoyDebugHeaders"),
            TellsMeshOnly = textAt("metadataExchangeHeaders.mode") == "IN_MESH",
        };

        bool IsOn(string name) => textAt($"{name}.disabled") != "true";

        bool Part(string name, bool unset) => textAt($"setCurrentClientCertDetails.{name}") is { Length: > 0 } text ? text == "true" : unset;
    }

    /// <summary>What a proxy reports in its ProxyConfig; null when that has none.</summary>
    internal static ProxyHeaders? Of(Value? proxyConfig)
    {
        if (proxyConfig?.StructValue?.Fields.TryGetValue("proxyHeaders", out var headers) != true || headers!.StructValue is null) return null;
        return Read(path => path.Split('.')
            .Aggregate((Value?)headers, (at, name) => at?.StructValue?.Fields.TryGetValue(name, out var below) == true ? below : null) switch
        {
            { KindCase: Value.KindOneofCase.StringValue } text => text.StringValue,
            { KindCase: Value.KindOneofCase.BoolValue, BoolValue: true } => "true",
            { KindCase: Value.KindOneofCase.BoolValue } => "false",
            _ => "",
        });
    }

    /// <summary>Whether a text can be the value of <c>server</c>: nothing in it ends the field.</summary>
    public static bool IsServer(string text) => text.All(c => c is >= ' ' and < '\u007f') && text.Trim() == text;
}

/// <summary>Parts of a client's certificate.</summary>
public sealed record ClientCertParts(bool Subject, bool Cert, bool Dns, bool Uri);

namespace Isthmus.Mesh.Model;

/// <summary>The protocol of a service port. <see cref="Auto"/> is detected from the first bytes.</summary>
public enum Protocol
{
    Auto,
    Tcp,
    Udp,
    Http,
    Http2,
    Grpc,
    GrpcWeb,
    Https,
    Tls,
    Mongo,
    Redis,
    MySql,
    Hbone,
}

/// <summary>Protocol selection (Istio: appProtocol, else the port's name up to the first dash, else known ports, else sniffed).</summary>
public static class Protocols
{
    public static Protocol Of(string? transport, string? appProtocol, string? portName, int port)
    {
        if (string.Equals(transport, "UDP", StringComparison.OrdinalIgnoreCase)) return Protocol.Udp;
        if (!string.IsNullOrEmpty(appProtocol)) return OfAppProtocol(appProtocol);
        var byName = OfPortName(portName ?? "");
        if (byName != Protocol.Auto) return byName;
        return port switch { 25 or 53 or 3306 or 27017 => Protocol.Tcp, _ => Protocol.Auto }; // the server speaks first there
    }

    /// <summary>The protocol of a Gateway or ServiceEntry port; null when the text does not name a protocol.</summary>
    public static Protocol? Parse(string text) => text.ToUpperInvariant() switch
    {
        "HTTP" => Protocol.Http,
        "HTTP2" => Protocol.Http2,
        "HTTPS" => Protocol.Https,
        "TLS" => Protocol.Tls,
        "TCP" => Protocol.Tcp,
        "UDP" => Protocol.Udp,
        "GRPC" => Protocol.Grpc,
        "GRPC-WEB" => Protocol.GrpcWeb,
        "MONGO" => Protocol.Mongo,
        "REDIS" => Protocol.Redis,
        "MYSQL" => Protocol.MySql,
        "HBONE" => Protocol.Hbone,
        _ => null,
    };

    public static bool IsHttp(this Protocol protocol) =>
        protocol is Protocol.Http or Protocol.Http2 or Protocol.Grpc or Protocol.GrpcWeb;

    public static bool IsHttp2(this Protocol protocol) => protocol is Protocol.Http2 or Protocol.Grpc or Protocol.GrpcWeb;

    public static bool IsTls(this Protocol protocol) => protocol is Protocol.Https or Protocol.Tls;

    private static Protocol OfAppProtocol(string appProtocol) => appProtocol.ToLowerInvariant() switch
    {
        "kubernetes.io/h2c" => Protocol.Http2,
        "kubernetes.io/ws" => Protocol.Http,
        "kubernetes.io/wss" => Protocol.Https,
        var other => OfPortName(other),
    };

    private static Protocol OfPortName(string name)
    {
        var lower = name.ToLowerInvariant();
        if (lower == "grpc-web" || lower.StartsWith("grpc-web-", StringComparison.Ordinal)) return Protocol.GrpcWeb;
        var dash = lower.IndexOf('-', StringComparison.Ordinal);
        return Parse(dash < 0 ? lower : lower[..dash]) is { } known and not Protocol.Hbone and not Protocol.Udp ? known : Protocol.Auto;
    }
}

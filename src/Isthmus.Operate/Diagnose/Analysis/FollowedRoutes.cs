using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Which routes of VirtualServices a server of a Gateway follows: it sees requests, connections, or only the server names of TLS.</summary>
/// <param name="Kind">The field of the routes: <c>http</c>, <c>tcp</c> or <c>tls</c>.</param>
/// <param name="Does">What the server does with connections.</param>
public sealed record FollowedRoutes(string Kind, string Does, GatewayServer Server)
{
    public static FollowedRoutes Of(GatewayServer server) => server switch
    {
        { Protocol: var protocol } when protocol.IsHttp() => new("http", $"has protocol {protocol.ToString().ToUpperInvariant()}, and sees requests", server),
        { Tls: { Mode: ServerTlsMode.Passthrough or ServerTlsMode.AutoPassthrough } tls } =>
            new("tls", $"passes TLS on without looking inside (mode {tls.ModeText})", server),
        { Protocol: Protocol.Https, Tls: { } tls } => new("http", $"ends TLS (mode {tls.ModeText}), and sees requests", server),
        { Tls: { } tls } => new("tcp", $"ends TLS (mode {tls.ModeText}), and passes connections on without looking inside", server),
        _ => new("tcp", "passes connections on without looking inside", server),
    };

    /// <summary>The routes that a VirtualService has, of the kind that comes first; empty: none.</summary>
    public static string KindOf(VirtualService service) => !service.Http.IsEmpty ? "http" : !service.Tls.IsEmpty ? "tls" : !service.Tcp.IsEmpty ? "tcp" : "";

    /// <summary>What routes of a kind are for.</summary>
    public static string For(string kind) => kind switch { "http" => "requests", "tls" => "TLS", _ => "connections" };

    public bool Has(VirtualService service) => Kind switch
    {
        "http" => !service.Http.IsEmpty,
        "tls" => !service.Tls.IsEmpty,
        _ => !service.Tcp.IsEmpty,
    };

    /// <summary>What helps a VirtualService that has no such routes.</summary>
    /// <param name="has">The kind of those that it has.</param>
    public string Remedy(string has) => (Kind, has, Server.Tls is null) switch
    {
        ("tls", "http", _) => "write tls routes, with match.sniHosts, or let the server end TLS (mode: SIMPLE, with a certificate)",
        ("tls", _, _) => "write tls routes, with match.sniHosts",
        ("http", "tcp", true) => "write http routes, or give the server the protocol TCP",
        ("http", "tcp", _) => "write http routes, or give the server the protocol TLS",
        ("tcp", "http", true) => "write tcp routes, or give the server the protocol HTTP",
        ("tcp", "http", _) => "write tcp routes, or give the server the protocol HTTPS",
        (_, _, true) => $"write {Kind} routes, or give the server the protocol TLS, with tls.mode PASSTHROUGH",
        _ => $"write {Kind} routes, or let the server pass TLS on (tls.mode: PASSTHROUGH)",
    };
}

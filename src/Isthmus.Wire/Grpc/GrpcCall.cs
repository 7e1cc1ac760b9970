using System.Net;
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Http;

namespace Isthmus.Wire.Grpc;

/// <summary>What a server knows about one call besides its messages.</summary>
public sealed class GrpcCall
{
    internal GrpcCall(HttpContext http, CancellationToken stop)
    {
        Http = http;
        Stop = stop;
    }

    public HttpContext Http { get; }

    /// <summary>Ends when the client goes away, the deadline passes or the server stops.</summary>
    public CancellationToken Stop { get; }

    public EndPoint? Peer =>
        Http.Connection.RemoteIpAddress is { } address ? new IPEndPoint(address, Http.Connection.RemotePort) : null;

    /// <summary>The certificate of the client's TLS handshake, as far as the listener asked for one and accepted it.</summary>
    public X509Certificate2? ClientCertificate => Http.Connection.ClientCertificate;

    /// <summary>The first value of a metadata key; names are case-insensitive.</summary>
    public string? Header(string name) => Http.Request.Headers.TryGetValue(name, out var values) && values.Count > 0 ? values[0] : null;

    /// <summary>Who calls, as whoever authenticated the call knows.</summary>
    public object? Caller { get; set; }
}

using System.Net;
using Isthmus.Wire.Tls;

namespace Isthmus.Proxy.Tls;

/// <summary>What is known about a connection when its filter chain is chosen.</summary>
/// <param name="Destination">Where the client wanted to go, before any redirection.</param>
/// <param name="ServerName">From the ClientHello, lower case; empty when none.</param>
/// <param name="TransportProtocol"><c>tls</c> or <c>raw_buffer</c>.</param>
/// <param name="ApplicationProtocols">From the ClientHello's ALPN, or as detected from plain bytes.</param>
internal readonly record struct ConnectionFacts(
    IPEndPoint Destination, IPEndPoint Source, string ServerName, string TransportProtocol, IReadOnlyList<string> ApplicationProtocols)
{
    /// <summary>From the ClientHello; the default when it was not read.</summary>
    public EcdsaSupport Ecdsa { get; init; }

    /// <summary>The other end of the socket, if that is a proxy for <see cref="Source"/>.</summary>
    public IPAddress? DirectSource { get; init; }
}

using System.Net;
using System.Security.Authentication;
using Isthmus.Proxy.Tls;
using Isthmus.Proxy.Transports;

namespace Isthmus.Proxy.Admin;

/// <summary>Mesh TLS of an <see cref="AdminServer"/>: clients show a certificate of the mesh, whoever they are.</summary>
internal sealed class AdminTls(ISecretSource secrets, TimeProvider time)
{
    private static readonly TimeSpan HandshakeTime = TimeSpan.FromSeconds(15);

    private static readonly TlsSettings Settings = new(["default"], TlsSettings.MeshRoots, [], [], RequirePeer: true, "",
        SslProtocols.Tls12 | SslProtocols.Tls13) { IsServer = true };

    private static readonly IPEndPoint Unknown = new(IPAddress.Any, 0);

    /// <exception cref="TransportException">The client has no such certificate, or the proxy has none yet.</exception>
    public ValueTask<TlsTransport> AcceptAsync(SocketTransport socket) =>
        TlsTransport.AcceptAsync(socket, Settings, null, new ConnectionFacts(Unknown, Unknown, "", "tls", []), secrets, HandshakeTime, time);
}

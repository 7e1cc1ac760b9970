using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Isthmus.Tests.Mesh.Lab;

namespace Isthmus.Tests.Mesh.Proxy;

/// <summary>An application that terminates TLS itself, with its own certificate.</summary>
internal sealed class OwnTlsServer : IDisposable
{
    private readonly Socket _listener;
    private readonly X509Certificate2 _certificate;

    internal OwnTlsServer(TestPod pod, int port)
    {
        using var key = RSA.Create(2048);
        var request = new CertificateRequest("CN=own", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        _certificate = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddMinutes(-1), DateTimeOffset.UtcNow.AddHours(1));
        _listener = new NamespaceSockets(pod.Handle).Create(AddressFamily.InterNetwork);
        _listener.Bind(new IPEndPoint(IPAddress.Any, port));
        _listener.Listen();
        _ = ServeAsync();
    }

    public void Dispose()
    {
        _listener.Dispose();
        _certificate.Dispose();
    }

    private async Task ServeAsync()
    {
        try
        {
            while (true)
            {
                using var socket = await _listener.AcceptAsync();
                await using var tls = new SslStream(new NetworkStream(socket, ownsSocket: false));
                await tls.AuthenticateAsServerAsync(new SslServerAuthenticationOptions { ServerCertificate = _certificate });
                await tls.ReadAtLeastAsync(new byte[4096], 1);
                await tls.WriteAsync(Encoding.ASCII.GetBytes("HTTP/1.1 200 OK\r\ncontent-length: 25\r\nconnection: close\r\n\r\nthe application's own TLS"));
                await tls.ShutdownAsync();
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException or IOException)
        {
            // The test is over.
        }
    }
}

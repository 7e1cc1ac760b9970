using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using System.Text;

namespace Isthmus.Bench.Proxies;

/// <summary>Connections that have carried one request each, and then nothing.</summary>
internal sealed class IdleConnections : IDisposable
{
    private const int AtATime = 64;

    private readonly Stream[] _streams;

    private IdleConnections(Stream[] streams) => _streams = streams;

    /// <param name="credentials">For TLS with a client certificate; null for plain connections.</param>
    internal static async Task<IdleConnections> OpenAsync(int port, int count, Credentials? credentials)
    {
        using var certificate = credentials is null ? null : X509Certificate2.CreateFromPemFile(credentials.Chain, credentials.Key);
        var context = certificate is null ? null : SslStreamCertificateContext.Create(certificate, [], offline: true);
        var streams = new Stream[count];
        await Parallel.ForAsync(0, count, new ParallelOptions { MaxDegreeOfParallelism = AtATime },
            async (number, stop) => streams[number] = await OpenAsync(port, context, stop));
        return new(streams);
    }

    public void Dispose()
    {
        foreach (var stream in _streams) stream.Dispose();
    }

    private static async Task<Stream> OpenAsync(int port, SslStreamCertificateContext? certificate, CancellationToken stop)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync(IPAddress.Loopback, port, stop);
        Stream stream = new NetworkStream(socket, ownsSocket: true);
        if (certificate is not null)
        {
            var tls = new SslStream(stream);
            await tls.AuthenticateAsClientAsync(new SslClientAuthenticationOptions
            {
                TargetHost = Credentials.DnsName,
                ClientCertificateContext = certificate,
                AllowTlsResume = false,
                // Who the server is makes no difference to its memory.
                RemoteCertificateValidationCallback = (_, _, _, _) => true,
            }, stop);
            stream = tls;
        }
        await stream.WriteAsync(Encoding.ASCII.GetBytes($"GET / HTTP/1.1\r\nhost: {Credentials.DnsName}\r\n\r\n"), stop);
        var (answer, filled) = (new byte[2048], 0);
        // Small answers end with their last byte of text.
        while (filled == 0 || answer[filled - 1] != 'x')
            filled += await stream.ReadAsync(answer.AsMemory(filled), stop) is > 0 and var read
                ? read
                : throw new IOException($"no answer: {Encoding.ASCII.GetString(answer, 0, filled)}");
        return stream;
    }
}

using System.Globalization;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json.Nodes;

namespace Isthmus.Samples.Echo;

/// <summary>TCP of echo-basic, plain and with TLS: a line of greeting, then an answer to each of the lines <c>PING</c>, <c>IS_TLS</c> and
/// <c>TEST</c>.</summary>
internal sealed class EchoTcp(EchoContext context, int port, int tlsPort)
{
    private const string Welcome = "Gateway API Test TCP Server\n";
    private const int LongestLine = 64 * 1024;

    public static Task RunAsync(Func<string, string?> environment, EchoContext context, CancellationToken stop)
    {
        var server = new EchoTcp(context, EchoContext.Port(environment, "TCP_PORT", 3000), EchoContext.Port(environment, "TLS_PORT", 8443));
        return server.RunAsync(EchoTls.Read(EchoBasicProgram.Name, environment("TLS_SERVER_CERT"), environment("TLS_SERVER_PRIV_KEY")), stop);
    }

    private Task RunAsync(X509Certificate2? certificate, CancellationToken stop)
    {
        var plain = TcpService.RunAsync(EchoBasicProgram.Name, port, async (socket, ended) =>
        {
            await using var stream = new NetworkStream(socket);
            await ServeAsync(stream, null, ended).ConfigureAwait(false);
        }, stop);
        if (certificate is null) return plain;
        var secure = TcpService.RunAsync(EchoBasicProgram.Name, tlsPort, async (socket, ended) =>
        {
            await using var stream = new SslStream(new NetworkStream(socket));
            await stream.AuthenticateAsServerAsync(new SslServerAuthenticationOptions { ServerCertificate = certificate }, ended).ConfigureAwait(false);
            await ServeAsync(stream, stream, ended).ConfigureAwait(false);
        }, stop);
        return Task.WhenAll(plain, secure);
    }

    private async Task ServeAsync(Stream stream, SslStream? tls, CancellationToken stop)
    {
        await stream.WriteAsync(Encoding.ASCII.GetBytes(Welcome), stop).ConfigureAwait(false);
        var line = new StringBuilder();
        var buffer = new byte[4096];
        while (await stream.ReadAsync(buffer, stop).ConfigureAwait(false) is > 0 and var count)
        {
            foreach (var letter in Encoding.Latin1.GetString(buffer, 0, count))
            {
                if (letter != '\n')
                {
                    if (line.Append(letter).Length > LongestLine) return;
                    continue;
                }
                var answer = line.ToString()
                    .TrimEnd('\r') switch { "PING" => "PONG", "IS_TLS" => tls is null ? "false" : "true", "TEST" => Facts(tls).ToJsonString(), _ => null };
                line.Clear();
                if (answer is not null) await stream.WriteAsync(Encoding.UTF8.GetBytes(answer + "\n"), stop).ConfigureAwait(false);
            }
        }
    }

    private JsonObject Facts(SslStream? tls)
    {
        var facts = new JsonObject();
        context.AddTo(facts);
        facts["tcpport"] = port.ToString(CultureInfo.InvariantCulture);
        facts["tlsport"] = tlsPort.ToString(CultureInfo.InvariantCulture);
        facts["isTLS"] = tls is not null;
        if (tls is null) return facts;
        var said = new JsonObject { ["version"] = TlsFacts.NameOf(tls.SslProtocol, "TLS "), ["serverName"] = tls.TargetHostName };
        var protocol = Encoding.ASCII.GetString(tls.NegotiatedApplicationProtocol.Protocol.Span);
        if (protocol.Length > 0) said["negotiatedProtocol"] = protocol;
        said["cipherSuite"] = tls.NegotiatedCipherSuite.ToString();
        facts["tls"] = said;
        return facts;
    }
}

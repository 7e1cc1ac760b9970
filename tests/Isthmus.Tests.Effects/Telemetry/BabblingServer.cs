using System.Net;
using System.Net.Sockets;

namespace Isthmus.Tests.Effects.Telemetry;

/// <summary>A server that answers each connection with bytes that are no protocol.</summary>
internal sealed class BabblingServer : IDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);

    internal BabblingServer()
    {
        _listener.Start();
        Port = ((IPEndPoint)_listener.LocalEndpoint).Port;
        _ = AnswerAsync();
    }

    internal int Port { get; }

    public void Dispose() => _listener.Dispose();

    private async Task AnswerAsync()
    {
        try
        {
            while (true)
            {
                using var client = await _listener.AcceptTcpClientAsync();
                var stream = client.GetStream();
                // It hears the question, so that its answer belongs to it.
                _ = await stream.ReadAsync(new byte[1024]);
                await stream.WriteAsync("\u0001what? 200 maybe\r\n\r\n\0\0\0"u8.ToArray());
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException or IOException)
        {
            // The test is over, or a client did not wait for the rest.
        }
    }
}

using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Core.Problems;

namespace Isthmus.Samples.Echo;

/// <summary>UDP of echo-basic: answers each datagram with JSON that has it.</summary>
internal static class EchoUdp
{
    private const int Largest = 1024;

    public static async Task RunAsync(int port, EchoContext context, CancellationToken stop)
    {
        using var socket = new Socket(AddressFamily.InterNetworkV6, SocketType.Dgram, ProtocolType.Udp) { DualMode = true };
        try
        {
            socket.Bind(new IPEndPoint(IPAddress.IPv6Any, port));
        }
        catch (SocketException e)
        {
            throw new ProblemException(EchoBasicProgram.Name, $"cannot listen on UDP port {port}: {e.Message}",
                "choose another port (UDP_PORT), or stop the program that uses it", e);
        }
        Console.WriteLine($"{EchoBasicProgram.Name} listening at udp://[::]:{port}");
        var buffer = new byte[Largest];
        var anybody = new IPEndPoint(IPAddress.IPv6Any, 0);
        while (!stop.IsCancellationRequested)
        {
            try
            {
                var got = await socket.ReceiveFromAsync(buffer, SocketFlags.None, anybody, stop).ConfigureAwait(false);
                var answer = new JsonObject { ["request"] = Encoding.UTF8.GetString(buffer, 0, got.ReceivedBytes) };
                context.AddTo(answer);
                await socket.SendToAsync(Encoding.UTF8.GetBytes(answer.ToJsonString()), SocketFlags.None, got.RemoteEndPoint, stop).ConfigureAwait(false);
            }
            catch (OperationCanceledException)
            {
                return;
            }
            catch (SocketException)
            {
                // A datagram that is too large, or a client that left: the next one may be fine.
            }
        }
    }
}

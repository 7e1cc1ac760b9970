using System.Net;
using System.Net.Sockets;
using System.Text;
using Isthmus.Core.Net;
using Isthmus.Core.Problems;

namespace Isthmus.Samples;

/// <summary>Echoes every line with a prefix: <c>tcp-echo PORT[,PORT…] PREFIX</c>. On port 9002 it speaks first: it sends
/// the prefix and closes.</summary>
public static class TcpEchoProgram
{
    private const int MaxLine = 64 * 1024;

    /// <summary>The port at which the server speaks first, as in Istio's sample.</summary>
    private const int ServerFirstPort = 9002;

    internal static async Task<int> RunAsync(string[] args, CancellationToken stop)
    {
        var ports = new List<int>();
        foreach (var word in (args.Length > 0 ? args[0] : "9000,9001,9002").Split(',', StringSplitOptions.RemoveEmptyEntries))
            ports.Add(PortNumber.TryParse(word, out var port) && port > 0
                ? port
                : throw new ProblemException("tcp-echo", $"invalid port '{word}'", "usage: tcp-echo PORT[,PORT…] PREFIX"));
        var prefix = args.Length > 1 ? args[1] : "hello";
        var listeners = new List<Socket>();
        try
        {
            foreach (var port in ports) listeners.Add(Listen(port, prefix));
            await Task.WhenAll(listeners.Select(listener => AcceptAsync(listener, prefix, stop))).ConfigureAwait(false);
        }
        finally
        {
            foreach (var listener in listeners) listener.Dispose();
        }
        return 0;
    }

    private static Socket Listen(int port, string prefix)
    {
        var listener = new Socket(AddressFamily.InterNetworkV6, SocketType.Stream, ProtocolType.Tcp) { DualMode = true };
        try
        {
            listener.Bind(new IPEndPoint(IPAddress.IPv6Any, port));
            listener.Listen(512);
        }
        catch (SocketException e)
        {
            listener.Dispose();
            throw new ProblemException("tcp-echo", $"cannot listen at port {port}: {e.Message}", "choose another port, or stop the program that uses it", e);
        }
        Console.WriteLine($"listening on [::]:{port}, prefix: {prefix}");
        return listener;
    }

    private static async Task AcceptAsync(Socket listener, string prefix, CancellationToken stop)
    {
        var connections = new HashSet<Task>();
        while (!stop.IsCancellationRequested)
        {
            try
            {
                var socket = await listener.AcceptAsync(stop).ConfigureAwait(false);
                connections.RemoveWhere(done => done.IsCompleted);
                connections.Add(ServeAsync(socket, prefix, stop));
            }
            catch (OperationCanceledException)
            {
                break;
            }
            catch (SocketException)
            {
                // The caller gave up before it was accepted.
                await Task.Yield();
            }
        }
        await Task.WhenAll(connections).ConfigureAwait(false);
    }

    private static async Task ServeAsync(Socket socket, string prefix, CancellationToken stop)
    {
        using var owned = socket;
        var greeting = Encoding.UTF8.GetBytes(prefix + " ");
        try
        {
            if (((IPEndPoint)socket.LocalEndPoint!).Port == ServerFirstPort)
            {
                await SendAllAsync(socket, Encoding.UTF8.GetBytes(prefix), stop).ConfigureAwait(false);
                socket.Shutdown(SocketShutdown.Send);
                return;
            }
            var buffer = new byte[4096];
            var line = new List<byte>();
            while (true)
            {
                var read = await socket.ReceiveAsync(buffer, stop).ConfigureAwait(false);
                if (read == 0) return;
                for (var i = 0; i < read; i++)
                {
                    line.Add(buffer[i]);
                    if (buffer[i] != '\n')
                    {
                        if (line.Count > MaxLine) return;
                        continue;
                    }
                    await SendAllAsync(socket, (byte[])[.. greeting, .. line], stop).ConfigureAwait(false);
                    line.Clear();
                }
            }
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException)
        {
            // The caller closed, or the server stops: either way this connection is over.
        }
    }

    private static async Task SendAllAsync(Socket socket, ReadOnlyMemory<byte> bytes, CancellationToken stop)
    {
        while (bytes.Length > 0) bytes = bytes[await socket.SendAsync(bytes, stop).ConfigureAwait(false)..];
    }
}

using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Isthmus.Bench.Proxies;

/// <summary>Requests at a steady pace, evenly spread over 10 connections, each with a thread that blocks. The answers have 100 bytes.</summary>
internal static class PacedLoad
{
    private const int Connections = 10, BodyBytes = 100;

    /// <summary>The times of all requests in milliseconds, from sending to the last byte of the answer.</summary>
    internal static async Task<IReadOnlyList<double>> RunAsync(string host, int port, TimeSpan duration, int perSecond = 1000,
        string authority = "app.bench.svc.cluster.local")
    {
        var (begun, interval) = (Stopwatch.GetTimestamp(), TimeSpan.FromSeconds((double)Connections / perSecond));
        var request = Encoding.ASCII.GetBytes($"GET / HTTP/1.1\r\nhost: {authority}\r\nuser-agent: bench\r\naccept: */*\r\n\r\n");
        var times = await Task.WhenAll(Enumerable.Range(0, Connections).Select(number =>
            Task.Factory.StartNew(() => Run(new(IPAddress.Parse(host), port), request, begun, interval, interval * number / Connections, duration),
                TaskCreationOptions.LongRunning)));
        return [.. times.SelectMany(own => own)];
    }

    private static List<double> Run(IPEndPoint server, byte[] request, long begun, TimeSpan interval, TimeSpan first, TimeSpan duration)
    {
        using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        socket.Connect(server);
        var (times, buffer) = (new List<double>(), new byte[4096]);
        for (var next = first; next < duration; next += interval)
        {
#pragma warning disable RS0030 // The pace is a matter of time.
            if (next - Stopwatch.GetElapsedTime(begun) is { Ticks: > 0 } rest) Thread.Sleep(rest);
#pragma warning restore RS0030
            var sent = Stopwatch.GetTimestamp();
            socket.Send(request);
            for (var filled = 0; ;)
            {
                var read = socket.Receive(buffer.AsSpan(filled));
                if (read == 0) throw new IOException("the connection was closed");
                filled += read;
                var head = buffer.AsSpan(0, filled).IndexOf("\r\n\r\n"u8);
                if (head < 0) continue;
                // Other answers may have no body.
                if (!buffer.AsSpan(0, filled).StartsWith("HTTP/1.1 200 "u8)) throw new IOException(Encoding.ASCII.GetString(buffer, 0, Math.Min(filled, 40)));
                if (filled >= head + 4 + BodyBytes) break;
            }
            times.Add(Stopwatch.GetElapsedTime(sent).TotalMilliseconds);
        }
        return times;
    }
}

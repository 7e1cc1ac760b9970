using System.Net;
using System.Net.Sockets;
using Isthmus.Core.Problems;
using Isthmus.Core.Tasks;
using Isthmus.Proxy.Dumps;
using Isthmus.Proxy.Http;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Transports;

namespace Isthmus.Proxy.Admin;

/// <summary>Answers a request; null when it does not serve the path.</summary>
internal delegate ValueTask<AdminReply?> AdminHandler(RequestHead request, CancellationToken stop);

/// <summary>A small HTTP server for the proxy's own endpoints, on the same codec as the traffic, so that no other server
/// has to be loaded.</summary>
/// <param name="failed">Receives a failure of a connection.</param>
internal sealed class AdminServer(IPEndPoint address, ISocketFactory sockets, Action<string, Exception> failed, params IReadOnlyList<AdminHandler> handlers)
{
    private const int MaxConnections = 64;

    /// <summary>Null: plain text.</summary>
    public AdminTls? Tls { get; init; }

    private readonly BackgroundTasks _serving = new(failed);
    private int _connections;

    /// <summary>Opens the socket and serves until <paramref name="stop"/>.</summary>
    /// <exception cref="ProblemException">The address is in use or not permitted.</exception>
    public async Task RunAsync(CancellationToken stop)
    {
        using var listener = sockets.Create(address.AddressFamily);
        try
        {
            listener.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
            // Accepted sockets inherit it. Otherwise the end of a long answer waits 40 ms for the client's acknowledgement.
            listener.NoDelay = true;
            listener.Bind(sockets.Place(address));
            listener.Listen(64);
        }
        catch (SocketException e)
        {
            throw new ProblemException($"port {address.Port}", $"cannot listen on {address}: {e.Message}",
                "stop the program that uses it, or choose another port", e);
        }
        await AcceptAsync(listener, stop).ConfigureAwait(false);
        await _serving.WhenEndedAsync().ConfigureAwait(false);
    }

    private async Task AcceptAsync(Socket listener, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            Socket socket;
            try
            {
                socket = await listener.AcceptAsync(stop).ConfigureAwait(false);
            }
            catch (OperationCanceledException)
            {
                return;
            }
            catch (SocketException)
            {
                continue;
            }
            if (Interlocked.Increment(ref _connections) > MaxConnections)
            {
                Interlocked.Decrement(ref _connections);
                socket.Dispose();
                continue;
            }
            _serving.Start($"admin connection on {address}", () => ServeAsync(socket, stop));
        }
    }

    private async Task ServeAsync(Socket socket, CancellationToken stop)
    {
        try
        {
            var transport = new SocketTransport(socket);
            if (Tls is null) await ServeAsync(transport, stop).ConfigureAwait(false);
            else await ServeAsync(await Tls.AcceptAsync(transport).ConfigureAwait(false), stop).ConfigureAwait(false);
        }
        catch (TransportException)
        {
            // The client has no certificate of the mesh, or is gone.
            socket.Dispose();
        }
        catch (SocketException)
        {
            // The kernel has no room to watch another socket.
            socket.Dispose();
        }
        finally
        {
            Interlocked.Decrement(ref _connections);
        }
    }

    private async Task ServeAsync(Transport transport, CancellationToken stop)
    {
        using var closing = stop.UnsafeRegister(static t => ((Transport)t!).Abort(), transport);
        using var stream = new Http1Downstream(transport, HttpLimits.Default);
        var response = new ResponseHead();
        try
        {
            while (await stream.ReadHeadAsync().ConfigureAwait(false))
            {
                while (!(await stream.ReadBodyAsync().ConfigureAwait(false)).IsEmpty)
                {
                    // Request bodies are ignored here.
                }
                stream.Request.Peer = (transport.Remote as IPEndPoint)?.Address;
                // Some answers take long to write; the loop has connections to serve.
                await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
                var reply = await HandleAsync(stream.Request, stop).ConfigureAwait(false);
                if (reply.IsNone) return;
                await ReplyAsync(stream, response, reply, stop).ConfigureAwait(false);
                if (stream.MustClose) break;
            }
            await transport.CloseWriteAsync().ConfigureAwait(false);
        }
        catch (Exception e) when (e is TransportException or HttpMessageException or OperationCanceledException)
        {
            // The client is gone or does not speak HTTP.
        }
        finally
        {
            transport.Abort();
        }
    }

    private async ValueTask<AdminReply> HandleAsync(RequestHead request, CancellationToken stop)
    {
        foreach (var handler in handlers)
            if (await handler(request, stop).ConfigureAwait(false) is { } reply) return reply;
        return AdminReply.Text("not found\n", 404);
    }

    private static async ValueTask ReplyAsync(Http1Downstream stream, ResponseHead response, AdminReply reply, CancellationToken stop)
    {
        response.Clear();
        response.Status = reply.Status;
        response.Headers.Add("content-type"u8, reply.ContentType);
        if (reply.ContentEncoding.Length > 0)
        {
            response.Headers.Add("content-encoding"u8, reply.ContentEncoding);
            response.Headers.Add("vary"u8, "Accept-Encoding"u8);
        }
        response.Headers.Add("cache-control"u8, "no-cache, max-age=0"u8);
        response.Headers.Add("x-content-type-options"u8, "nosniff"u8);
        var hasBody = stream.Request.Method != "HEAD";
        if (reply.Stream is { } write)
        {
            response.Body = hasBody ? BodyKind.Chunked : BodyKind.None;
            await stream.SendHeadAsync(response).ConfigureAwait(false);
            if (hasBody) await write(stream.SendBodyAsync, stop).ConfigureAwait(false);
        }
        else
        {
            response.ContentLength = reply.Body.Length;
            response.Body = reply.Body.IsEmpty || !hasBody ? BodyKind.None : BodyKind.Length;
            await stream.SendHeadAsync(response).ConfigureAwait(false);
            await stream.SendBodyAsync(reply.Body).ConfigureAwait(false);
        }
        await stream.EndAsync(null).ConfigureAwait(false);
    }
}

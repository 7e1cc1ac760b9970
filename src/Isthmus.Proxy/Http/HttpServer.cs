using Isthmus.Proxy.Http.H2;
using Isthmus.Proxy.Listeners;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Tcp;

namespace Isthmus.Proxy.Http;

/// <summary>Serves HTTP on accepted connections.</summary>
internal sealed class HttpServer(HttpParts parts)
{
    public async Task RunAsync(Downstream connection, HttpAction action)
    {
        var limits = HttpLimits.Default with { HeadBytes = action.HeadBytes };
        using var stream = new Http1Downstream(connection.Transport, limits);
        var isIdle = true;
        using var watched = parts.Watch.Add(action.IdleTimeout, action.MaxDuration, _ => connection.Transport.Abort());
        connection.DrainRequested = () =>
        {
            if (Volatile.Read(ref isIdle)) connection.Transport.Abort();
        };
        connection.EachSecond = () =>
        {
            if (stream.Waiting is not null) stream.LookForClient(TcpInfo.Read(connection.Socket.Socket));
        };
        if (await IsHttp2Async(connection, stream).ConfigureAwait(false))
        {
            await RunHttp2Async(connection, action, stream.Reader, watched).ConfigureAwait(false);
            return;
        }
        var exchange = new HttpExchange(parts, connection, stream);
        for (var requests = 1; ; requests++)
        {
            Volatile.Write(ref isIdle, true);
            if (!await ReadAsync(stream, exchange, action).ConfigureAwait(false)) return;
            Volatile.Write(ref isIdle, false);
            watched.Touch();
            action = Refresh(connection, action);
            if (action.MaxRequests > 0 && requests >= action.MaxRequests) stream.MustClose = true;
            await exchange.RunAsync(action).ConfigureAwait(false);
            watched.Touch();
            if (stream.MustClose || !stream.IsRequestComplete) break;
        }
        await CloseAsync(connection.Transport).ConfigureAwait(false);
    }

    private static async ValueTask<bool> IsHttp2Async(Downstream connection, Http1Downstream stream)
    {
        try
        {
            return connection.Peer?.Alpn is null or "" or "h2" && await stream.TryTakePrefaceAsync().ConfigureAwait(false);
        }
        catch (TransportException)
        {
            // The client left without a request; reading the first one sees that again.
            return false;
        }
    }

    private async Task RunHttp2Async(Downstream connection, HttpAction action, ByteReader reader, IActivity activity)
    {
        var server = new H2Server(connection.Transport, stream =>
        {
            activity.Touch();
            action = Refresh(connection, action);
            return new HttpExchange(parts, connection, stream).RunAsync(action).AsTask();
        });
        connection.DrainRequested = server.Drain;
        await server.RunAsync(reader).ConfigureAwait(false);
    }

    private static async ValueTask<bool> ReadAsync(Http1Downstream stream, HttpExchange exchange, HttpAction action)
    {
        try
        {
            return await stream.ReadHeadAsync().ConfigureAwait(false);
        }
        catch (HttpMessageException e)
        {
            await exchange.RefuseAsync(action, e).ConfigureAwait(false);
            return false;
        }
        catch (TransportException)
        {
            // Between requests a client may close the connection in any way.
            return false;
        }
    }

    // The listener may have changed since the last request: its current configuration applies from now on.
    private HttpAction Refresh(Downstream connection, HttpAction action)
    {
        if (!parts.State.Current.Listeners.TryGetValue(connection.Listener.Name, out var listener) || ReferenceEquals(listener, connection.Listener)) return action;
        connection.Listener = listener;
        if (listener.Chains.Find(connection.Facts) is not { Action: HttpAction next } chain || (chain.Tls is null) != (connection.Peer is null)) return action;
        connection.Chain = chain;
        return next;
    }

    private static async ValueTask CloseAsync(Transport transport)
    {
        try
        {
            await transport.CloseWriteAsync().ConfigureAwait(false);
        }
        catch (TransportException)
        {
            // The client closed first.
        }
    }
}

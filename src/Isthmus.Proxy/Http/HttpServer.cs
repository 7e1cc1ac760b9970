using System.Runtime.CompilerServices;
using Isthmus.Proxy.Filters;
using Isthmus.Proxy.Http2;
using Isthmus.Proxy.Loops;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Policy;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Traffic;
using Isthmus.Proxy.Transports;
using Spoken = Isthmus.Wire.Reports.SpokenPort.Types.Protocol;

namespace Isthmus.Proxy.Http;

/// <summary>Serves HTTP on accepted connections.</summary>
internal sealed class HttpServer(HttpParts parts)
{
    public async Task RunAsync(Downstream connection, HttpAction action)
    {
        Report.OpenedHttp(connection, action.StatPrefix);
        using var stream = new Http1Downstream(connection.Transport, Limits(action));
        var isIdle = true;
        var requests = 0;
        var age = new ConnectionAge(parts.Ports.Time);
        connection.DrainRequested = () =>
        {
            if (age.IsIdle(DrainTimes.LastCall, isBusy: !Volatile.Read(ref isIdle), Volatile.Read(ref requests))) connection.Transport.Abort();
        };
        connection.EachSecond = () =>
        {
            stream.Waiting?.OnSecond();
            stream.LookForHead(parts.Ports.Time);
            if (IsOver(connection, age, action, isBusy: !Volatile.Read(ref isIdle), Volatile.Read(ref requests))) connection.Transport.Abort();
        };
        connection.Socket.Loop.OnEnd(() => stream.OnPeerLeft(connection.Socket.Loop.WasReset));
        if (await IsHttp2Async(connection, stream).ConfigureAwait(false))
        {
            await RunHttp2Async(connection, action, stream.Reader, age).ConfigureAwait(false);
            return;
        }
        var exchange = new HttpExchange(parts, connection, stream);
        while (true)
        {
            Volatile.Write(ref isIdle, true);
            exchange.Rest();
            // Here and not further in, because each method that waits costs memory.
            try
            {
                await stream.IdleAsync().ConfigureAwait(false);
            }
            catch (TransportException)
            {
                // Reading the next request sees that again.
            }
            if (!await ReadAsync(connection, stream, exchange, action, isFirst: requests == 0).ConfigureAwait(false)) return;
            Volatile.Write(ref isIdle, false);
            requests++;
            action = Refresh(connection, action);
            if (action.Codec.MaxRequests > 0 && requests >= action.Codec.MaxRequests) stream.MustClose = true;
            await exchange.RunAsync(action).ConfigureAwait(false);
            if (stream.MustClose || !stream.IsRequestComplete) break;
        }
        if (!stream.HasEnded) await CloseAsync(connection.Transport).ConfigureAwait(false);
    }

    /// <summary>The head of a request is part of the whole: the shorter limit of both counts.</summary>
    private static HttpLimits Limits(HttpAction action)
    {
        var isWhole = action.Times.Request > TimeSpan.Zero && (action.Times.Head <= TimeSpan.Zero || action.Times.Request < action.Times.Head);
        return HttpLimits.Default with
        {
            HeadBytes = action.Codec.HeadBytes,
            HeadTime = isWhole ? action.Times.Request : action.Times.Head,
            LateHead = isWhole ? TimeLimits.RequestDetails : TimeLimits.HeadDetails,
        };
    }

    /// <summary>Whether a connection was without requests for too long. One that is too old is asked to end.</summary>
    private static bool IsOver(Downstream connection, ConnectionAge age, HttpAction action, bool isBusy, int requests)
    {
        if (age.IsIdle(action.Times.Idle, isBusy, requests)) return true;
        if (age.IsOld(action.Times.Connection)) connection.IsTooOld = true;
        if (connection.IsTooOld) connection.DrainRequested?.Invoke();
        return false;
    }

    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
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

    private async Task RunHttp2Async(Downstream connection, HttpAction action, ByteReader reader, ConnectionAge age)
    {
        Interlocked.Increment(ref connection.Http!.OpenedHttp2);
        var server = new H2Server(connection.Transport, stream =>
        {
            action = Refresh(connection, action);
            return (stream.Exchange ??= new HttpExchange(parts, connection, stream)).RunAsync(action);
        }, Math.Min(action.Codec.MaxStreams, H2.MaxStreams), action.Codec.AllowsUpgradesOverHttp2,
            (stream, fault) => (stream.Exchange ??= new HttpExchange(parts, connection, stream)).Report(action, fault));
        connection.DrainRequested = () => server.Drain(DrainTimes.LastCall, parts.Ports.Time);
        connection.EachSecond = () =>
        {
            server.OnSecond(Limits(action).HeadTime, parts.Ports.Time);
            if (IsOver(connection, age, action, isBusy: server.StreamCount > 0, server.Requests)) server.Close();
        };
        await server.RunAsync(reader).ConfigureAwait(false);
    }

    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    private async ValueTask<bool> ReadAsync(Downstream connection, Http1Downstream stream, HttpExchange exchange, HttpAction action, bool isFirst)
    {
        try
        {
            return await stream.ReadHeadAsync().ConfigureAwait(false);
        }
        catch (HttpMessageException e)
        {
            if (isFirst && e.Detail == HeadParser.NoHttp)
                parts.Report.Unexpected(connection, stream.Reader.Span is [0x16, 0x03, ..] ? Spoken.Tls : Spoken.Other);
            try
            {
                await exchange.RefuseAsync(action, e).ConfigureAwait(false);
            }
            finally
            {
                await stream.AbandonHeadAsync(parts.Ports.Time).ConfigureAwait(false);
            }
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
        if (!parts.State.Current.Listeners.TryGetValue(connection.Listener.Name, out var listener) || ReferenceEquals(listener, connection.Listener))
            return action;
        connection.Listener = listener;
        if (listener.Closing(connection.Destination.Port) is { } closing) return Refuse(connection, action, new UnsupportedFilter(closing.Name));
        if (listener.Chains.Find(connection.Facts) is not { Action: HttpAction or UnsupportedAction } chain || (chain.Tls is null) != (connection.Peer is null))
            return action;
        connection.Chain = chain;
        var next = chain.Action as HttpAction ?? action;
        return ConnectionRules.Forbidding(connection, chain) is { } filter ? Refuse(connection, next, filter) : next;
    }

    /// <summary>The connection would not be accepted anymore: its last requests are refused.</summary>
    private static HttpAction Refuse(Downstream connection, HttpAction action, AccessFilter filter)
    {
        connection.IsTooOld = true;
        connection.DrainRequested?.Invoke();
        return action with
        {
            Filters = action.Filters.Only(filter is UnsupportedFilter unknown ? new LackedFilter(unknown.Name) : PolicyFilter.Nobody),
            Codec = action.Codec with { MaxRequests = 1 },
        };
    }

    [AsyncMethodBuilder(typeof(PooledMethodBuilder))]
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

using System.Runtime.CompilerServices;
using Isthmus.Proxy.Loops;
using Isthmus.Proxy.Policy;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Tcp;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Tls;
using Isthmus.Proxy.Traffic;
using Isthmus.Proxy.Transports;
using Microsoft.Extensions.Logging;
using Spoken = Isthmus.Wire.Reports.SpokenPort.Types.Protocol;

namespace Isthmus.Proxy.Listeners;

/// <summary>What filter chains do with connections.</summary>
internal sealed record ConnectionActions(TcpProxy Tcp, Http.HttpServer Http);

/// <summary>
/// The life of one accepted connection, in order: find the intended listener, inspect the first bytes, choose the filter chain,
/// terminate TLS, check the chain's policies, hand over to TCP or HTTP. Whatever ends it before that is reported here.
/// </summary>
internal sealed partial class ConnectionHandler(
    Inspector inspector, ISecretSource secrets, ConnectionAccess access, ConnectionActions actions, Report report, ProxyPorts ports, ILogger log)
{
    private static readonly TimeSpan HandshakeTimeout = TimeSpan.FromSeconds(15);

    private readonly ProxyHeaderFilter _proxyHeaders = new(ports.Time);

    private volatile ListenerIndex _index = new(ProxySnapshot.Empty);

    /// <summary>Must be called for each published snapshot.</summary>
    public void Publish(ProxySnapshot snapshot)
    {
        _index = new(snapshot);
        report.Downstream.Keep(snapshot.Listeners.Values.Where(listener => listener.Udp is null).Select(listener => listener.Place));
    }

    public async Task HandleAsync(Downstream connection, CancellationToken stop)
    {
        var start = ports.Time.GetTimestamp();
        var closing = connection.Listener.Closing(connection.Destination.Port);
        HandOff(connection);
        report.Opened(connection);
        try
        {
            if ((closing ?? connection.Listener.Closing(connection.Destination.Port)) is { } unknown)
            {
                End(connection, start, EndReason.DeniedByPolicy, UnsupportedFilter.DetailsOf(unknown.Name));
                return;
            }
            if (connection.Listener.ProxyHeader is { } rules && !await _proxyHeaders.ApplyAsync(connection, rules, stop).ConfigureAwait(false))
            {
                End(connection, start, EndReason.ClientProtocolError, "");
                return;
            }
            if (await ChooseAsync(connection, start, stop).ConfigureAwait(false) is not { } chain) return;
            // With TLS, the caller is known only after the handshake.
            if (chain.Tls is not null && !await TakeTlsOffAsync(connection, chain.Tls, start).ConfigureAwait(false)) return;
            if (!await AdmitAsync(connection, chain, start).ConfigureAwait(false)) return;
            if (chain.Action is TcpAction action) await actions.Tcp.RunAsync(connection, action, start).ConfigureAwait(false);
            else
            {
                connection.Opened?.Invoke(null);
                await actions.Http.RunAsync(connection, (HttpAction)chain.Action).ConfigureAwait(false);
            }
        }
        catch (TransportException e)
        {
            End(connection, start, EndReason.ClientClosed, e.Message);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            End(connection, start, EndReason.Draining, "");
        }
        catch (Exception bug)
        {
            // The only place that catches everything: a bug ends one connection, is counted and logs where it happened.
            LogBug(bug);
            End(connection, start, EndReason.Bug, bug.Message);
        }
        finally
        {
            connection.Transport.Abort();
            connection.Opened?.Invoke("the internal listener has closed the connection");
            report.Closed(connection);
        }
    }

    // A listener that only receives redirected connections hands each to the listener of its destination, if there is one.
    private void HandOff(Downstream connection)
    {
        if (connection.Listener.HandOff && _index.Find(connection.Destination) is { } meant) connection.Listener = meant;
    }

    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    private async ValueTask<FilterChainSnapshot?> ChooseAsync(Downstream connection, long start, CancellationToken stop)
    {
        var seen = await inspector.InspectAsync(connection.Socket, connection.Listener, connection.Destination.Port, stop).ConfigureAwait(false);
        if (seen.IsClosed) return null;
        if (seen.Timeout && !connection.Listener.ContinueOnTimeout)
        {
            End(connection, start, EndReason.NoFilterChain, "listener_filter_timeout");
            return null;
        }
        connection.Facts = new(connection.Destination, connection.Source, seen.ServerName, seen.TransportProtocol,
            seen.Protocols) { Ecdsa = seen.Ecdsa, DirectSource = connection.DirectSource };
        connection.Chain = connection.Listener.Chains.Find(connection.Facts);
        if (connection.Chain is { } chain)
        {
            if (seen.Plain is { } plain && chain.Action is TcpAction) report.Unexpected(connection, plain);
            return chain;
        }
        Interlocked.Increment(ref connection.Counts!.Unmatched);
        if (seen.TransportProtocol == "tls") report.Unexpected(connection, Spoken.Tls);
        End(connection, start, EndReason.NoFilterChain, "filter_chain_not_found");
        return null;
    }

    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    private async ValueTask<bool> AdmitAsync(Downstream connection, FilterChainSnapshot chain, long start)
    {
        if (chain.Access.Count == 0 || await access.CheckAsync(connection, chain).ConfigureAwait(false) is not { } refusal) return true;
        End(connection, start, refusal.Reason, refusal.Details);
        return false;
    }

    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    private async ValueTask<bool> TakeTlsOffAsync(Downstream connection, TlsSettings settings, long start)
    {
        try
        {
            var alpn = connection.Chain is { ExchangesMetadata: true } ? settings.Alpn : settings.AlpnWithoutExchange;
            connection.Transport = await TlsTransport.AcceptAsync(
                connection.Socket, settings, TlsTransport.ChooseAlpn(alpn, connection.Facts.ApplicationProtocols), connection.Facts, secrets, HandshakeTimeout,
                ports.Time)
                .ConfigureAwait(false);
        }
        catch (TransportException e)
        {
            Interlocked.Increment(ref connection.Counts!.FailedHandshakes);
            if (connection.Chain?.Action is HttpAction && !connection.Facts.ApplicationProtocols.Any(IsOfMesh)) report.Unexpected(connection, Spoken.Tls);
            End(connection, start, EndReason.ClientTlsFailed, e.Message);
            return false;
        }
        Interlocked.Increment(ref connection.Counts!.Handshakes);
        return true;
    }

    /// <summary>Proxies of the mesh say by such a protocol that they mean the proxy here, and not the application.</summary>
    private static bool IsOfMesh(string protocol) => protocol.StartsWith("istio", StringComparison.Ordinal);

    private void End(Downstream connection, long start, EndReason reason, string details)
    {
        var record = new TrafficRecord
        {
            Start = ports.Time.GetUtcNow() - ports.Time.GetElapsedTime(start),
            StartedAt = start,
            Duration = ports.Time.GetElapsedTime(start),
            Reason = reason,
            TransportFailure = reason == EndReason.ClientTlsFailed ? details : "",
            Details = reason == EndReason.NoFilterChain ? details : "",
            TerminationDetails = reason is EndReason.DeniedByPolicy or EndReason.Unauthorized ? details : "",
            DownstreamLocal = connection.Destination,
            DownstreamRemote = connection.Source,
            DownstreamPeer = connection.Peer,
            ServerName = connection.Facts.ServerName ?? "",
            ChainName = connection.Chain?.Name ?? "",
            State = connection.State,
        };
        report.Connection(connection, record, connection.Listener.AccessLogs);
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "Internal error; connection closed")]
    private partial void LogBug(Exception bug);
}

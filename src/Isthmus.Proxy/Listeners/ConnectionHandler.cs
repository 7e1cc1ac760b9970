using Isthmus.Proxy.Policy;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Tcp;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Tls;
using Microsoft.Extensions.Logging;

namespace Isthmus.Proxy.Listeners;

/// <summary>
/// The life of one accepted connection, in order: find the intended listener, inspect the first bytes, choose the filter chain,
/// check the chain's policies, terminate TLS, hand over to TCP or HTTP. Whatever ends it before that is reported here.
/// </summary>
internal sealed partial class ConnectionHandler(
    Inspector inspector, ISecretSource secrets, TcpProxy tcp, Http.HttpServer http, Report report, ProxyPorts ports, ILogger log)
{
    private static readonly TimeSpan HandshakeTimeout = TimeSpan.FromSeconds(15);

    private volatile ListenerIndex _index = new(ProxySnapshot.Empty);

    /// <summary>Must be called for each published snapshot.</summary>
    public void Publish(ProxySnapshot snapshot) => _index = new(snapshot);

    public async Task HandleAsync(Downstream connection, CancellationToken stop)
    {
        var start = ports.Time.GetTimestamp();
        report.Opened();
        try
        {
            HandOff(connection);
            if (await ChooseAsync(connection, start, stop).ConfigureAwait(false) is not { } chain) return;
            if (!Admit(connection, chain, start)) return;
            if (chain.Tls is not null && !await TakeTlsOffAsync(connection, chain.Tls, start).ConfigureAwait(false)) return;
            if (chain.Action is TcpAction action) await tcp.RunAsync(connection, action, start).ConfigureAwait(false);
            else await http.RunAsync(connection, (HttpAction)chain.Action).ConfigureAwait(false);
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
            report.Closed();
        }
    }

    // A listener that only receives redirected connections hands each to the listener of its destination, if there is one.
    private void HandOff(Downstream connection)
    {
        if (connection.Listener.HandOff && _index.Find(connection.Destination) is { } meant) connection.Listener = meant;
    }

    private async ValueTask<FilterChainSnapshot?> ChooseAsync(Downstream connection, long start, CancellationToken stop)
    {
        var seen = await inspector.InspectAsync(connection.Socket, connection.Listener, connection.Destination.Port, stop).ConfigureAwait(false);
        if (seen.IsClosed) return null;
        if (seen.Timeout && !connection.Listener.ContinueOnTimeout)
        {
            End(connection, start, EndReason.NoFilterChain, "listener_filter_timeout");
            return null;
        }
        connection.Facts = new(connection.Destination, connection.Source, seen.ServerName, seen.TransportProtocol, seen.Protocols) { Ecdsa = seen.Ecdsa };
        connection.Chain = connection.Listener.Chains.Find(connection.Facts);
        if (connection.Chain is null) End(connection, start, EndReason.NoFilterChain, "filter_chain_not_found");
        return connection.Chain;
    }

    private bool Admit(Downstream connection, FilterChainSnapshot chain, long start)
    {
        // With TLS the caller is known only after the handshake; TcpProxy and HttpServer ask then.
        if (chain.Tls is not null || chain.Action is HttpAction || Denial(connection, chain) is not { } rule) return true;
        End(connection, start, EndReason.DeniedByPolicy, $"rbac_access_denied_matched_policy[{rule}]");
        return false;
    }

    private async ValueTask<bool> TakeTlsOffAsync(Downstream connection, TlsSettings settings, long start)
    {
        try
        {
            var alpn = connection.Chain is { ExchangesMetadata: true } ? settings.Alpn : settings.AlpnWithoutExchange;
            connection.Transport = await TlsTransport.AcceptAsync(
                connection.Socket, settings, TlsTransport.ChooseAlpn(alpn, connection.Facts.ApplicationProtocols), connection.Facts, secrets, HandshakeTimeout, ports.Time).ConfigureAwait(false);
        }
        catch (TransportException e)
        {
            End(connection, start, EndReason.ClientTlsFailed, e.Message);
            return false;
        }
        if (Denial(connection, connection.Chain!) is not { } rule) return true;
        End(connection, start, EndReason.DeniedByPolicy, $"rbac_access_denied_matched_policy[{rule}]");
        return false;
    }

    /// <summary>The rule that denies a connection; null when none does.</summary>
    internal static string? Denial(Downstream connection, FilterChainSnapshot chain)
    {
        if (chain.Policies.Count == 0) return null;
        var facts = new PolicyFacts(null, "", connection.Peer, connection.Source, connection.Source.Address, connection.Destination, connection.Facts.ServerName);
        foreach (var policy in chain.Policies)
            if (policy.Decide(facts) is { IsAllowed: false } verdict) return verdict.Rule.Length > 0 ? verdict.Rule : "none";
        return null;
    }

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
            TerminationDetails = reason is EndReason.DeniedByPolicy ? details : "",
            DownstreamLocal = connection.Destination,
            DownstreamRemote = connection.Source,
            DownstreamPeer = connection.Peer,
            ServerName = connection.Facts.ServerName ?? "",
            ChainName = connection.Chain?.Name ?? "",
        };
        report.Connection(connection, record, connection.Listener.AccessLogs);
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "Internal error; connection closed")]
    private partial void LogBug(Exception bug);
}

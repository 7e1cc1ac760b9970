using System.Runtime.CompilerServices;
using Isthmus.Core.Tasks;
using Isthmus.Proxy.Loops;
using Isthmus.Proxy.Tls;
using Isthmus.Proxy.Transports;

namespace Isthmus.Proxy.Clusters;

/// <summary>Opens transports to the hosts of clusters, with the TLS that the endpoint asks for, and updates the counters of
/// host and cluster.</summary>
internal sealed class UpstreamConnector(Dialer dialer, ISecretSource secrets, BackgroundTasks background, TimeProvider time)
{
    /// <summary>Connects to a host. The caller must call <see cref="Release"/> once for each success.</summary>
    /// <param name="alpn">The protocols to offer over TLS; null: those of the cluster.</param>
    /// <param name="exchanges">The caller speaks <c>istio-peer-exchange</c>; otherwise it is not offered.</param>
    /// <param name="authority">The host of the request that the connection is for; empty when there is none.</param>
    /// <param name="carried">The connection that it carries, for hosts that are told; null: none.</param>
    /// <param name="patience">Time until the host must have taken the connection, at most the cluster's connect timeout.</param>
    /// <exception cref="TransportException">The host could not be reached, or its identity is wrong.</exception>
    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    public async ValueTask<Transport> ConnectAsync(ClusterState cluster, Host host, string authority, IReadOnlyList<string>? alpn, TimeSpan patience,
        ProxiedConnection? carried, bool exchanges = false)
    {
        var config = cluster.Config;
        var start = time.GetTimestamp();
        Interlocked.Increment(ref cluster.Counters.Connects);
        Interlocked.Increment(ref host.Counters.Connects);
        SocketTransport? socket = null;
        try
        {
            var match = config.SocketFor(host.Endpoint);
            if (match?.Unsupported is { Length: > 0 } why) throw new TransportException(TransportFailure.Unreachable, why);
            socket = host.Endpoint.MoreAddresses.IsEmpty
                ? await dialer.ConnectAsync(host.Address, config.BindAddress, patience, config.Keepalive).ConfigureAwait(false)
                : await dialer.RaceAsync([host.Address, .. host.Endpoint.MoreAddresses], config.BindAddress, patience, config.Keepalive).ConfigureAwait(false);
            var tls = match is null ? config.Tls : match.Tls;
            if ((match is null ? config.ProxyHeader : match.ProxyHeader) is { } header)
                await socket.WriteAsync(ProxyHeader.Write(header, carried)).ConfigureAwait(false);
            Transport transport = tls is null
                ? socket
                : await TlsTransport.ConnectAsync(socket, tls, authority, alpn ?? (exchanges ? tls.Alpn : tls.AlpnWithoutExchange), secrets,
                    config.ConnectTimeout, time)
                    .ConfigureAwait(false);
            if (tls is not null) Interlocked.Increment(ref cluster.Counters.Handshakes);
            host.Connected();
            transport.Suspected = () => cluster.Suspect(host);
            return transport;
        }
        catch (TransportException e)
        {
            socket?.Abort();
            if (e.Failure == TransportFailure.TimedOut) Interlocked.Increment(ref cluster.Counters.ConnectTimeouts);
            if (e.Failure == TransportFailure.Tls) Interlocked.Increment(ref cluster.Counters.TlsFailures);
            cluster.ConnectFailed(host, time.GetElapsedTime(start));
            throw;
        }
    }

    /// <summary>
    /// Probes with its own connections whether unreachable hosts are back, so that no request is put at risk.
    /// At most once a second; returns before the probes complete.
    /// </summary>
    public void ProveDoubted(ClusterState cluster)
    {
        foreach (var host in cluster.TakeDoubted()) background.Start("probe of an unreachable host", () => ProveAsync(cluster, host));
    }

    private async Task ProveAsync(ClusterState cluster, Host host)
    {
        var start = time.GetTimestamp();
        try
        {
            var socket = await dialer.RaceAsync([host.Address, .. host.Endpoint.MoreAddresses], cluster.Config.BindAddress, cluster.Config.ConnectTimeout,
                cluster.Config.Keepalive)
                .ConfigureAwait(false);
            host.Trust();
            socket.Abort();
        }
        catch (TransportException)
        {
            cluster.ConnectFailed(host, time.GetElapsedTime(start));
        }
    }

    public static void Release(Host host) => host.Disconnected();

    /// <summary>Envoy's text for why a connection failed.</summary>
    public static string Describe(TransportException e) => e.Failure switch
    {
        TransportFailure.Tls => e.Message,
        TransportFailure.Refused => "delayed_connect_error:_111",
        TransportFailure.TimedOut => "connection_timeout",
        TransportFailure.Reset => "connection_reset",
        TransportFailure.Unreachable => $"immediate_connect_error:_{e.Message.Replace(' ', '_')}",
        _ => "",
    };
}

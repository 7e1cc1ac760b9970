using System.Net;
using System.Runtime.CompilerServices;
using Isthmus.Core.Tasks;
using Isthmus.Proxy.Loops;
using Isthmus.Proxy.Tls;
using Isthmus.Proxy.Transports;

namespace Isthmus.Proxy.Clusters;

/// <summary>Opens transports to the hosts of clusters, by the steps that the endpoint asks for, and updates the counters of
/// host and cluster.</summary>
internal sealed class UpstreamConnector(Dialer dialer, ISecretSource secrets, BackgroundTasks background, TimeProvider time)
{
    private readonly ConnectParts _parts = new(secrets, time);

    /// <summary>Connects to a host. The caller must call <see cref="Release"/> once for each success.</summary>
    /// <param name="cluster">That of the host.</param>
    /// <param name="host">Where to.</param>
    /// <param name="purpose">What it is for.</param>
    /// <param name="patience">Time until the host must have taken the connection, at most the cluster's connect timeout.</param>
    /// <exception cref="TransportException">The host could not be reached, or its identity is wrong.</exception>
    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    public async ValueTask<Transport> ConnectAsync(ClusterState cluster, Host host, ConnectPurpose purpose, TimeSpan patience)
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
            var steps = match?.Steps ?? config.Steps;
            var endpoint = host.Endpoint;
            var forward = steps.ForwardProxy?.Of(endpoint);
            socket = forward is not null || endpoint.MoreAddresses.IsEmpty
                ? await dialer.ConnectAsync(forward ?? endpoint.Address, config.BindAddress, patience, config.Keepalive).ConfigureAwait(false)
                : await dialer.RaceAsync([endpoint.Address, .. endpoint.MoreAddresses], config.BindAddress, patience, config.Keepalive).ConfigureAwait(false);
            var transport = await steps.TakeAsync(socket, endpoint, cluster, purpose, _parts).ConfigureAwait(false);
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
            var config = cluster.Config;
            var forward = (config.SocketFor(host.Endpoint)?.Steps ?? config.Steps).ForwardProxy?.Of(host.Endpoint);
            EndPoint[] addresses = forward is null ? [host.Address, .. host.Endpoint.MoreAddresses] : [forward];
            var socket = await dialer.RaceAsync(addresses, config.BindAddress, config.ConnectTimeout, config.Keepalive).ConfigureAwait(false);
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

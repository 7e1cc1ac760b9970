using System.Net;
using System.Runtime.CompilerServices;
using Isthmus.Core.Tasks;
using Isthmus.Proxy.Loops;
using Isthmus.Proxy.Tls;
using Isthmus.Proxy.Transports;

namespace Isthmus.Proxy.Clusters;

/// <summary>Opens transports to the hosts of clusters, by the steps that the endpoint asks for, and updates the counters of
/// host and cluster.</summary>
internal sealed class UpstreamConnector(
    Dialer dialer, IInternalListeners listeners, ISecretSource secrets, BackgroundTasks background, TimeProvider time)
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
        var start = time.GetTimestamp();
        Interlocked.Increment(ref cluster.Counters.Connects);
        Interlocked.Increment(ref host.Counters.Connects);
        try
        {
            var steps = StepsTo(cluster, host);
            var transport = await OpenAsync(cluster, host.Endpoint, steps, purpose, patience, start).ConfigureAwait(false);
            if (steps.Tls is not null) Interlocked.Increment(ref cluster.Counters.Handshakes);
            host.Connected();
            transport.Suspected = () => cluster.Suspect(host);
            return transport;
        }
        catch (TransportException e)
        {
            if (e.Failure == TransportFailure.TimedOut) Interlocked.Increment(ref cluster.Counters.ConnectTimeouts);
            if (e.Failure == TransportFailure.Tls) Interlocked.Increment(ref cluster.Counters.TlsFailures);
            cluster.ConnectFailed(host, time.GetElapsedTime(start), Describe(e));
            throw;
        }
    }

    /// <summary>
    /// Probes with its own connections, by the steps of any other, whether unreachable hosts are back, so that no request is put at risk.
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
            var steps = StepsTo(cluster, host).WithoutRequest;
            var transport = await OpenAsync(cluster, host.Endpoint, steps, new("", null, Exchanges: false, Carried: null), cluster.Config.ConnectTimeout, start)
                .ConfigureAwait(false);
            host.Trust();
            transport.Abort();
        }
        catch (TransportException e)
        {
            cluster.ConnectFailed(host, time.GetElapsedTime(start), Describe(e));
        }
    }

    /// <exception cref="TransportException">This proxy does not know a step.</exception>
    private static ConnectSteps StepsTo(ClusterState cluster, Host host)
    {
        var match = cluster.Config.SocketFor(host.Endpoint);
        if (match?.Unsupported is { Length: > 0 } why) throw new TransportException(TransportFailure.Unreachable, why);
        return match?.Steps ?? cluster.Config.Steps;
    }

    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    private async ValueTask<Transport> OpenAsync(
        ClusterState cluster, Endpoint endpoint, ConnectSteps steps, ConnectPurpose purpose, TimeSpan patience, long start)
    {
        var config = cluster.Config;
        var forward = steps.ForwardProxy?.Of(endpoint);
        var address = forward ?? endpoint.Address;
        var socket = address is InternalEndPoint inside
            ? await listeners.ConnectAsync(inside, steps.Internal?.For(endpoint, purpose) ?? new(null, purpose.Passed.Bare), patience).ConfigureAwait(false)
            : forward is not null || endpoint.MoreAddresses.IsEmpty
            ? await dialer.ConnectAsync(address, config.BindAddress, patience, config.Keepalive).ConfigureAwait(false)
            : await dialer.RaceAsync([endpoint.Address, .. endpoint.MoreAddresses], config.BindAddress, patience, config.Keepalive).ConfigureAwait(false);
        try
        {
            return await steps.TakeAsync(socket, endpoint, purpose, (config.ConnectTimeout, start), _parts).ConfigureAwait(false);
        }
        catch (TransportException)
        {
            socket.Abort();
            throw;
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

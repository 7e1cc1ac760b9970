using System.Net;
using System.Runtime.CompilerServices;
using Isthmus.Proxy.Clusters;
using Isthmus.Proxy.Loops;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Traffic;
using Isthmus.Proxy.Transports;
using Isthmus.Proxy.Upstreams;

namespace Isthmus.Proxy.Tcp;

/// <summary>Carries a connection's bytes to a host of a cluster and back.</summary>
internal sealed class TcpProxy(
    SnapshotState state, UpstreamConnector connector, HttpTunnels tunnels, ActivityWatch watch, Report report, ProxyPorts ports, ProxyIdentity self)
{
    private readonly byte[] _introduction = PeerExchange.Introduction(self);

    /// <summary>Nothing has been sent yet, so another host is as good: how many hosts are tried.</summary>
    private const int LeastAttempts = 3;

    private static readonly TimeSpan DrainIdle = TimeSpan.FromMilliseconds(500);

    public async Task RunAsync(Downstream connection, TcpAction action, long start)
    {
        var record = new TrafficRecord
        {
            Start = ports.Time.GetUtcNow() - ports.Time.GetElapsedTime(start),
            StartedAt = start,
            DownstreamLocal = connection.Destination,
            DownstreamRemote = connection.Source,
            DownstreamPeer = connection.Peer,
            ServerName = connection.Facts.ServerName,
            ChainName = connection.Chain!.Name,
            State = connection.State,
            ClusterName = action.BySni?.Cluster(connection.Facts.ServerName) ?? Choose(action, ports.Random).Cluster,
        };
        await CarryAsync(connection, action, record).ConfigureAwait(false);
        record.Duration = ports.Time.GetElapsedTime(start);
        report.Tcp(connection, record, action.AccessLogs);
    }

    internal static TcpTarget Choose(TcpAction action, Random random)
    {
        if (action.Targets.Count == 1) return action.Targets[0];
        var at = random.NextInt64(action.TotalWeight);
        foreach (var target in action.Targets)
            if ((at -= target.Weight) < 0) return target;
        return action.Targets[^1];
    }

    [AsyncMethodBuilder(typeof(PooledMethodBuilder))]
    private async ValueTask CarryAsync(Downstream connection, TcpAction action, TrafficRecord record)
    {
        if (!state.Current.Clusters.TryGetValue(record.ClusterName, out var cluster))
        {
            record.Reason = EndReason.ClusterNotFound;
            return;
        }
        record.Cluster = cluster;
        // Tunnels are requests: the connections that carry them are counted by themselves.
        if (!(action.Tunnel is null ? cluster.TryBeginConnection() : cluster.TryBeginRequest(canQueue: false)))
        {
            record.Reason = EndReason.Overflow;
            return;
        }
        try
        {
            if (await ConnectAsync(connection, action, cluster, record).ConfigureAwait(false) is not { } upstream)
            {
                connection.Opened?.Invoke(record.TransportFailure.Length > 0 ? record.TransportFailure : EndReasons.Flag(record.Reason));
                return;
            }
            connection.Opened?.Invoke(null);
            report.Connected(connection, record, action, ports.Time.GetElapsedTime(record.StartedAt));
            await CopyAsync(connection, action, upstream, record).ConfigureAwait(false);
        }
        finally
        {
            if (action.Tunnel is null) cluster.EndConnection();
            else cluster.EndRequest();
        }
    }

    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    private async ValueTask<Upstream?> ConnectAsync(Downstream connection, TcpAction action, ClusterState cluster, TrafficRecord record)
    {
        List<Host>? tried = null;
        ulong? key = cluster.Config.Policy == BalancingPolicy.Hash ? XxHash64.Of(connection.Source.Address) : null;
        var carried = cluster.Config.TellsClients ? new ProxiedConnection(connection.Source, connection.Destination) : null;
        var attempts = Math.Max(action.ConnectAttempts, LeastAttempts);
        for (var attempt = 1; attempt <= attempts; attempt++)
        {
            var picked = cluster.Names is { } names
                ? await names.PickAsync(connection.Facts.ServerName, ports, tried).ConfigureAwait(false)
                : cluster.Pick(tried, key, connection.DestinationIn(cluster.Config));
            if (picked is not { } host || tried?.Contains(host) == true) break;
            record.Host = host;
            record.Attempts = attempt;
            try
            {
                var patience = attempt < attempts && cluster.HasOther(host, tried) ? cluster.ShortPatience : cluster.Config.ConnectTimeout;
                var upstream = action.Tunnel is { } tunnel
                    ? new Upstream(await tunnels.OpenAsync(cluster, host, tunnel, patience, record).ConfigureAwait(false))
                    : new Upstream(await connector.ConnectAsync(cluster, host,
                        new("", null, cluster.Config.ExchangesMetadata, carried) { Passed = record.State.Shared }, patience).ConfigureAwait(false));
                record.UpstreamLocal = upstream.Local;
                record.UpstreamPeer = upstream.Peer;
                record.TransportFailure = "";
                return upstream;
            }
            catch (TransportException e)
            {
                record.TransportFailure = UpstreamConnector.Describe(e);
                (tried ??= []).Add(host);
            }
        }
        record.Reason = tried is null ? EndReason.NoHealthyUpstream : EndReason.ConnectFailed;
        record.RetriesExhausted = record.Attempts > 1;
        if (tried is null) cluster.Counters.FoundNoHost();
        return null;
    }

    [AsyncMethodBuilder(typeof(PooledMethodBuilder))]
    private async ValueTask CopyAsync(Downstream connection, TcpAction action, Upstream connected, TrafficRecord record)
    {
        var (host, upstream) = (record.Host!, connected.Bytes);
        var (ended, isWhole) = (EndReason.Completed, false);
        void Cut(EndReason reason)
        {
            ended = reason;
            upstream.Abort(reset: true);
            connection.Transport.Abort(reset: true);
        }
        using var watched = watch.Add(action.IdleTimeout, action.MaxDuration, isOld => Cut(isOld ? EndReason.DurationLimit : EndReason.IdleTimeout));
        var (client, server) = (PeerExchange.Over(connection.Transport, _introduction), PeerExchange.Over(upstream, _introduction));
        var relay = new Relay(client, server, watched, ports.Time);
        connection.DrainRequested = () =>
        {
            // Inside TLS the proxy cannot signal the peers: end when the last bytes were a response and nothing has moved since.
            if (relay.IsStill(DrainIdle)) Cut(EndReason.Draining);
        };
        connection.SnapshotChanged = snapshot =>
        {
            if (IsForbidden(connection, snapshot)) Cut(EndReason.DeniedByPolicy);
        };
        // Nobody reads from a client that has ended its direction: when it leaves, the server's next bytes would be the first to find out.
        connection.Socket.Loop.OnEnd(() =>
        {
            if (connection.Socket.Loop.WasReset) Cut(EndReason.ClientClosed);
        });
        var counted = report.Open.Add(
            connection.Listener.Direction, record, action.Metrics, relay,
            (connection.Listener.Direction == Direction.Inbound ? client : server) as PeerExchange);
        host.Begin();
        try
        {
            var end = await relay.RunAsync().ConfigureAwait(false);
            isWhole = end == RelayEnd.Completed && ended == EndReason.Completed;
            record.Reason = ended != EndReason.Completed ? ended : end switch
            {
                RelayEnd.DownstreamReset => EndReason.ClientClosed,
                RelayEnd.UpstreamReset => EndReason.UpstreamReset,
                _ => EndReason.Completed,
            };
        }
        finally
        {
            counted.Dispose();
            connected.End(host, isWhole);
            host.End();
            if (record.Cluster is { } cluster)
            {
                Interlocked.Add(ref cluster.Counters.BytesSent, relay.Received);
                Interlocked.Add(ref cluster.Counters.BytesReceived, relay.Sent);
                cluster.Answered(host, 0);
            }
        }
    }

    /// <summary>Where the bytes of a connection go: to a host, or through a host's tunnel.</summary>
    private readonly struct Upstream
    {
        private readonly UpstreamStream? _tunnel;

        public Upstream(Transport bytes) => Bytes = bytes;

        public Upstream(HttpTunnel tunnel) => (Bytes, _tunnel) = (tunnel.Bytes, tunnel.Stream);

        public Transport Bytes { get; }

        public EndPoint? Local => _tunnel is null ? Bytes.Local : _tunnel.Local;

        public TlsPeer? Peer => _tunnel is null ? Bytes.Peer : _tunnel.Peer;

        /// <param name="isWhole">Both sides have ended their direction.</param>
        public void End(Host host, bool isWhole)
        {
            // What carries a tunnel is counted, and perhaps kept, by its pool. The end of a tunnel may be on its way out.
            if (_tunnel is null || !isWhole) Bytes.Abort();
            if (_tunnel is null) UpstreamConnector.Release(host);
            // Tunnels over HTTP/1.1 begin with a connection of their own, so that nobody would take this one from the pool.
            else if (_tunnel is Http1Upstream alone) alone.Close();
            else _tunnel.Release();
        }
    }

    private static bool IsForbidden(Downstream connection, ProxySnapshot snapshot) =>
        snapshot.Listeners.TryGetValue(connection.Listener.Name, out var listener) && !ReferenceEquals(listener, connection.Listener) &&
        listener.Chains.Find(connection.Facts) is { } chain && ConnectionRules.Forbidding(connection, chain) is not null;
}

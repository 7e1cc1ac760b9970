using System.Collections.Concurrent;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Tcp;

namespace Isthmus.Proxy.Telemetry;

/// <summary>Counts established TCP connections while they are open, as Istio's filter does: a connection that lasts for days would otherwise
/// be missing from its metrics for days.</summary>
internal sealed class OpenConnections(MeshMetrics metrics)
{
    /// <summary>How often they are counted (Istio's <c>tcp_reporting_duration</c>).</summary>
    internal const int PeriodSeconds = 5;

    private readonly ConcurrentDictionary<OpenConnection, byte> _open = new();
    private int _seconds;

    /// <summary>Counts a connection until the result is disposed of; its end is reported by its owner.</summary>
    /// <param name="peer">The transport that reads what the peer says about itself; null: it says nothing.</param>
    public OpenConnection Add(Direction direction, TrafficRecord record, MetricRules? rules, Relay relay, PeerExchange? peer)
    {
        var connection = new OpenConnection(this, direction, record, rules, relay, peer);
        _open.TryAdd(connection, 0);
        return connection;
    }

    /// <summary>Called once a second.</summary>
    public void Look()
    {
        if (++_seconds % PeriodSeconds == 0) CountAll();
    }

    internal void CountAll()
    {
        foreach (var (connection, _) in _open) connection.Count(metrics);
    }

    internal sealed class OpenConnection(OpenConnections all, Direction direction, TrafficRecord record, MetricRules? rules, Relay relay, PeerExchange? peer) : IDisposable
    {
        private readonly Lock _gate = new();
        private bool _hasEnded;

        internal void Count(MeshMetrics metrics)
        {
            lock (_gate)
            {
                // Without what the peer is about to say, the connection would be counted under other labels than later.
                if (_hasEnded || peer is { IsIntroduced: false }) return;
                Update();
                metrics.Connection(direction, record, rules, isOpen: true);
            }
        }

        /// <summary>The record has the final values then.</summary>
        public void Dispose()
        {
            all._open.TryRemove(this, out _);
            lock (_gate)
            {
                _hasEnded = true;
                Update();
            }
        }

        private void Update()
        {
            if (peer is not null) record.PeerMetadata = peer.PeerMetadata;
            record.BytesReceived = relay.Received;
            record.BytesSent = relay.Sent;
        }
    }
}

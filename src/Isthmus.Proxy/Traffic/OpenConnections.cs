using System.Collections.Concurrent;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Transports;

namespace Isthmus.Proxy.Traffic;

/// <summary>Counts established TCP connections while they are open, as Istio's filter does: a connection that lasts for days would otherwise
/// be missing from its metrics for days.</summary>
internal sealed class OpenConnections(MeshMetrics metrics)
{
    private readonly ConcurrentDictionary<OpenConnection, byte> _open = new();

    /// <summary>Counts a connection until the result is disposed of; its end is reported by its owner.</summary>
    /// <param name="peer">The transport that reads what the peer says about itself; null if it says nothing.</param>
    public OpenConnection Add(Direction direction, TrafficRecord record, MetricRules? rules, Relay relay, PeerExchange? peer)
    {
        var connection = new OpenConnection(this, direction, record, rules, relay, peer);
        _open.TryAdd(connection, 0);
        return connection;
    }

    /// <summary>Called once a second.</summary>
    public void Look()
    {
        foreach (var (connection, _) in _open) connection.Look(metrics);
    }

    internal sealed class OpenConnection(OpenConnections all, Direction direction, TrafficRecord record, MetricRules? rules, Relay relay, PeerExchange? peer)
        : IDisposable
    {
        private readonly Lock _gate = new();
        private ReportPeriod _period = new(rules);
        private bool _hasEnded;

        internal void Look(MeshMetrics metrics)
        {
            lock (_gate)
            {
                if (!_period.IsOver()) return;
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

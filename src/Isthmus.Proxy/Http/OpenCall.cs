using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Traffic;

namespace Isthmus.Proxy.Http;

/// <summary>Counts the messages of a gRPC call while it is open. Its owner guards it.</summary>
internal struct OpenCall(HttpAction action, Downstream connection)
{
    // The host may have to say who it is; and tags may need the heads of request and response, which change until the response begins.
    private readonly bool _needsResponse = action.Metrics is { HasTags: true }
        || (action.ExchangesMetadata && connection.Listener.Direction == Direction.Outbound);

    private ReportPeriod _period = new(action.Metrics);

    /// <summary>Called once a second while the record is that of the call.</summary>
    public void Look(DownstreamStream stream, TrafficRecord record, Report report)
    {
        if (!stream.CountsMessages || !_period.IsOver() || (_needsResponse && !stream.IsResponseStarted)) return;
        (record.RequestMessages, record.ResponseMessages) = (stream.RequestMessages, stream.ResponseMessages);
        report.Messages(connection, record, action.Metrics);
    }
}

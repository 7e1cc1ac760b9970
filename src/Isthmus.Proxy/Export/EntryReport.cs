using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Own;
using Isthmus.Proxy.Telemetry;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.AccessLoggers;

namespace Isthmus.Proxy.Export;

/// <summary>Batches of entries for <c>envoy.service.accesslog.v3.AccessLogService</c>. Each is a stream of one message, so that the end of the stream tells
/// whether the service has the batch; on a stream that stays open, nobody can know.</summary>
internal static class EntryReport
{
    public static (RequestHead Head, ReadOnlyMemory<byte> Body) Request(Collector collector, ProxyIdentity identity, string logName,
        IReadOnlyList<IMessage> entries)
    {
        var message = new StreamAccessLogsMessage { Identifier = new() { Node = Node(identity), LogName = logName } };
        var http = entries.OfType<HTTPAccessLogEntry>().ToList();
        if (http.Count > 0) message.HttpLogs = new() { LogEntry = { http } };
        else message.TcpLogs = new() { LogEntry = { entries.OfType<TCPAccessLogEntry>() } };
        return GrpcMessages.Request(collector, message);
    }

    private static Node Node(ProxyIdentity identity) => new()
    {
        Id = identity.NodeId, Cluster = identity.ServiceCluster,
        Metadata = identity.PeerMetadata.Length > 0 ? Struct.Parser.ParseFrom(Convert.FromBase64String(identity.PeerMetadata)) : null,
    };
}

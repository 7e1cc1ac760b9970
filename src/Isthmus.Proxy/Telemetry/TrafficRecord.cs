using System.Net;
using Isthmus.Core.Identity;
using Isthmus.Proxy.Clusters;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Tokens;
using Isthmus.Proxy.Transports;

namespace Isthmus.Proxy.Telemetry;

/// <summary>How much of a TCP connection, or of a gRPC call, metrics contain.</summary>
/// <param name="Opened">Its opening is counted.</param>
/// <param name="Received">Bytes of a connection; messages of a call.</param>
/// <param name="Sent">As <paramref name="Received"/>.</param>
internal readonly record struct CountedTraffic(bool Opened, long Received, long Sent);

/// <summary>What is known about one request or TCP connection when it ends: the source of its access log line and metrics.
/// Reused for each request.</summary>
internal sealed class TrafficRecord
{
    public DateTimeOffset Start { get; set; }

    /// <summary>Timestamp of the clock at the start.</summary>
    public long StartedAt { get; set; }

    public TimeSpan Duration { get; set; }

    /// <summary>From the start until the first byte of the upstream's response; null when there was none.</summary>
    public TimeSpan? ResponseAfter { get; set; }

    /// <summary>Null for a TCP connection.</summary>
    public RequestHead? Request { get; set; }

    public ResponseHead? Response { get; set; }

    /// <summary>The trailers of the response.</summary>
    public HeaderBlock Trailers { get; } = new();

    public int Status { get; set; }

    /// <summary>The status of a gRPC call, from the trailers or from a head that is the whole response; null for none.</summary>
    public int? GrpcStatus
    {
        get
        {
            var text = Trailers.Get("grpc-status"u8);
            if (text.IsEmpty && Response is { } response) text = response.Headers.Get("grpc-status"u8);
            return int.TryParse(text, System.Globalization.NumberStyles.None, null, out var code) ? code : null;
        }
    }

    public EndReason Reason { get; set; }

    /// <summary>All allowed retries are used up.</summary>
    public bool RetriesExhausted { get; set; }

    public bool DelayInjected { get; set; }

    public string Details { get; set; } = "";

    public string TerminationDetails { get; set; } = "";

    public string TransportFailure { get; set; } = "";

    public string OriginalPath { get; set; } = "";

    public long BytesReceived { get; set; }

    public long BytesSent { get; set; }

    /// <summary>Messages of a gRPC call, where they are counted.</summary>
    public long RequestMessages { get; set; }

    public long ResponseMessages { get; set; }

    /// <summary>What metrics have counted already of a connection or call that is still open.</summary>
    public CountedTraffic Counted { get; set; }

    public int Attempts { get; set; }

    public Host? Host { get; set; }

    public ClusterState? Cluster { get; set; }

    /// <summary>The cluster's name, even when there is no such cluster.</summary>
    public string ClusterName { get; set; } = "";

    public EndPoint? UpstreamLocal { get; set; }

    public TlsPeer? UpstreamPeer { get; set; }

    public EndPoint? DownstreamLocal { get; set; }

    public EndPoint? DownstreamRemote { get; set; }

    public TlsPeer? DownstreamPeer { get; set; }

    /// <summary>What filters said of the request or the connection.</summary>
    public FilterState State { get; set; } = FilterState.Empty;

    /// <summary>The identity that the client proved: to this connection, or at the beginning of the tunnel that it has come through. Empty: none.</summary>
    public string PeerPrincipal => DownstreamPeer is { } peer ? peer.Identity
        : State.Find(FilterState.PeerPrincipal) is { } told && SpiffeId.TryParse(told, out _) ? told : "";

    /// <summary>The client has proved who it is, as in <see cref="PeerPrincipal"/>.</summary>
    public bool HasProvenPeer => DownstreamPeer is { } peer ? peer.Sha256.Length > 0 : PeerPrincipal.Length > 0;

    public string Scheme => DownstreamPeer is null ? "http" : "https";

    public string ServerName { get; set; } = "";

    public string RouteName { get; set; } = "";

    public string ChainName { get; set; } = "";

    public string PeerMetadata { get; set; } = "";

    /// <summary>What filters found out; null for nothing.</summary>
    public RequestMetadata? Metadata { get; set; }

    /// <summary>Where the last request with this record was counted; the next is often alike.</summary>
    public MeshCounts? Counts { get; set; }

    /// <summary>What that request was.</summary>
    public MeshMetrics.Key CountsKey { get; set; }

    /// <summary>Where the messages of the last gRPC call with this record were counted.</summary>
    public MeshCounts? CallCounts { get; set; }

    public MeshMetrics.Key CallKey { get; set; }

    public string Flags
    {
        get
        {
            var flag = EndReasons.Flag(Reason);
            if (DelayInjected) flag = flag.Length == 0 ? "DI" : $"DI,{flag}";
            if (RetriesExhausted) flag = flag.Length == 0 ? "URX" : $"{flag},URX";
            return flag.Length == 0 ? "-" : flag;
        }
    }

    /// <summary>Copies trailers that the connection will use again.</summary>
    /// <returns>The same; null when there are none.</returns>
    public HeaderBlock? Keep(HeaderBlock trailers)
    {
        if (trailers.Count == 0) return null;
        // Under the exchange's lock: metrics of an open call may read them at any moment.
        lock (this) Trailers.CopyFrom(trailers);
        return trailers;
    }

    /// <summary>Gives up the memory of the last response.</summary>
    public void Rest()
    {
        Response?.Headers.Release();
        Trailers.Release();
    }

    public void Clear()
    {
        Start = default;
        StartedAt = 0;
        Duration = default;
        ResponseAfter = null;
        Request = null;
        Response = null;
        Trailers.Clear();
        Status = 0;
        Reason = EndReason.Completed;
        RetriesExhausted = DelayInjected = false;
        Details = TerminationDetails = TransportFailure = OriginalPath = ClusterName = RouteName = PeerMetadata = "";
        BytesReceived = BytesSent = RequestMessages = ResponseMessages = 0;
        Counted = default;
        Attempts = 0;
        Host = null;
        Cluster = null;
        Metadata = null;
        State = FilterState.Empty;
        UpstreamLocal = null;
        UpstreamPeer = null;
    }
}

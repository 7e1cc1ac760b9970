using System.Net;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Telemetry;

namespace Isthmus.Rigs.Proxy;

/// <summary>What proxies note about a request that failed.</summary>
internal static class SampleRecord
{
    internal static TrafficRecord Make()
    {
        var request = new RequestHead { Method = "GET", Version = 11, Authority = "shop:80" };
        request.SetTarget("/orders?a=b"u8);
        request.Headers.Add("user-agent"u8, "curl/8"u8);
        request.Headers.Add("accept"u8, "a"u8);
        request.Headers.Add("accept"u8, "b"u8);
        var record = new TrafficRecord
        {
            Start = new DateTimeOffset(2026, 11, 20, 10, 0, 0, 123, TimeSpan.Zero), Duration = TimeSpan.FromMilliseconds(12.7), Request = request,
            Response = new ResponseHead(), Status = 503,
            Reason = EndReason.ConnectFailed, RetriesExhausted = true, Details = "upstream_reset_before_response_started{connection_failure}",
            TransportFailure = "delayed_connect_error:_111",
            BytesReceived = 5, BytesSent = 91, ClusterName = "outbound|80||shop", DownstreamLocal = IPEndPoint.Parse("10.96.0.1:80"),
            DownstreamRemote = IPEndPoint.Parse("10.1.0.2:4711"),
            RouteName = "default", DownstreamPeer = new(["spiffe://a/1", "spiffe://a/2"], ["a.example"], "CN=a", "ab12", "", "", ""),
        };
        record.Trailers.Add("grpc-status"u8, "4"u8);
        record.Trailers.Add("grpc-message"u8, "too late"u8);
        return record;
    }
}

using System.Net;
using Isthmus.Core.Collections;
using Isthmus.Proxy.Clusters;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Traffic;
using Isthmus.Proxy.Transports;
using Isthmus.Proxy.Upstreams;

namespace Isthmus.Proxy.Http;

/// <summary>A copy of a request for another cluster. Nobody waits for its response.</summary>
/// <param name="Authority">The host of the request that it copies, by which the server must be known.</param>
internal sealed record MirroredRequest(ClusterState Cluster, string Authority, RequestHead Head, byte[]? Body, EndPoint? Destination,
    ValueMap<ValueList<string>> AlpnOverride)
{
    private const long MostRead = 1 << 20;

    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(15);

    /// <summary>Starts the copies that a route wants of a request.</summary>
    public static void Start(HttpParts parts, ProxySnapshot snapshot, ForwardAct act, RequestHead request, RequestBody? body, Downstream connection,
        HttpAction action)
    {
        foreach (var mirror in act.Mirrors)
        {
            // Only a body that can be sent twice is mirrored.
            if (body is { IsStreaming: true } || !mirror.Fraction.Hits(parts.Ports.Random) || !snapshot.Clusters.TryGetValue(mirror.Cluster, out var cluster))
                continue;
            var copy = new RequestHead();
            copy.CopyFrom(request);
            copy.Authority = Shadow(request.Authority);
            var mirrored = new MirroredRequest(cluster, request.Authority, copy, body?.Buffered.ToArray(), connection.Destination, action.AlpnOverride);
            // A lambda that used the parameter would make an object of each request, mirrored or not.
            var (upstreams, time) = (parts.Upstreams, parts.Ports.Time);
            upstreams.Background.Start("mirrored request", () => mirrored.SendAsync(upstreams, time));
        }
    }

    public async Task SendAsync(HttpUpstreams upstreams, TimeProvider time)
    {
        if (!Cluster.TryBeginRequest(canQueue: !HttpUpstreams.IsHttp2(Cluster, Head.Version))) return;
        try
        {
            if (Cluster.Pick(null, null, Destination) is { } host) await SendAsync(upstreams, time, host).ConfigureAwait(false);
        }
        finally
        {
            Cluster.EndRequest();
        }
    }

    private async Task SendAsync(HttpUpstreams upstreams, TimeProvider time, Host host)
    {
        host.Begin();
        UpstreamStream? upstream = null;
        try
        {
            using var deadline = new QueueDeadline(time, Longest, Authority);
            upstream = await upstreams.OpenAsync(Cluster, host, Head.Version, AlpnOverride, fresh: false, Cluster.Config.ConnectTimeout, deadline)
                .ConfigureAwait(false);
            using var timer = time.CreateTimer(static u => ((UpstreamStream)u!).Abort(), upstream, Longest, Timeout.InfiniteTimeSpan);
            await upstream.SendHeadAsync(Head).ConfigureAwait(false);
            if (Body is not null) await upstream.SendBodyAsync(Body).ConfigureAwait(false);
            await upstream.EndAsync(null).ConfigureAwait(false);
            var response = new ResponseHead();
            await upstream.ReceiveHeadAsync(response).ConfigureAwait(false);
            Cluster.Answered(host, response.Status);
            // Read to the end so that the connection can be kept, unless a new one costs less.
            for (var read = 0L; read <= MostRead;)
            {
                var piece = await upstream.ReceiveBodyAsync().ConfigureAwait(false);
                if (piece.IsEmpty) return;
                read += piece.Length;
            }
            upstream.Abort();
        }
        catch (Exception e) when (e is TransportException or HttpMessageException or OverflowException)
        {
            Interlocked.Increment(ref host.Counters.Errors);
        }
        finally
        {
            upstream?.Release();
            host.End();
        }
    }

    /// <summary>The authority of copies, as Envoy marks it.</summary>
    public static string Shadow(string authority)
    {
        var colon = authority.LastIndexOf(':');
        return colon > 0 ? $"{authority[..colon]}-shadow{authority[colon..]}" : $"{authority}-shadow";
    }
}

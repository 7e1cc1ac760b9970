using System.Runtime.CompilerServices;
using Isthmus.Core.Collections;
using Isthmus.Proxy.Clusters;
using Isthmus.Proxy.Http2;
using Isthmus.Proxy.Loops;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Transports;
using Isthmus.Proxy.Upstreams;

namespace Isthmus.Proxy.Own;

/// <summary>Sends one request of the proxy itself to a cluster, and reads the whole response.</summary>
internal sealed class OwnExchange(HttpUpstreams upstreams, TimeProvider time)
{
    private const int MostBytes = 1 << 20;

    /// <param name="cluster">The cluster.</param>
    /// <param name="head">The request. Version 2 asks for HTTP/2: without it, the request fails.</param>
    /// <param name="body">Empty: none.</param>
    /// <param name="patience">How long all of it may take.</param>
    /// <param name="alpn">The protocols to offer over TLS; null: those of the cluster.</param>
    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    public async ValueTask<OwnAnswer> SendAsync(ClusterState cluster, RequestHead head, ReadOnlyMemory<byte> body, TimeSpan patience,
        ValueList<string>? alpn = null)
    {
        if (head.Version == HttpVersions.Http2 && !HttpUpstreams.IsHttp2(cluster, head.Version)) return OwnAnswer.Failed(OwnFailure.Failed);
        if (!body.IsEmpty) (head.Body, head.ContentLength) = (BodyKind.Length, body.Length);
        var offered = alpn is { } list ? new[] { "HTTP2", "HTTP11" }.ToDictionary(kind => kind, _ => list).ToValueMap() : default;
        var start = time.GetTimestamp();
        var fresh = false;
        while (true)
        {
            if (cluster.Pick(null, null, null) is not { } host) return OwnAnswer.Failed(OwnFailure.NoHost);
            var left = patience - time.GetElapsedTime(start);
            if (left <= TimeSpan.Zero) return OwnAnswer.Failed(OwnFailure.TimedOut);
            var attempt = new Attempt(cluster, host, left, fresh) { Alpn = offered };
            if (await SendAsync(attempt, head, body).ConfigureAwait(false) is { } answer) return answer;
            // A kept connection may close just as it is used.
            if (fresh || !attempt.WasReused) return OwnAnswer.Failed(attempt.IsLate ? OwnFailure.TimedOut : OwnFailure.Failed);
            fresh = true;
        }
    }

    private sealed class Attempt(ClusterState cluster, Host host, TimeSpan patience, bool fresh)
    {
        public ClusterState Cluster => cluster;

        public Host Host => host;

        public TimeSpan Patience => patience;

        public bool Fresh => fresh;

        public ValueMap<ValueList<string>> Alpn { get; init; }

        public bool WasReused { get; set; }

        public bool IsLate => _isLate;

        public UpstreamStream? Stream { get; set; }

        private volatile bool _isLate;

        public void GiveUp()
        {
            _isLate = true;
            Stream!.Abort();
        }
    }

    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    private async ValueTask<OwnAnswer?> SendAsync(Attempt attempt, RequestHead head, ReadOnlyMemory<byte> body)
    {
        var (cluster, host) = (attempt.Cluster, attempt.Host);
        var begun = time.GetTimestamp();
        host.Begin();
        try
        {
            using var deadline = new QueueDeadline(time, attempt.Patience, head.Authority);
            var patience = attempt.Patience < cluster.Config.ConnectTimeout ? attempt.Patience : cluster.Config.ConnectTimeout;
            var upstream = attempt.Stream = await upstreams.OpenAsync(cluster, host, head.Version, attempt.Alpn, attempt.Fresh, patience, deadline)
                .ConfigureAwait(false);
            attempt.WasReused = upstream.IsReused;
            var left = attempt.Patience - time.GetElapsedTime(begun);
            if (left <= TimeSpan.Zero) throw new TransportException(TransportFailure.TimedOut, "timeout");
            using var timer = time.CreateTimer(static a => ((Attempt)a!).GiveUp(), attempt, left, Timeout.InfiniteTimeSpan);
            Interlocked.Increment(ref cluster.Counters.Requests);
            await upstream.SendHeadAsync(head).ConfigureAwait(false);
            await upstream.SendBodyAsync(body).ConfigureAwait(false);
            await upstream.EndAsync(null).ConfigureAwait(false);
            var response = new ResponseHead();
            await upstream.ReceiveHeadAsync(response).ConfigureAwait(false);
            cluster.Answered(host, response.Status);
            cluster.Counters.Count(response.Status);
            return await ReadAsync(upstream).ConfigureAwait(false) is { } read
                ? new(OwnFailure.None, response, read, Copy(upstream.ResponseTrailers))
                : OwnAnswer.Failed(OwnFailure.Failed);
        }
        catch (Exception e) when (e is TransportException or HttpMessageException or OverflowException)
        {
            Interlocked.Increment(ref host.Counters.Errors);
            if (e is TransportException { Failure: TransportFailure.TimedOut }) return OwnAnswer.Failed(OwnFailure.TimedOut);
            if (attempt.IsLate) return OwnAnswer.Failed(OwnFailure.TimedOut);
            return e is TransportException { InnerException: not H2ConnectionException } ? null : OwnAnswer.Failed(OwnFailure.Malformed);
        }
        finally
        {
            attempt.Stream?.Release();
            host.End();
        }
    }

    // The connection uses its own again.
    private static HeaderBlock? Copy(HeaderBlock trailers)
    {
        if (trailers.Count == 0) return null;
        var copy = new HeaderBlock();
        copy.CopyFrom(trailers);
        return copy;
    }

    /// <summary>Null when the body is too long.</summary>
    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    private static async ValueTask<byte[]?> ReadAsync(UpstreamStream upstream)
    {
        using var body = new ByteWriter();
        while (true)
        {
            var piece = await upstream.ReceiveBodyAsync().ConfigureAwait(false);
            if (piece.IsEmpty) return body.Written.ToArray();
            body.Write(piece.Span);
            if (body.Length > MostBytes) return null;
        }
    }
}

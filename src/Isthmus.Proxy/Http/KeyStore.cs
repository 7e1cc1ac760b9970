using System.Collections.Concurrent;
using System.Text;
using Isthmus.Proxy.Policy;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Tcp;

namespace Isthmus.Proxy.Http;

/// <summary>The keys of issuers, fetched through clusters of the mesh and cached. While an issuer is unreachable its last
/// keys stay.</summary>
internal sealed class KeyStore(SnapshotState state, HttpUpstreams upstreams, TimeProvider time)
{
    private const int MostBytes = 1 << 20;
    private static readonly TimeSpan LeastInterval = TimeSpan.FromSeconds(5);

    private readonly ConcurrentDictionary<RemoteKeys, Entry> _entries = new();

    private sealed class Entry
    {
        public readonly Lock Guard = new(); // guards the fields below
        public JsonWebKeys? Keys;
        public DateTimeOffset AskedAt;
        public Task<JsonWebKeys?>? Asking;
    }

    /// <summary>The keys; the first caller fetches them and the others wait for the same response. Stale keys are refreshed
    /// in the background.</summary>
    public async ValueTask<JsonWebKeys?> GetAsync(RemoteKeys where, bool again)
    {
        var entry = _entries.GetOrAdd(where, _ => new());
        Task<JsonWebKeys?> asking;
        lock (entry.Guard)
        {
            var age = time.GetUtcNow() - entry.AskedAt;
            var isDue = entry.Keys is null || again ? age > LeastInterval : age > where.Kept;
            if (entry.Asking is { IsCompleted: false } running) asking = running;
            else if (!isDue) return entry.Keys;
            else
            {
                entry.AskedAt = time.GetUtcNow();
                entry.Asking = asking = Task.Run(() => RenewAsync(where, entry));
            }
            if (entry.Keys is not null && !again) return entry.Keys;
        }
        return await asking.ConfigureAwait(false);
    }

    private async Task<JsonWebKeys?> RenewAsync(RemoteKeys where, Entry entry)
    {
        var keys = await FetchAsync(where).ConfigureAwait(false);
        lock (entry.Guard) return keys is null ? entry.Keys : entry.Keys = keys;
    }

    private async Task<JsonWebKeys?> FetchAsync(RemoteKeys where)
    {
        if (!Uri.TryCreate(where.Uri, UriKind.Absolute, out var uri)) return null;
        if (!state.Current.Clusters.TryGetValue(where.Cluster, out var cluster) || cluster.Pick(null, null, null) is not { } host) return null;
        host.Begin();
        UpstreamStream? upstream = null;
        try
        {
            using var deadline = new QueueDeadline(time, where.Timeout, uri.Authority);
            var patience = where.Timeout < cluster.Config.ConnectTimeout ? where.Timeout : cluster.Config.ConnectTimeout;
            upstream = await upstreams.OpenAsync(cluster, host, HttpVersions.Http11, default, fresh: true, patience, deadline).ConfigureAwait(false);
            using var timer = time.CreateTimer(static open => ((UpstreamStream)open!).Abort(), upstream, where.Timeout, Timeout.InfiniteTimeSpan);
            var request = new RequestHead { Method = "GET", Version = HttpVersions.Http11, Authority = uri.Authority };
            request.SetTarget(Encoding.UTF8.GetBytes(uri.PathAndQuery));
            request.Headers.Add("accept"u8, "application/json"u8);
            await upstream.SendHeadAsync(request).ConfigureAwait(false);
            await upstream.EndAsync(null).ConfigureAwait(false);
            var response = new ResponseHead();
            await upstream.ReceiveHeadAsync(response).ConfigureAwait(false);
            cluster.Answered(host, response.Status);
            return response.Status == 200 && await ReadAsync(upstream).ConfigureAwait(false) is { } body ? JsonWebKeys.Parse(body) : null;
        }
        catch (Exception e) when (e is TransportException or HttpMessageException or OverflowException)
        {
            Interlocked.Increment(ref host.Counters.Errors);
            return null;
        }
        finally
        {
            upstream?.Release();
            host.End();
        }
    }

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

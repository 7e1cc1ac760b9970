using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Text;
using Isthmus.Proxy.Loops;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Policy;
using Isthmus.Proxy.Tokens;

namespace Isthmus.Proxy.Http;

/// <summary>The keys of issuers, fetched through clusters of the mesh and cached. While an issuer is unreachable its last
/// keys stay.</summary>
internal sealed class KeyStore(OwnRequests requests, TimeProvider time)
{
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
    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
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
        var request = new RequestHead { Method = "GET", Version = HttpVersions.Http11, Authority = uri.Authority };
        request.SetTarget(Encoding.UTF8.GetBytes(uri.PathAndQuery));
        request.Headers.Add("accept"u8, "application/json"u8);
        var answer = await requests.SendAsync(where.Cluster, request, default, where.Timeout).ConfigureAwait(false);
        return answer.Failure == OwnFailure.None && answer.Head.Status == 200 ? JsonWebKeys.Parse(answer.Body) : null;
    }
}

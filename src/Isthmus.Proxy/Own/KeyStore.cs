using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Text;
using Isthmus.Core.Time;
using Isthmus.Proxy.Loops;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Policy;
using Isthmus.Proxy.Tokens;
using Microsoft.Extensions.Logging;

namespace Isthmus.Proxy.Own;

/// <summary>The keys of issuers, fetched through clusters of the mesh and cached. While an issuer is unreachable its last
/// keys stay.</summary>
internal sealed partial class KeyStore(OwnRequests requests, TimeProvider time, ILogger log)
{
    private static readonly TimeSpan LeastInterval = TimeSpan.FromSeconds(5);

    private readonly ConcurrentDictionary<RemoteKeys, Entry> _entries = new();

    private sealed class Entry
    {
        public readonly Lock Guard = new(); // guards the fields below
        public JsonWebKeys? Keys;
        public string Fault = "";
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
        var (keys, fault) = await FetchAsync(where).ConfigureAwait(false);
        lock (entry.Guard)
        {
            // Every call with a token may fetch: the same fault is told once.
            if (fault.Length > 0 && fault != entry.Fault)
            {
                if (entry.Keys is null) NoKeys(log, where.Uri, fault);
                else OldKeys(log, where.Uri, fault);
            }
            entry.Fault = fault;
            return keys is null ? entry.Keys : entry.Keys = keys;
        }
    }

    private async Task<(JsonWebKeys? Keys, string Fault)> FetchAsync(RemoteKeys where)
    {
        if (!Uri.TryCreate(where.Uri, UriKind.Absolute, out var uri)) return (null, "it is no URI");
        var request = new RequestHead { Method = "GET", Version = HttpVersions.Http11, Authority = uri.Authority };
        request.SetTarget(Encoding.UTF8.GetBytes(uri.PathAndQuery));
        request.Headers.Add("accept"u8, "application/json"u8);
        var answer = await requests.SendAsync(where.Cluster, request, default, where.Timeout).ConfigureAwait(false);
        if (answer.Failure != OwnFailure.None) return (null, Why(answer.Failure, where));
        if (answer.Head.Status != 200) return (null, $"the answer has the status {answer.Head.Status}");
        return JsonWebKeys.Parse(answer.Body, out var fault) is { } keys ? (keys, "") : (null, $"the answer is no set of keys: {fault}");
    }

    private static string Why(OwnFailure failure, RemoteKeys where) => failure switch
    {
        OwnFailure.NoHost => $"no endpoint of {where.Cluster} is ready",
        OwnFailure.TimedOut => $"there was no answer in {Durations.Text(where.Timeout)}",
        OwnFailure.Malformed => "the answer is not HTTP",
        _ => "the connection failed",
    };

    [LoggerMessage(Level = LogLevel.Warning, Message = "No keys of {Uri}: {Reason}; tokens of the issuers whose keys are there are refused")]
    private static partial void NoKeys(ILogger log, string uri, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "No new keys of {Uri}: {Reason}; those that came before are still used")]
    private static partial void OldKeys(ILogger log, string uri, string reason);
}

using System.Collections.Concurrent;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.ControlPlane.Push;
using Isthmus.Core.Json;
using Isthmus.Core.Names;
using Isthmus.Core.Tasks;
using Isthmus.Mesh.Model;
using Microsoft.Extensions.Logging;

namespace Isthmus.ControlPlane.Resolve;

/// <summary>
/// Keeps the keys of issuers current that proxies cannot fetch themselves: it asks an issuer where its keys are, unless the
/// RequestAuthentication says so, and fetches them. While an issuer cannot be reached, its last keys stay.
/// </summary>
public sealed partial class IssuerKeys(PushEngine engine, IKeyClient client, TimeProvider time, ILogger<IssuerKeys> log)
{
    private static readonly TimeSpan Tick = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan SettlePatience = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan Life = TimeSpan.FromMinutes(20);
    private static readonly TimeSpan FirstRetry = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestRetry = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan LongestTimeout = TimeSpan.FromSeconds(30);

    private readonly ConcurrentDictionary<KeyPlace, Entry> _entries = [];

    private sealed class Entry
    {
        public Task Fetching { get; set; } = Task.CompletedTask;

        public DateTimeOffset Next { get; set; }

        public TimeSpan Retry { get; set; } = FirstRetry;

        public string Jwks { get; set; } = "";

        public string Error { get; set; } = "";

        public TaskCompletionSource Tried { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }

    /// <summary>Raised when keys cannot be fetched any more, or can again.</summary>
    public event Action? FailuresChanged;

    /// <summary>The places whose keys cannot be fetched at present.</summary>
    public IReadOnlyDictionary<KeyPlace, KeyFailure> Failures =>
        _entries.Where(entry => entry.Value.Error.Length > 0)
            .ToDictionary(entry => entry.Key, entry => new KeyFailure(entry.Value.Error, entry.Value.Jwks.Length > 0));

    /// <summary>Waits until all keys were fetched, or could not be, once: proxies that get a configuration earlier would refuse tokens that
    /// are valid.</summary>
    public async Task SettleAsync(CancellationToken stop)
    {
        using var patience = new CancellationTokenSource(SettlePatience, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, stop);
        try
        {
            var wanted = await engine.AskAsync(writer => writer.Mesh.KeyPlaces, either.Token).ConfigureAwait(false);
            await Task.WhenAll(wanted.Select(place => _entries.GetOrAdd(place, _ => new()).Tried.Task)).WaitAsync(either.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!stop.IsCancellationRequested)
        {
            // An issuer that does not answer must not keep the control plane from its proxies.
        }
    }

    public async Task RunAsync(CancellationToken stop)
    {
        var committed = new Signal();
        engine.Committed += committed.Tell;
        var revision = -1L;
        try
        {
            while (true)
            {
                if (engine.Mesh.Graph.Revision != revision) revision = await FollowAsync(stop).ConfigureAwait(false);
                // Each by itself: one that takes its time does not delay the others.
                foreach (var (place, entry) in _entries)
                    if (entry.Fetching.IsCompleted && entry.Next <= time.GetUtcNow()) entry.Fetching = FetchAsync(place, entry, stop);
                if (_entries.IsEmpty) await committed.NextAsync(stop).ConfigureAwait(false);
                await Task.Delay(Tick, time, stop).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
        }
        finally
        {
            engine.Committed -= committed.Tell;
        }
        await Task.WhenAll(_entries.Values.Select(entry => entry.Fetching)).ConfigureAwait(false);
    }

    /// <summary>Adds new places and removes those that are gone.</summary>
    private async Task<long> FollowAsync(CancellationToken stop)
    {
        var (revision, wanted) = await engine.AskAsync(writer => (writer.Mesh.Graph.Revision, writer.Mesh.KeyPlaces), stop).ConfigureAwait(false);
        foreach (var place in wanted) _entries.TryAdd(place, new());
        foreach (var gone in _entries.Keys.Where(place => !wanted.Contains(place)).ToList())
        {
            _entries.TryRemove(gone, out _);
            await engine.PostAsync(writer => writer.RemoveKeys(gone), stop).ConfigureAwait(false);
        }
        return revision;
    }

    private async Task FetchAsync(KeyPlace place, Entry entry, CancellationToken stop)
    {
        try
        {
            var keys = await KeysAsync(place, stop).ConfigureAwait(false);
            engine.Metrics.Count("pilot_jwks_resolver_network_fetch_success_total");
            if (keys != entry.Jwks)
            {
                LogFetched(place.Issuer);
                // The place may be gone by now. Its keys must not come back.
                await engine.PostAsync(writer =>
                {
                    if (writer.Mesh.KeyPlaces.Contains(place)) writer.PutKeys(place, keys);
                }, stop).ConfigureAwait(false);
            }
            var hadFailed = entry.Error.Length > 0;
            (entry.Jwks, entry.Error, entry.Retry, entry.Next) = (keys, "", FirstRetry, time.GetUtcNow() + Life);
            if (hadFailed) FailuresChanged?.Invoke();
        }
        // Whatever an issuer answers: an answer that fails in a way of its own must not be asked for again at each tick.
        catch (Exception e) when (e is not OperationCanceledException)
        {
            engine.Metrics.Count("pilot_jwks_resolver_network_fetch_fail_total");
            var isNew = entry.Error != e.Message;
            if (isNew) LogFailed(place.Issuer, e.Message, entry.Jwks.Length > 0 ? "its last keys stay in use" : "its tokens are refused");
            (entry.Error, entry.Next) = (e.Message, time.GetUtcNow() + entry.Retry);
            entry.Retry = entry.Retry * 2 < LongestRetry ? entry.Retry * 2 : LongestRetry;
            if (isNew) FailuresChanged?.Invoke();
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
        }
        entry.Tried.TrySetResult();
    }

    private async Task<string> KeysAsync(KeyPlace place, CancellationToken stop)
    {
        var timeout = place.Timeout < LongestTimeout ? place.Timeout : LongestTimeout;
        var uri = place.Uri;
        if (uri.Length == 0)
        {
            var document = Parse(await client.GetAsync(place.Discovery!, timeout, stop).ConfigureAwait(false), place.Discovery!);
            uri = (document as JsonObject)?["jwks_uri"] is JsonValue value && value.TryGetValue<string>(out var text)
                ? text
                : throw new JsonException($"{place.Discovery} has no jwks_uri");
        }
        if (!Uri.TryCreate(uri, UriKind.Absolute, out var at) || at.Scheme is not ("http" or "https"))
            throw new UriFormatException($"the jwks_uri '{Visible.Text(uri)}' is not an http or https URI");
        var keys = await client.GetAsync(at, timeout, stop).ConfigureAwait(false);
        return Parse(keys, at) is JsonObject set && set["keys"] is JsonArray
            ? Encoding.UTF8.GetString(keys)
            : throw new JsonException($"{at} is not a JSON object with a list \"keys\" (RFC 7517)");
    }

    private static JsonNode? Parse(byte[] document, Uri uri)
    {
        try
        {
            return StrictJson.Parse(document);
        }
        catch (JsonException e)
        {
            throw new JsonException($"{uri} is not JSON: {e.Message}", e);
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Fetched the keys of issuer {Issuer}")]
    private partial void LogFetched(string issuer);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The keys of issuer {Issuer} cannot be fetched: {Error}; {Effect}")]
    private partial void LogFailed(string issuer, string error, string effect);
}

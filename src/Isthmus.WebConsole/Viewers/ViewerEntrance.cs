using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using Isthmus.Core.Tasks;
using Isthmus.Kubernetes.Client;
using Isthmus.WebConsole.Serving;
using Isthmus.WebConsole.Traffic;

namespace Isthmus.WebConsole.Viewers;

/// <summary>How many sessions there are at most, and how long they last.</summary>
/// <param name="PerUser">The oldest session of a user ends for a newer one.</param>
/// <param name="Idle">How long a session lasts without an open page.</param>
/// <param name="Longest">How long a session lasts at most; the token may end sooner.</param>
internal sealed record ViewerLimits(int Sessions, int PerUser, TimeSpan Idle, TimeSpan Longest)
{
    public static readonly ViewerLimits Default = new(16, 4, TimeSpan.FromMinutes(10), TimeSpan.FromHours(8));
}

/// <summary>
/// Admits whoever has a token that the API server accepts, with that token's rights. A token that is pasted into the page begins a session:
/// its cookie and its key are both needed, because browsers send cookies to each port of a host. A token in the header
/// <c>Authorization</c>, which an authenticating proxy sets, is its own session. Tokens are only in memory.
/// </summary>
internal sealed class ViewerEntrance(ViewerSource source, string istioNamespace, ViewerLimits limits, TimeProvider time, Action<string> log)
    : IEntrance, IAsyncDisposable
{
    private const int LongestToken = 16 * 1024, AskedAtOnce = 4;
    private const string Bearer = "Bearer ";

    private static readonly Refusal NoSession = new(401, "log in with a token for the API server of this cluster") { AsksForToken = true },
        Ended = new(401, "the session has ended: log in again") { AsksForToken = true },
        Full = new(503, "too many people use the console at the moment: try again later");

    private readonly Lock _lock = new();   // guards changes of _sessions that look at several
    private readonly ConcurrentDictionary<string, Session> _sessions = new(StringComparer.Ordinal);
    private readonly SemaphoreSlim _asking = new(AskedAtOnce);
    private readonly BackgroundTasks _ending = new((name, e) => log($"{name}: {e}"));

    private sealed record Session(string Id, byte[] Key, Viewer Viewer, DateTimeOffset Begun, DateTimeOffset Ends)
    {
        public DateTimeOffset Used { get; set; }
    }

    /// <summary>Where traffic is read, with each viewer's rights.</summary>
    public PrometheusChoice Prometheus { get; init; } = PrometheusChoice.Found;

    public string? CookieName => "isthmus-console";

    /// <summary>How many sessions there are.</summary>
    public int Count => _sessions.Count;

    public async Task<Entry> EnterAsync(string token, CancellationToken stop)
    {
        var (session, refusal) = await BeginAsync(Entrance.NewSecret(), token.Trim(), stop);
        return session is null ? new("", null, refusal) : new(Encoding.ASCII.GetString(session.Key), session.Id);
    }

    public async Task<Admission> AdmitAsync(CallerProof proof, CancellationToken stop)
    {
        if (proof.Authorization.StartsWith(Bearer, StringComparison.OrdinalIgnoreCase))
            return await AdmitAsync(proof.Authorization[Bearer.Length..].Trim(), stop);
        if (!_sessions.TryGetValue(proof.Cookie, out var named)) return new(null, proof.Cookie.Length + proof.Key.Length > 0 ? Ended : NoSession);
        // Without its key, nobody keeps a session alive.
        if (!HasKey(named, proof)) return new(null, NoSession);
        return Find(proof.Cookie) is { } session ? new(session.Viewer.Visit) : new(null, Ended);
    }

    public void Leave(CallerProof proof)
    {
        if (_sessions.TryGetValue(proof.Cookie, out var session) && HasKey(session, proof)) End(session, "the viewer left");
    }

    private static bool HasKey(Session session, CallerProof proof) => CryptographicOperations.FixedTimeEquals(session.Key, Encoding.UTF8.GetBytes(proof.Key));

    /// <summary>Ends sessions whose time is over, until it is stopped.</summary>
    public async Task RunAsync(CancellationToken stop)
    {
        var pause = TimeSpan.FromSeconds(15);
        while (!stop.IsCancellationRequested)
        {
            Sweep();
            await Task.Delay(pause, time, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>Ends what has outlived its time.</summary>
    internal void Sweep()
    {
        foreach (var session in _sessions.Values) CheckTime(session);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var session in _sessions.Values) End(session, "the console stops");
        await _ending.WhenEndedAsync();
        _asking.Dispose();
    }

    private async Task<Admission> AdmitAsync(string token, CancellationToken stop)
    {
        // Nobody can find the token from the name of its session.
        var id = $"header {Convert.ToHexString(SHA256.HashData(Encoding.UTF8.GetBytes(token)))}";
        if (Find(id) is { } known) return new(known.Viewer.Visit);
        var (session, refusal) = await BeginAsync(id, token, stop);
        return new(session?.Viewer.Visit, refusal);
    }

    private async Task<(Session? Session, Refusal? Refusal)> BeginAsync(string id, string token, CancellationToken stop)
    {
        if (token.Length is 0 or > LongestToken || token.Any(character => character is <= ' ' or > '~'))
            return (null, new(401, "that is not a token: paste one without spaces or line breaks") { AsksForToken = true });
        await _asking.WaitAsync(stop);
        try
        {
            // Several calls of a page come at once.
            if (Find(id) is { } known) return (known, null);
            return Add(id, await source.AskAsync(token, stop));
        }
        catch (KubeException e)
        {
            return (null, new(e.Code == 401 ? 401 : 502, $"the API server refuses the token: {e.Message}") { AsksForToken = true });
        }
        catch (HttpRequestException e)
        {
            return (null, new(502, $"the API server cannot be reached: {Unreachable.Describe(e)}"));
        }
        finally
        {
            _asking.Release();
        }
    }

    private (Session? Session, Refusal? Refusal) Add(string id, ViewerAccess access)
    {
        lock (_lock)
        {
            if (_sessions.TryGetValue(id, out var known)) return (known, null);
            foreach (var older in _sessions.Values.Where(one => access.User.Length > 0 && one.Viewer.Access.User == access.User)
                .OrderByDescending(one => one.Begun).Skip(limits.PerUser - 1).ToList())
                End(older, "the same user began others");
            if (_sessions.Count >= limits.Sessions)
            {
                if (_sessions.Values.Where(one => !one.Viewer.IsWatched).MinBy(one => one.Used) is not { } idle) return (null, Full);
                End(idle, "others need its place");
            }
            var now = time.GetUtcNow();
            var ends = access.Ends is { } end && end < now + limits.Longest ? end : now + limits.Longest;
            var session = new Session(id, Encoding.ASCII.GetBytes(Entrance.NewSecret()),
                new Viewer(access with { Ends = ends }, istioNamespace, Prometheus, time, log), now, ends) { Used = now };
            _sessions[id] = session;
            session.Viewer.Start();
            log($"session of {Name(session)} begins, until {ends:u} at the latest");
            return (session, null);
        }
    }

    private Session? Find(string id)
    {
        if (!_sessions.TryGetValue(id, out var session) || !CheckTime(session)) return null;
        session.Used = time.GetUtcNow();
        return session;
    }

    /// <summary>Whether a session goes on.</summary>
    private bool CheckTime(Session session)
    {
        var now = time.GetUtcNow();
        if (session.Viewer.IsWatched) session.Used = now;
        var over = session.Viewer.HasEnded
            ? "the API server no longer accepts the token"
            : now >= session.Ends
            ? "its time is over"
            : now - session.Used >= limits.Idle
            ? "no page was open"
            : "";
        if (over.Length == 0) return true;
        End(session, over);
        return false;
    }

    private void End(Session session, string why)
    {
        if (!_sessions.TryRemove(new(session.Id, session))) return;
        log($"session of {Name(session)} ends: {why}");
        _ending.Start($"the end of the session of {Name(session)}", async () => await session.Viewer.DisposeAsync());
    }

    private static string Name(Session session) => session.Viewer.Access.User is { Length: > 0 } user ? user : "a viewer";
}

using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using Isthmus.Core.Identity;
using Isthmus.Core.Problems;
using Isthmus.Proxy.Tls;
using Isthmus.Wire.Grpc;
using Microsoft.Extensions.Logging;

namespace Isthmus.Proxy.Agent;

/// <summary>
/// Certificates of other workloads of the Node, which resources name by their SPIFFE IDs: the mesh's CA signs for them if the account of this
/// proxy is trusted with that. Each is fetched once something wants it, and renewed in time until nothing does. One that the CA refuses keeps
/// nobody waiting, and is asked for again: its Pod may be about to start.
/// </summary>
internal sealed partial class IdentitySecrets(AgentSettings settings, CertificateClient? authority, TimeProvider time, Random random, ILogger log)
{
    /// <summary>How many a proxy keeps: those of a Node with several times as many Pods as Kubernetes recommends.</summary>
    internal const int Most = 1000;

    private const int AtOnce = 4;

    private readonly string _own = settings.Identity.ToString();
    private readonly ConcurrentDictionary<string, Entry> _entries = new(StringComparer.Ordinal);   // changed under the lock
    private readonly Lock _lock = new();   // guards what follows, and what entries say of themselves
    private readonly PriorityQueue<Entry, DateTimeOffset> _plan = new();
    private readonly HashSet<string> _excess = new(StringComparer.Ordinal);
    private TaskCompletionSource _planned = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private long _requests, _failures;

    private sealed class Entry(string name, SpiffeId identity)
    {
        public string Name => name;

        public SpiffeId Identity => identity;

        public volatile State State = new(null, default, false);

        /// <summary>When it is fetched next; null while it is being fetched.</summary>
        public DateTimeOffset? Due { get; set; }

        public int Failures { get; set; }

        /// <summary>The last reason in the log.</summary>
        public string Told { get; set; } = "";

        public bool IsForgotten { get; set; }

        /// <summary>The signing certificate that its own was compared with.</summary>
        public string Issuer { get; set; } = "";
    }

    private sealed record State(CertificateSecret? Certificate, DateTimeOffset Updated, bool IsRefused);

    /// <summary>Raised when a certificate came, and when it is known that one does not come.</summary>
    public event Action<string>? Changed;

    public long Requests => Interlocked.Read(ref _requests);

    public long Failures => Interlocked.Read(ref _failures);

    /// <summary>Whether it is that of this proxy, whose certificate is the secret <c>default</c>.</summary>
    public bool IsOwn(string name) => name == _own;

    public CertificateSecret? FindCertificate(string name) => _entries.GetValueOrDefault(name)?.State.Certificate;

    public bool IsAbsent(string name)
    {
        if (!IsUsable(name, out _, out _)) return true;
        if (_entries.TryGetValue(name, out var entry)) return entry.State is { Certificate: null, IsRefused: true };
        lock (_lock) return _excess.Contains(name);
    }

    public IEnumerable<SecretView> View() =>
        from entry in _entries.Values
        let state = entry.State
        let certificate = state.Certificate
        where certificate is not null
        select new SecretView(entry.Name, $"{state.Updated.ToUnixTimeSeconds()}", state.Updated, certificate.ChainPem, "");

    public IEnumerable<(string Name, SecretLife Life)> Lives() =>
        from entry in _entries.Values
        let certificate = entry.State.Certificate
        where certificate is not null
        select (entry.Name, certificate.Life);

    /// <summary>Fetches these from now on.</summary>
    public void Want(IEnumerable<string> names)
    {
        var excess = new List<string>();
        lock (_lock)
        {
            foreach (var name in names.Where(name => !_entries.ContainsKey(name) && !_excess.Contains(name)))
            {
                if (!IsUsable(name, out var identity, out var why)) Unusable(log, name, why);
                else if (_entries.Count < Most) Begin(name, identity);
                else excess.Add(name);
            }
            if (excess.Count > 0) TooMany(log, Most, _excess.Count + excess.Count, excess[0]);
            _excess.UnionWith(excess);
        }
        foreach (var name in excess) Changed?.Invoke(name);
    }

    /// <summary>Nothing names these any more.</summary>
    public void Forget(IEnumerable<string> names)
    {
        lock (_lock)
        {
            foreach (var name in names)
                if (!_excess.Remove(name) && _entries.TryRemove(name, out var entry)) entry.IsForgotten = true;
            while (_excess.Count > 0 && _entries.Count < Most && _excess.First() is var next && _excess.Remove(next))
                if (IsUsable(next, out var identity, out _)) Begin(next, identity);
        }
    }

    /// <summary>Renews those that another certificate has signed, once for each that signs.</summary>
    /// <param name="issuer">What signs now, as PEM; empty if that is not known.</param>
    public void FollowIssuer(string issuer)
    {
        if (issuer.Length == 0) return;
        foreach (var entry in _entries.Values.Where(entry => entry.Issuer != issuer))
        {
            if (entry.State.Certificate is not { } certificate) continue;
            var isLed = Renewal.Leads(certificate, issuer);
            lock (_lock)
            {
                if (entry.Due is null) continue;
                entry.Issuer = issuer;
                if (!isLed) Plan(entry, Renewal.Spread * random.NextDouble());
            }
        }
    }

    /// <summary>Fetches and renews until <paramref name="stop"/>.</summary>
    /// <returns>What does so.</returns>
    public IEnumerable<Task> Start(CancellationToken stop) =>
        authority is null ? [] : Enumerable.Range(0, AtOnce).Select(_ => FetchAllAsync(authority, stop));

    private bool IsUsable(string name, [NotNullWhen(true)] out SpiffeId? identity, out string why)
    {
        why = !SpiffeId.TryParse(name, out identity) ? "it is not of the form spiffe://TRUSTDOMAIN/ns/NAMESPACE/sa/SERVICEACCOUNT"
            : authority is null ? $"this proxy has the certificate of {_own} from files or from a socket, and asks no CA for others"
            : "";
        return identity is not null && why.Length == 0;
    }

    private void Begin(string name, SpiffeId identity)
    {
        var entry = _entries[name] = new(name, identity);
        Plan(entry, TimeSpan.Zero);
    }

    private void Plan(Entry entry, TimeSpan pause)
    {
        var due = time.GetUtcNow() + pause;
        entry.Due = due;
        _plan.Enqueue(entry, due);
        _planned.TrySetResult();
    }

    private async Task FetchAllAsync(CertificateClient from, CancellationToken stop)
    {
        while (true)
        {
            if (Next(out var pause, out var planned) is { } entry)
            {
                await FetchAsync(from, entry, stop).ConfigureAwait(false);
                continue;
            }
            using var either = CancellationTokenSource.CreateLinkedTokenSource(stop);
            await Task.WhenAny(planned, Task.Delay(pause, time, either.Token)).ConfigureAwait(false);
            await either.CancelAsync().ConfigureAwait(false);
            stop.ThrowIfCancellationRequested();
        }
    }

    /// <summary>The one to fetch now; null: none is due before <paramref name="pause"/> is over, unless that is changed.</summary>
    private Entry? Next(out TimeSpan pause, out Task planned)
    {
        lock (_lock)
        {
            if (_planned.Task.IsCompleted) _planned = new(TaskCreationOptions.RunContinuationsAsynchronously);
            (planned, pause) = (_planned.Task, Renewal.LongestPause);
            while (_plan.TryPeek(out var entry, out var due))
            {
                var left = due - time.GetUtcNow();
                // It was forgotten or planned anew.
                var isStale = entry.IsForgotten || entry.Due != due;
                if (!isStale && left > TimeSpan.Zero)
                {
                    // Timers take whole milliseconds: one that ends early would find nothing to do.
                    pause = left < pause ? TimeSpan.FromMilliseconds(Math.Ceiling(left.TotalMilliseconds)) : pause;
                    return null;
                }
                _plan.Dequeue();
                if (isStale) continue;
                entry.Due = null;
                return entry;
            }
            return null;
        }
    }

    private async Task FetchAsync(CertificateClient from, Entry entry, CancellationToken stop)
    {
        try
        {
            Interlocked.Increment(ref _requests);
            var issued = await from.FetchAsync(entry.Identity, stop).ConfigureAwait(false);
            var certificate = CertificateSecret.Load(entry.Name, issued.ChainPem, issued.KeyPem);
            lock (_lock)
            {
                if (entry.IsForgotten) return;
                var now = time.GetUtcNow();
                entry.State = new(certificate, now, false);
                (entry.Failures, entry.Told) = (0, "");
                Plan(entry, Renewal.Pause(issued.NotAfter - now, settings.RenewalRatio, random.NextDouble()));
                Fetched(log, entry.Name, issued.NotAfter, entry.Due!.Value);
            }
        }
        catch (Exception e) when (e is GrpcException or ProblemException or IOException or UnauthorizedAccessException)
        {
            Interlocked.Increment(ref _failures);
            lock (_lock)
            {
                if (entry.IsForgotten) return;
                entry.State = entry.State with { IsRefused = IsRefusal(e) };
                Plan(entry, Renewal.Retry(entry.Failures++, random.NextDouble()));
                if (entry.Told != e.Message) NotFetched(log, entry.Name, settings.CertificateAuthority.ToString(), entry.Told = e.Message);
            }
        }
        Changed?.Invoke(entry.Name);
    }

    /// <summary>Whether the CA has decided, and is not only away or not ready.</summary>
    private static bool IsRefusal(Exception e) =>
        e is ProblemException or GrpcException { Code: GrpcCode.Unauthenticated or GrpcCode.PermissionDenied or GrpcCode.InvalidArgument };

    [LoggerMessage(Level = LogLevel.Information, Message = "Got a certificate for {Identity}, valid until {NotAfter}; it is renewed at {Renewal}")]
    private static partial void Fetched(ILogger log, string identity, DateTimeOffset notAfter, DateTimeOffset renewal);

    [LoggerMessage(Level = LogLevel.Warning,
        Message = "No certificate for {Identity} from {Authority}: {Reason}; it is asked again, at least each half minute")]
    private static partial void NotFetched(ILogger log, string identity, string authority, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Secret {Name} cannot be used: {Reason}")]
    private static partial void Unusable(ILogger log, string name, string reason);

    [LoggerMessage(Level = LogLevel.Error,
        Message = "Resources name more than {Most} identities, for which a proxy keeps certificates: {Count} get none, such as {Name}. Serve them by another "
            + "proxy")]
    private static partial void TooMany(ILogger log, int most, int count, string name);
}

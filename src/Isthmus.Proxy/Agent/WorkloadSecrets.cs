using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Proxy.Tls;
using Isthmus.Wire.Grpc;
using Microsoft.Extensions.Logging;

namespace Isthmus.Proxy.Agent;

/// <summary>The secrets of this workload, in the process: <c>default</c> and <c>ROOTCA</c> from the mesh's CA and renewed
/// in time, or from a socket; those of other workloads from the CA, too; others from mounted files.</summary>
internal sealed partial class WorkloadSecrets(
    AgentSettings settings, CertificateClient? authority, FileSecrets files, DiscoveredSecrets discovered, TimeProvider time, Random random, ILogger log)
    : ISecretSource
{
    private const string Default = "default", Root = Tls.TlsSettings.MeshRoots;
    private static readonly TimeSpan Look = TimeSpan.FromSeconds(15);

    /// <param name="IssuedRoot">The roots that came with the certificate.</param>
    /// <param name="MountedRoot">The mounted ones when it came.</param>
    private sealed record State(CertificateSecret? Certificate, RootSecret? Roots, string IssuedRoot, string MountedRoot, DateTimeOffset Updated);

    private State _state = new(null, null, "", "", default);

    private readonly SemaphoreSlim _renew = new(0, 1);

    private readonly IdentitySecrets _identities = new(settings, authority, time, random, log);

    /// <summary>Replaces the CA and files as the source of <c>default</c> and <c>ROOTCA</c>; null if there is no socket.</summary>
    public SocketSecrets? Socket { get; init; }

    private Action<string>? _changed;
    private long _requests;
    private long _failures;

    /// <summary>Requests to the certificate authority so far.</summary>
    public long Requests => Interlocked.Read(ref _requests) + _identities.Requests;

    /// <summary>Those that failed.</summary>
    public long Failures => Interlocked.Read(ref _failures) + _identities.Failures;

    /// <summary>How long each certificate is valid, and the CAs in files; the workload's own first.</summary>
    public IEnumerable<(string Name, SecretLife Life)> Lives()
    {
        if (FindCertificate(Default) is { } own) yield return (Default, own.Life);
        foreach (var other in _identities.Lives().Concat(files.Lives()).Concat(discovered.Lives()).Where(one => one.Name != Default)) yield return other;
    }

    public void Want(IReadOnlyCollection<string> names) => _identities.Want(names.Where(name => IdentityNames.Has(name) && !_identities.IsOwn(name)));

    public void Forget(IReadOnlyCollection<string> names)
    {
        files.Forget(names);
        _identities.Forget(names);
    }

    public event Action<string>? Changed
    {
        add
        {
            _changed += value;
            _identities.Changed += value;
            discovered.Changed += value;
            if (Socket is not null) Socket.Changed += value;
        }
        remove
        {
            _changed -= value;
            _identities.Changed -= value;
            discovered.Changed -= value;
            if (Socket is not null) Socket.Changed -= value;
        }
    }

    public CertificateSecret? FindCertificate(string name) =>
        Socket is not null && SocketSecrets.Has(name) ? Socket.FindCertificate(name)
        : name == Default && authority is not null
        ? _state.Certificate
        : IdentityNames.Has(name)
        ? _identities.IsOwn(name) ? FindCertificate(Default) : _identities.FindCertificate(name)
        : DiscoveredSecrets.Has(name)
        ? discovered.FindCertificate(name)
        : files.FindCertificate(name);

    public RootSecret? FindRoots(string name) =>
        Socket is not null && SocketSecrets.Has(name)
            ? Socket.FindRoots(name)
            : name == Root && authority is not null
            ? _state.Roots
            : DiscoveredSecrets.Has(name)
            ? discovered.FindRoots(name)
            : files.FindRoots(name);

    /// <summary>The CA's certificate comes in time, unless it refuses one for another workload, and the control plane reports which of its secrets
    /// do not exist. A file that is not mounted may never be.</summary>
    public bool IsAbsent(string name) =>
        IdentityNames.Has(name) ? !_identities.IsOwn(name) && _identities.IsAbsent(name)
        : DiscoveredSecrets.Has(name) ? discovered.IsAbsent(name)
        : name is not (Default or Root) && FindCertificate(name) is null && FindRoots(name) is null;

    public IReadOnlyList<SecretView> View()
    {
        var (state, version) = (_state, $"{_state.Updated.ToUnixTimeSeconds()}");
        var views = new List<SecretView>(files.View().Concat(_identities.View()).Concat(discovered.View()).Concat(Socket?.View() ?? []));
        if (state.Certificate is { } certificate) views.Add(new(Default, version, state.Updated, certificate.ChainPem, ""));
        if (state.Roots is { } roots) views.Add(new(Root, version, state.Updated, "", roots.Pem));
        return views;
    }

    /// <summary>Fetches, renews and re-reads until <paramref name="stop"/>.</summary>
    public async Task RunAsync(CancellationToken stop)
    {
        Task[] all = [RenewAsync(stop), .. _identities.Start(stop), WatchAsync(stop), Socket?.RunAsync(stop) ?? Task.CompletedTask];
        try
        {
            // The others go on when one fails, and nothing would tell.
            await foreach (var ended in Task.WhenEach(all).ConfigureAwait(false)) await ended.ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            await Task.WhenAll(all).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task RenewAsync(CancellationToken stop)
    {
        if (authority is null) return;
        DateTimeOffset? told = null;
        for (var failures = 0; ;)
        {
            TimeSpan pause;
            try
            {
                Interlocked.Increment(ref _requests);
                var mounted = MountedRoots();
                var issued = await authority.FetchAsync(null, stop).ConfigureAwait(false);
                Publish(CertificateSecret.Load(Default, issued.ChainPem, issued.KeyPem), issued.RootPem, mounted);
                pause = Renewal.Pause(issued.NotAfter - time.GetUtcNow(), settings.RenewalRatio, random.NextDouble());
                Fetched(log, issued.NotAfter, time.GetUtcNow() + pause);
                if (issued.EndsWithAuthority && told != issued.AuthorityEnd) EndsWithAuthority(log, (told = issued.AuthorityEnd).Value);
                failures = 0;
            }
            catch (Exception e) when (e is GrpcException or ProblemException or IOException or UnauthorizedAccessException)
            {
                Interlocked.Increment(ref _failures);
                pause = Renewal.Retry(failures++, random.NextDouble());
                NotFetched(log, settings.CertificateAuthority.ToString(), e.Message, pause);
            }
            if (!await SignalAsync(pause, stop).ConfigureAwait(false)) continue;
            OtherIssuer(log);
            await Task.Delay(Renewal.Spread * random.NextDouble(), time, stop).ConfigureAwait(false);
        }
    }

    /// <summary>Waits until another CA signs, but not longer than <paramref name="pause"/>. Timers are limited to some weeks; waking up early only fetches
    /// early.</summary>
    private async Task<bool> SignalAsync(TimeSpan pause, CancellationToken stop)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var signal = _renew.WaitAsync(either.Token);
        await Task.WhenAny(signal, Task.Delay(pause < Renewal.LongestPause ? pause : Renewal.LongestPause, time, either.Token)).ConfigureAwait(false);
        await either.CancelAsync().ConfigureAwait(false);
        stop.ThrowIfCancellationRequested();
        await signal.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        return signal.IsCompletedSuccessfully;
    }

    /// <summary>Mounted files, roots included, are rotated while the proxy runs; polling is cheaper than file watches,
    /// which a machine limits.</summary>
    private async Task WatchAsync(CancellationToken stop)
    {
        using var timer = new PeriodicTimer(Look, time);
        var issuer = "";
        do
        {
            foreach (var name in files.Refresh()) _changed?.Invoke(name);
            if (_state.Certificate is { } certificate)
            {
                FollowRoots();
                var now = MountedRoots(WellKnown.IssuerCertKey);
                // Once for each change: another control plane of the same cluster may sign with another intermediate.
                if (now.Length > 0 && now != issuer && !Renewal.Leads(certificate, now) && _renew.CurrentCount == 0) _renew.Release();
                issuer = now;
                _identities.FollowIssuer(now);
            }
        }
        while (await timer.WaitForNextTickAsync(stop).ConfigureAwait(false));
    }

    /// <summary>Mounted roots that changed after the certificate came are newer than those that came with it: what they no longer contain is no longer
    /// trusted.</summary>
    private void FollowRoots()
    {
        var (state, mounted) = (_state, MountedRoots());
        if (mounted.Length == 0 || mounted == state.MountedRoot) return;
        try
        {
            var roots = RootSecret.Load(Root, mounted);
            if (!Renewal.IsTrusted(state.Certificate!, roots.Roots)) roots = RootSecret.Load(Root, state.IssuedRoot + mounted);
            if (Interlocked.CompareExchange(ref _state, state with { Roots = roots, MountedRoot = mounted, Updated = time.GetUtcNow() }, state) == state)
                _changed?.Invoke(Root);
        }
        catch (ProblemException)
        {
            // Half a file: the next look reads the rest.
        }
    }

    private void Publish(CertificateSecret certificate, string issuedRoot, string mounted)
    {
        _state = new(certificate, RootsWith(issuedRoot, mounted), issuedRoot, mounted, time.GetUtcNow());
        _changed?.Invoke(Default);
        _changed?.Invoke(Root);
    }

    /// <summary>The CA's roots and the mounted ones, either of which may be older.</summary>
    private static RootSecret RootsWith(string issuedRoot, string mounted)
    {
        try { return RootSecret.Load(Root, mounted.Contains(issuedRoot.Trim(), StringComparison.Ordinal) ? mounted : issuedRoot + mounted); }
        catch (ProblemException) { return RootSecret.Load(Root, issuedRoot); }
    }

    /// <summary>Empty when they cannot be read.</summary>
    private string MountedRoots(string? beside = null)
    {
        var path = beside is null ? settings.RootFile : Path.Combine(Path.GetDirectoryName(settings.RootFile) ?? "", beside);
        try { return File.Exists(path) ? File.ReadAllText(path) : ""; }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { return ""; }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Got a workload certificate valid until {NotAfter}; it is renewed at {Renewal}")]
    private static partial void Fetched(ILogger log, DateTimeOffset notAfter, DateTimeOffset renewal);

    [LoggerMessage(Level = LogLevel.Warning,
        Message = "The certificate authority expires at {End:u}, and workload certificates with it: a new one must be in Secret cacerts before (isthmus "
            + "certificates)")]
    private static partial void EndsWithAuthority(ILogger log, DateTimeOffset end);

    [LoggerMessage(Level = LogLevel.Information, Message = "Another certificate signs: the workload certificate is renewed")]
    private static partial void OtherIssuer(ILogger log);

    [LoggerMessage(Level = LogLevel.Warning, Message = "No workload certificate from {Authority}: {Reason}; next attempt in {Pause}")]
    private static partial void NotFetched(ILogger log, string authority, string reason, TimeSpan pause);
}

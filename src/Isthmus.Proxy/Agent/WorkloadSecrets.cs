using Isthmus.Core.Problems;
using Isthmus.Proxy.Tls;
using Isthmus.Wire.Grpc;
using Microsoft.Extensions.Logging;

namespace Isthmus.Proxy.Agent;

/// <summary>The secrets of this workload, in the process: <c>default</c> and <c>ROOTCA</c> from the mesh's CA and renewed
/// in time, or from a socket; others from mounted files.</summary>
internal sealed partial class WorkloadSecrets(
    AgentSettings settings, CertificateClient? authority, FileSecrets files, DiscoveredSecrets discovered, TimeProvider time, Random random, ILogger log) : ISecretSource
{
    private const string Default = "default", Root = Tls.TlsSettings.MeshRoots;
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(200), LongestPause = TimeSpan.FromSeconds(30), Look = TimeSpan.FromSeconds(15);

    private sealed record State(CertificateSecret? Certificate, RootSecret? Roots, string IssuedRoot, DateTimeOffset Updated);

    private volatile State _state = new(null, null, "", default);

    /// <summary>Provides <c>default</c> and <c>ROOTCA</c> in the place of CA and files; null: there is no socket.</summary>
    public SocketSecrets? Socket { get; init; }

    private Action<string>? _changed;
    private long _requests;
    private long _failures;

    /// <summary>Requests to the certificate authority so far.</summary>
    public long Requests => Interlocked.Read(ref _requests);

    /// <summary>Those that failed.</summary>
    public long Failures => Interlocked.Read(ref _failures);

    /// <summary>When the certificate of the CA expires; null while there is none.</summary>
    public DateTimeOffset? CertificateEnd => (Socket is null ? _state.Certificate : Socket.FindCertificate(Default)) is { } certificate ? new(certificate.Leaf.NotAfter.ToUniversalTime()) : null;

    public event Action<string>? Changed
    {
        add
        {
            _changed += value;
            discovered.Changed += value;
            if (Socket is not null) Socket.Changed += value;
        }
        remove
        {
            _changed -= value;
            discovered.Changed -= value;
            if (Socket is not null) Socket.Changed -= value;
        }
    }

    public CertificateSecret? FindCertificate(string name) =>
        Socket is not null && SocketSecrets.Has(name) ? Socket.FindCertificate(name)
        : name == Default && authority is not null ? _state.Certificate : DiscoveredSecrets.Has(name) ? discovered.FindCertificate(name) : files.FindCertificate(name);

    public RootSecret? FindRoots(string name) =>
        Socket is not null && SocketSecrets.Has(name) ? Socket.FindRoots(name) : name == Root && authority is not null ? _state.Roots : DiscoveredSecrets.Has(name) ? discovered.FindRoots(name) : files.FindRoots(name);

    /// <summary>The CA's certificate comes in time, and the control plane reports which of its secrets do not exist. A file that
    /// is not mounted may never be.</summary>
    public bool IsAbsent(string name) =>
        DiscoveredSecrets.Has(name) ? discovered.IsAbsent(name) : name is not (Default or Root) && FindCertificate(name) is null && FindRoots(name) is null;

    public IReadOnlyList<SecretView> View()
    {
        var (state, version) = (_state, $"{_state.Updated.ToUnixTimeSeconds()}");
        var views = new List<SecretView>(files.View().Concat(discovered.View()).Concat(Socket?.View() ?? []));
        if (state.Certificate is { } certificate) views.Add(new(Default, version, state.Updated, certificate.ChainPem, ""));
        if (state.Roots is { } roots) views.Add(new(Root, version, state.Updated, "", roots.Pem));
        return views;
    }

    /// <summary>Fetches, renews and re-reads until <paramref name="stop"/>.</summary>
    public async Task RunAsync(CancellationToken stop)
    {
        try
        {
            await Task.WhenAll(RenewAsync(stop), WatchAsync(stop), Socket?.RunAsync(stop) ?? Task.CompletedTask).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
        }
    }

    /// <summary>When to fetch the next: a little before the configured fraction of the lifetime, so that proxies that
    /// started together spread out.</summary>
    internal static DateTimeOffset RenewalTime(DateTimeOffset notBefore, DateTimeOffset notAfter, double ratio, double chance)
    {
        var lifetime = notAfter - notBefore;
        return notAfter - lifetime * ratio - lifetime * 0.05 * chance;
    }

    private async Task RenewAsync(CancellationToken stop)
    {
        if (authority is null) return;
        for (var failures = 0; ;)
        {
            TimeSpan pause;
            try
            {
                Interlocked.Increment(ref _requests);
                var issued = await authority.FetchAsync(stop).ConfigureAwait(false);
                Publish(CertificateSecret.Load(Default, issued.ChainPem, issued.KeyPem), issued.RootPem);
                var renewal = RenewalTime(issued.NotBefore, issued.NotAfter, settings.RenewalRatio, random.NextDouble());
                Fetched(log, issued.NotAfter, renewal);
                failures = 0;
                pause = renewal - time.GetUtcNow();
            }
            catch (Exception e) when (e is GrpcException or ProblemException or IOException or UnauthorizedAccessException)
            {
                Interlocked.Increment(ref _failures);
                pause = TimeSpan.FromMilliseconds(Math.Min(LongestPause.TotalMilliseconds, FirstPause.TotalMilliseconds * Math.Pow(2, failures++)) * (0.5 + random.NextDouble() / 2));
                NotFetched(log, settings.CertificateAuthority.ToString(), e.Message, pause);
            }
            // Timers are limited to some weeks; waking up early only fetches early.
            await Task.Delay(TimeSpan.FromMilliseconds(Math.Clamp(pause.TotalMilliseconds, 50, TimeSpan.FromDays(20).TotalMilliseconds)), time, stop).ConfigureAwait(false);
        }
    }

    /// <summary>Mounted files, roots included, are rotated while the proxy runs; polling is cheaper than file watches,
    /// which a machine limits.</summary>
    private async Task WatchAsync(CancellationToken stop)
    {
        using var timer = new PeriodicTimer(Look, time);
        do
        {
            foreach (var name in files.Refresh()) _changed?.Invoke(name);
            var state = _state;
            if (state.IssuedRoot.Length > 0 && RootsWith(state.IssuedRoot) is { } roots && roots.Pem != state.Roots?.Pem)
            {
                _state = state with { Roots = roots, Updated = time.GetUtcNow() };
                _changed?.Invoke(Root);
            }
        }
        while (await timer.WaitForNextTickAsync(stop).ConfigureAwait(false));
    }

    private void Publish(CertificateSecret certificate, string issuedRoot)
    {
        _state = new(certificate, RootsWith(issuedRoot), issuedRoot, time.GetUtcNow());
        _changed?.Invoke(Default);
        _changed?.Invoke(Root);
    }

    /// <summary>The CA's root and the mounted ones: during a root rotation both are in use.</summary>
    private RootSecret RootsWith(string issuedRoot)
    {
        try
        {
            var mounted = File.Exists(settings.RootFile) ? File.ReadAllText(settings.RootFile) : "";
            if (mounted.Contains(issuedRoot.Trim(), StringComparison.Ordinal)) return RootSecret.Load(Root, mounted);
            return RootSecret.Load(Root, issuedRoot + mounted);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ProblemException)
        {
            return RootSecret.Load(Root, issuedRoot);
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Got a workload certificate valid until {NotAfter}; it is renewed at {Renewal}")]
    private static partial void Fetched(ILogger log, DateTimeOffset notAfter, DateTimeOffset renewal);

    [LoggerMessage(Level = LogLevel.Warning, Message = "No workload certificate from {Authority}: {Reason}; next attempt in {Pause}")]
    private static partial void NotFetched(ILogger log, string authority, string reason, TimeSpan pause);
}

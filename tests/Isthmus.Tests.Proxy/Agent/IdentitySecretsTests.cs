using System.Collections.Concurrent;
using System.Collections.Immutable;
using Isthmus.Proxy.Agent;
using Isthmus.Testing;
using Isthmus.Wire.Grpc;
using Isthmus.Wire.Istio;
using Isthmus.Wire.Tls;
using Microsoft.Extensions.Logging;
using Xunit;

namespace Isthmus.Tests.Proxy.Agent;

/// <summary>Certificates of other workloads, from a CA that is real but does as a test says.</summary>
public sealed class IdentitySecretsTests : CaRig
{
    private const string Buyer = "spiffe://cluster.local/ns/shop/sa/buyer", Seller = "spiffe://cluster.local/ns/shop/sa/seller";

    private readonly Lines _log = new();
    private readonly ConcurrentQueue<string> _asked = [];
    private readonly ManualClock _clock = new();

    private volatile ImmutableHashSet<string> _refused = [];
    private volatile Issuer? _issuer;

    public IdentitySecretsTests() => _clock.Jump(Now - _clock.GetUtcNow());

    [Fact]
    public async Task Each_identity_has_a_certificate_of_its_own_and_that_of_the_proxy_is_the_default()
    {
        await using var ca = await ServeAsync();
        await using var secrets = new Running(Secrets(ca.Port));
        secrets.Source.Want([Buyer, Seller, Own, "default", "kubernetes://front"]);
        await HasAsync(secrets, Buyer);
        await HasAsync(secrets, Seller);
        await HasAsync(secrets, Own);
        Assert.Same(secrets.Source.FindCertificate("default"), secrets.Source.FindCertificate(Own));
        Assert.Equal(["", Buyer, Seller], _asked.Order());
        Assert.Equal((3, 0), (secrets.Source.Requests, secrets.Source.Failures));
        Assert.Equal(["default", Buyer, Seller], secrets.Source.Lives().Select(one => one.Name).Order());
        Assert.Equal(["ROOTCA", "default", Buyer, Seller], secrets.Source.View().Select(one => one.Name).Order(StringComparer.Ordinal));
        Assert.DoesNotContain(secrets.Source.View(), view => view.CertificateChainPem.Contains("PRIVATE", StringComparison.Ordinal));
    }

    [Fact]
    public async Task What_the_CA_refuses_is_told_once_and_keeps_nobody_waiting_until_it_is_granted()
    {
        _refused = [Seller];
        await using var ca = await ServeAsync();
        await using var secrets = new Running(Secrets(ca.Port, _clock, _log));
        Assert.False(secrets.Source.IsAbsent(Seller));
        secrets.Source.Want([Buyer, Seller]);
        await HasAsync(secrets, Buyer);
        await Eventually.TrueAsync(() => secrets.Source.IsAbsent(Seller) && secrets.Changes.Contains(Seller));
        Assert.False(secrets.Source.IsAbsent(Buyer));
        await UntilAsync(_clock, () => secrets.Source.Failures >= 4);
        var line = Assert.Single(_log.All, line => line.Contains(Seller, StringComparison.Ordinal));
        Assert.Contains("no Pod of it runs here", line, StringComparison.Ordinal);
        _refused = [];
        await UntilAsync(_clock, () => secrets.Source.FindCertificate(Seller) is not null);
        Assert.False(secrets.Source.IsAbsent(Seller));
    }

    [Fact]
    public async Task A_CA_that_is_away_is_waited_for()
    {
        var ca = await ServeAsync();
        var port = ca.Port;
        await ca.DisposeAsync();
        await using var secrets = new Running(Secrets(port, _clock, _log));
        secrets.Source.Want([Buyer]);
        await Eventually.TrueAsync(() => _log.All.Any(line => line.Contains($"No certificate for {Buyer}", StringComparison.Ordinal)));
        Assert.False(secrets.Source.IsAbsent(Buyer));
    }

    /// <summary>A CA that does not know the field signs for the caller.</summary>
    [Fact]
    public async Task A_certificate_for_another_identity_is_not_taken()
    {
        await using var ca = await ServeAsync(["istiod.istio-system.svc"], (_, request) => Answer(request, Intermediate, Above()));
        await using var secrets = new Running(Secrets(ca.Port, _clock, _log));
        secrets.Source.Want([Buyer]);
        await Eventually.TrueAsync(() => secrets.Source.IsAbsent(Buyer));
        Assert.Null(secrets.Source.FindCertificate(Buyer));
        await Eventually.TrueAsync(
            () => _log.All.Any(line => line.Contains($"it answered with a certificate for {Own} and not for {Buyer}", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Certificates_are_renewed_in_time_and_the_last_one_stays_when_that_fails()
    {
        await using var ca = await ServeAsync();
        await using var secrets = new Running(Secrets(ca.Port, _clock, _log));
        secrets.Source.Want([Buyer, Seller]);
        await HasAsync(secrets, Buyer);
        await HasAsync(secrets, Seller);
        var (buyer, seller) = (secrets.Source.FindCertificate(Buyer), secrets.Source.FindCertificate(Seller));
        _refused = [Seller];
        await LaterAsync(() => !ReferenceEquals(buyer, secrets.Source.FindCertificate(Buyer)));
        await LaterAsync(() => _log.All.Any(line => line.Contains($"No certificate for {Seller}", StringComparison.Ordinal)));
        Assert.Same(seller, secrets.Source.FindCertificate(Seller));
        Assert.False(secrets.Source.IsAbsent(Seller));
        Assert.Equal([Buyer], secrets.Source.FindCertificate(Buyer)!.Self.Uris);
    }

    [Fact]
    public async Task What_nothing_names_any_more_is_neither_kept_nor_asked_for()
    {
        await using var ca = await ServeAsync();
        await using var secrets = new Running(Secrets(ca.Port, _clock));
        secrets.Source.Want([Buyer, Seller]);
        await HasAsync(secrets, Buyer);
        await HasAsync(secrets, Seller);
        secrets.Source.Forget([Buyer, Own]);
        Assert.Null(secrets.Source.FindCertificate(Buyer));
        Assert.DoesNotContain(Buyer, secrets.Source.View().Select(view => view.Name));
        Assert.DoesNotContain(Buyer, secrets.Source.Lives().Select(life => life.Name));
        _asked.Clear();
        await LaterAsync(() => _asked.Count(asked => asked == Seller) == 2);
        Assert.DoesNotContain(Buyer, _asked);
        secrets.Source.Want([Buyer]);
        await HasAsync(secrets, Buyer);
    }

    [Fact]
    public async Task A_certificate_that_comes_after_it_was_forgotten_is_not_kept()
    {
        var (came, gate) = (new TaskCompletionSource(), new TaskCompletionSource());
        await using var ca = await ServeAsync(["istiod.istio-system.svc"], async (_, request) =>
        {
            if (Asked(request) is not { Length: > 0 } asked) return await Answer(request, Intermediate, Above());
            came.TrySetResult();
            await gate.Task;
            return await Answer(request, asked, Intermediate, Above());
        });
        await using var secrets = new Running(Secrets(ca.Port));
        secrets.Source.Want([Buyer]);
        await came.Task.WaitAsync(Stop);
        secrets.Source.Forget([Buyer]);
        // When this one is there, the other has been answered, too.
        gate.SetResult();
        secrets.Source.Want([Seller]);
        await HasAsync(secrets, Seller);
        Assert.Null(secrets.Source.FindCertificate(Buyer));
        Assert.DoesNotContain(Buyer, secrets.Source.View().Select(view => view.Name));
    }

    [Fact]
    public async Task Another_issuer_is_followed_at_once()
    {
        using var next = Root.IssueIntermediate(new("Istio", "New CA"), Keys.Create(KeyKind.EcP256), SubjectNames.None, Now.AddDays(-1), Now.AddDays(9));
        await PutAsync("issuer-cert.pem", CertificateText.Write(Intermediate.Certificate));
        await using var ca = await ServeAsync();
        await using var secrets = new Running(Secrets(ca.Port, _clock));
        secrets.Source.Want([Buyer]);
        await HasAsync(secrets, Buyer);
        await HasAsync(secrets, Own);
        for (var looks = 0; looks < 3; looks++) await PassAsync(_clock);
        Assert.Equal(2, secrets.Source.Requests);
        _issuer = next;
        await PutAsync("issuer-cert.pem", CertificateText.Write(next.Certificate));
        await UntilAsync(_clock, () => secrets.Source.FindCertificate(Buyer)!.Intermediates[0].Equals(next.Certificate));
        for (var looks = 0; looks < 3; looks++) await PassAsync(_clock);
        Assert.Equal(4, secrets.Source.Requests);
    }

    [Fact]
    public void More_identities_than_a_proxy_keeps_get_none_until_there_is_room()
    {
        var secrets = Secrets(1, log: _log);
        var absent = new List<string>();
        secrets.Changed += absent.Add;
        string[] names = [.. Enumerable.Range(0, IdentitySecrets.Most + 2).Select(i => $"spiffe://cluster.local/ns/shop/sa/a{i}")];
        secrets.Want(names[..^2]);
        Assert.Empty(absent);
        secrets.Want(names);
        Assert.Equal(names[^2..], absent);
        Assert.Equal(names[^2..], names.Where(secrets.IsAbsent));
        Assert.Equal($"Resources name more than 1000 identities, for which a proxy keeps certificates: 2 get none, such as {names[^2]}. Serve them by "
            + "another proxy", Assert.Single(_log.All));
        secrets.Forget([names[0]]);
        Assert.Single(names, secrets.IsAbsent);
        secrets.Forget(names[^2..]);
        Assert.DoesNotContain(names, secrets.IsAbsent);
    }

    [Theory]
    [InlineData("spiffe://cluster.local")]
    [InlineData("spiffe://cluster.local/ns/shop/sa/")]
    public void A_name_that_is_no_identity_of_a_workload_is_told(string name)
    {
        var secrets = Secrets(1, log: _log);
        Assert.True(secrets.IsAbsent(name));
        secrets.Want([name]);
        Assert.Equal($"Secret {name} cannot be used: it is not of the form spiffe://TRUSTDOMAIN/ns/NAMESPACE/sa/SERVICEACCOUNT", Assert.Single(_log.All));
        Assert.True(secrets.IsAbsent(name));
        Assert.Null(secrets.FindCertificate(name));
        Assert.Null(secrets.FindRoots(name));
    }

    [Fact]
    public void A_proxy_that_asks_no_CA_has_no_other_identity_than_its_own()
    {
        var time = TimeProvider.System;
        var secrets = new WorkloadSecrets(Settings(1), null, new(Folder, time, _log), new(time), time, new(1), _log);
        secrets.Want([Buyer, Own]);
        Assert.True(secrets.IsAbsent(Buyer));
        Assert.False(secrets.IsAbsent(Own));
        Assert.Contains("asks no CA for others", Assert.Single(_log.All), StringComparison.Ordinal);
        var (certificate, key) = TestCa.SelfSignedPair("own", Own);
        File.WriteAllText(Path.Combine(Folder, "cert-chain.pem"), certificate);
        File.WriteAllText(Path.Combine(Folder, "key.pem"), key);
        Assert.Equal([Own], secrets.FindCertificate(Own)!.Self.Uris);
    }

    private static string Asked(IstioCertificateRequest request) =>
        request.Metadata is { } metadata ? metadata.Fields["ImpersonatedIdentity"].StringValue : "";

    private string[] Above() => [CertificateText.Write((_issuer ?? Intermediate).Certificate), CertificateText.Write(Root.Certificate)];

    /// <summary>Signs for whoever is asked for, unless that is refused.</summary>
    private Task<Served> ServeAsync() => ServeAsync(["istiod.istio-system.svc"], (_, request) =>
    {
        var asked = Asked(request);
        _asked.Enqueue(asked);
        if (_refused.Contains(asked)) throw new GrpcException(GrpcCode.Unauthenticated, "no Pod of it runs here");
        return Answer(request, asked.Length > 0 ? asked : Own, _issuer ?? Intermediate, Above());
    });

    /// <summary>Hours pass until the condition holds.</summary>
    private async Task LaterAsync(Func<bool> condition)
    {
        for (var patience = 0; !condition(); patience++)
        {
            Assert.True(patience < 5000, "it did not happen");
            _clock.Jump(TimeSpan.FromHours(3));
            await Task.Delay(5, Stop);
        }
    }

    private static Task HasAsync(Running secrets, string identity) =>
        Eventually.TrueAsync(() => secrets.Source.FindCertificate(identity)?.Self.Uris is [var only] && only == identity);

    /// <summary>Secrets that are fetched and renewed until the end of a test.</summary>
    private sealed class Running : IAsyncDisposable
    {
        private readonly CancellationTokenSource _end = new();
        private readonly Task _running;

        internal Running(WorkloadSecrets source)
        {
            Source = source;
            source.Changed += Changes.Enqueue;
            _running = source.RunAsync(_end.Token);
        }

        internal WorkloadSecrets Source { get; }

        internal ConcurrentQueue<string> Changes { get; } = [];

        public async ValueTask DisposeAsync()
        {
            await _end.CancelAsync();
            await _running;
            _end.Dispose();
        }
    }

    private sealed class Lines : ILogger
    {
        private readonly ConcurrentQueue<string> _lines = [];

        /// <summary>The warnings and errors.</summary>
        internal IEnumerable<string> All => _lines;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Warning;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (IsEnabled(logLevel)) _lines.Enqueue(formatter(state, exception));
        }
    }
}

using System.Net;
using System.Security.Cryptography.X509Certificates;
using Isthmus.Proxy.Agent;
using Isthmus.Testing;
using Isthmus.Wire.Grpc;
using Isthmus.Wire.Istio;
using Isthmus.Wire.Tls;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Isthmus.Tests.Proxy.Agent;

public sealed class WorkloadSecretsTests : IDisposable
{
    private static readonly GrpcMethod<IstioCertificateRequest, IstioCertificateResponse> Method = new(
        "istio.v1.auth.IstioCertificateService", "CreateCertificate", IstioCertificateRequest.Parser, IstioCertificateResponse.Parser);

    private readonly string _directory = Directory.CreateTempSubdirectory("isthmus-test-").FullName;
    private readonly DateTimeOffset _now = TimeProvider.System.GetUtcNow();
    private readonly Issuer _root;
    private readonly Issuer _intermediate;

    public WorkloadSecretsTests()
    {
        _root = Issuer.SelfSigned(new("Istio", "Root CA"), Keys.Create(KeyKind.EcP256), _now.AddDays(-1), _now.AddDays(9));
        _intermediate = _root.IssueIntermediate(new("Istio", "Intermediate CA"), Keys.Create(KeyKind.EcP256), SubjectNames.None, _now.AddDays(-1),
            _now.AddDays(9));
        File.WriteAllText(Path.Combine(_directory, "root-cert.pem"), CertificateText.Write(_root.Certificate));
        File.WriteAllText(Path.Combine(_directory, "token"), "secret-token\n");
    }

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Certificate_and_roots_come_from_the_ca_with_token_and_cluster()
    {
        string? caller = null;
        await using var ca = await ServeAsync(["istiod.istio-system.svc"], (call, request) =>
        {
            caller = $"{call.Header("authorization")} {call.Header("clusterid")} {request.ValidityDuration}";
            return Answer(request, _intermediate, CertificateText.Write(_intermediate.Certificate), CertificateText.Write(_root.Certificate));
        });
        var secrets = Secrets(ca.Port);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Stop);
        var arrived = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        secrets.Changed += name =>
        {
            if (name == "ROOTCA") arrived.TrySetResult();
        };
        var running = secrets.RunAsync(stop.Token);
        await arrived.Task.WaitAsync(TimeSpan.FromMinutes(1), Stop);

        Assert.Equal("Bearer secret-token cluster1 86400", caller);
        Assert.Equal(["spiffe://cluster.local/ns/sample/sa/shop"], SubjectNames.Of(secrets.FindCertificate("default")!.Leaf).Uris);
        Assert.Equal(_root.Certificate.Thumbprint, Assert.Single(secrets.FindRoots("ROOTCA")!.Roots).Thumbprint);
        Assert.DoesNotContain(secrets.View(), v => (v.CertificateChainPem + v.RootsPem).Contains("PRIVATE", StringComparison.Ordinal));
        await stop.CancelAsync();
        await running;
    }

    /// <summary>Both roots are trusted, and then a CA of the new one signs: proxies renew at once, once, and the old root goes when its file goes.</summary>
    [Fact]
    public async Task Another_issuer_is_followed_at_once_and_an_old_root_only_until_its_file_is_without_it()
    {
        using var root = Issuer.SelfSigned(new("Istio", "New root CA"), Keys.Create(KeyKind.EcP256), _now.AddDays(-1), _now.AddDays(9));
        using var intermediate = root.IssueIntermediate(new("Istio", "New CA"), Keys.Create(KeyKind.EcP256), SubjectNames.None, _now.AddDays(-1),
            _now.AddDays(9));
        var (issuer, roots) = (_intermediate, CertificateText.Write(_root.Certificate) + CertificateText.Write(root.Certificate));
        await using var ca = await ServeAsync(["istiod.istio-system.svc"],
            (_, request) => Answer(request, issuer, CertificateText.Write(issuer.Certificate), roots));
        await PutAsync("root-cert.pem", roots);
        await PutAsync("issuer-cert.pem", CertificateText.Write(_intermediate.Certificate));
        var clock = new ManualClock();
        var secrets = Secrets(ca.Port, clock);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Stop);
        var running = secrets.RunAsync(stop.Token);
        await Eventually.TrueAsync(() => secrets.FindCertificate("default") is not null);
        for (var looks = 0; looks < 3; looks++) await PassAsync(clock);
        Assert.Equal(1, secrets.Requests);

        issuer = intermediate;
        await PutAsync("issuer-cert.pem", CertificateText.Write(intermediate.Certificate));
        await UntilAsync(clock, () => secrets.FindCertificate("default")!.Intermediates[0].Equals(intermediate.Certificate));
        Assert.Equal(2, secrets.FindRoots("ROOTCA")!.Roots.Count);

        await PutAsync("root-cert.pem", CertificateText.Write(root.Certificate));
        await UntilAsync(clock, () => secrets.FindRoots("ROOTCA")!.Roots is [var only] && only.Equals(root.Certificate));
        for (var looks = 0; looks < 3; looks++) await PassAsync(clock);
        Assert.Equal((2, 0), (secrets.Requests, secrets.Failures));
        await stop.CancelAsync();
        await running;
    }

    /// <summary>Another control plane of the cluster signs with another intermediate: that is no reason to ask again and again.</summary>
    [Fact]
    public async Task An_issuer_that_the_CA_does_not_use_is_asked_for_once()
    {
        await using var ca = await ServeAsync(["istiod.istio-system.svc"],
            (_, request) => Answer(request, _intermediate, CertificateText.Write(_intermediate.Certificate), CertificateText.Write(_root.Certificate)));
        var clock = new ManualClock();
        var secrets = Secrets(ca.Port, clock);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Stop);
        var running = secrets.RunAsync(stop.Token);
        await Eventually.TrueAsync(() => secrets.FindCertificate("default") is not null);
        using var other = _root.IssueIntermediate(new("Istio", "Other CA"), Keys.Create(KeyKind.EcP256), SubjectNames.None, _now.AddDays(-1), _now.AddDays(9));
        await PutAsync("issuer-cert.pem", CertificateText.Write(other.Certificate));
        await UntilAsync(clock, () => secrets.Requests == 2);
        for (var looks = 0; looks < 5; looks++) await PassAsync(clock);
        Assert.Equal(2, secrets.Requests);
        await stop.CancelAsync();
        await running;
    }

    /// <summary>Fetches go over a real connection, so time passes only when someone has had a chance to use it.</summary>
    private static async Task PassAsync(ManualClock clock)
    {
        clock.Advance(TimeSpan.FromSeconds(15));
        await Task.Delay(20, Stop);
    }

    private static async Task UntilAsync(ManualClock clock, Func<bool> condition)
    {
        for (var patience = 0; !condition(); patience++)
        {
            Assert.True(patience < 3000, "it did not happen");
            await PassAsync(clock);
        }
    }

    private Task PutAsync(string file, string text) => File.WriteAllTextAsync(Path.Combine(_directory, file), text, Stop);

    [Fact]
    public async Task Control_plane_with_another_root_or_another_name_is_refused()
    {
        await using var ca = await ServeAsync(["somebody.else"], (_, request) => Answer(request, _intermediate, "", CertificateText.Write(_root.Certificate)));
        var name = await Assert.ThrowsAsync<GrpcException>(() => Client(ca.Port).FetchAsync(Stop));
        Assert.Contains("is for somebody.else and not for istiod.istio-system.svc", name.Message, StringComparison.Ordinal);

        using var other = Issuer.SelfSigned(new("Other"), Keys.Create(KeyKind.EcP256), _now.AddDays(-1), _now.AddDays(1));
        File.WriteAllText(Path.Combine(_directory, "root-cert.pem"), CertificateText.Write(other.Certificate));
        var root = await Assert.ThrowsAsync<GrpcException>(() => Client(ca.Port).FetchAsync(Stop));
        Assert.Contains("not trusted: unknown authority", root.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("expired", "not trusted: not in force")]
    [InlineData("without its intermediate", "not trusted: unknown authority")]
    public async Task Control_plane_whose_certificate_leads_to_no_root_now_is_refused(string kind, string reason)
    {
        await using var ca = await ServeAsync(["istiod.istio-system.svc"],
            (_, request) => Answer(request, _intermediate, "", CertificateText.Write(_root.Certificate)),
            kind == "expired" ? _now.AddMinutes(-1) : _now.AddDays(1), withIntermediate: kind == "expired");
        var refused = await Assert.ThrowsAsync<GrpcException>(() => Client(ca.Port).FetchAsync(Stop));
        Assert.Contains(reason, refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Refusal_of_the_ca_is_told_in_its_words()
    {
        await using var ca = await ServeAsync(["istiod.istio-system.svc"],
            (_, _) => throw new GrpcException(GrpcCode.Unauthenticated, "request authenticate failure"));
        var e = await Assert.ThrowsAsync<GrpcException>(() => Client(ca.Port).FetchAsync(Stop));
        Assert.Equal((GrpcCode.Unauthenticated, "request authenticate failure"), (e.Code, e.Detail));
    }

    [Fact]
    public void Mounted_files_are_read_again_when_they_change_and_broken_ones_leave_the_last_good()
    {
        var files = new FileSecrets("", TimeProvider.System, NullLogger.Instance);
        var path = Path.Combine(_directory, "ca.pem");
        var name = $"file-root:{path}";
        Assert.Null(files.FindRoots(name));
        File.WriteAllText(path, CertificateText.Write(_root.Certificate));
        Assert.Equal([name], files.Refresh());
        Assert.Single(files.FindRoots(name)!.Roots);

        File.WriteAllText(path, CertificateText.Write(_root.Certificate) + CertificateText.Write(_intermediate.Certificate));
        files.Refresh();
        Assert.Equal(2, files.FindRoots(name)!.Roots.Count);
        File.WriteAllText(path, "broken");
        files.Refresh();
        Assert.Equal(2, files.FindRoots(name)!.Roots.Count);
        Assert.Null(files.FindRoots("unknown"));
    }

    public void Dispose()
    {
        _root.Dispose();
        _intermediate.Dispose();
        Directory.Delete(_directory, recursive: true);
    }

    private Task<IstioCertificateResponse> Answer(IstioCertificateRequest request, Issuer issuer, params string[] above)
    {
        var leaf = issuer.IssueLeaf(new(SigningRequest.Check(request.Csr), new(["spiffe://cluster.local/ns/sample/sa/shop"], [], []), _now.AddMinutes(-2),
            _now.AddSeconds(request.ValidityDuration)));
        return Task.FromResult(new IstioCertificateResponse { CertChain = { above.Where(a => a.Length > 0).Prepend(CertificateText.Write(leaf)) } });
    }

    private CertificateClient Client(int port)
    {
        var settings = Settings(port);
        return new(settings, Dial(settings), TimeProvider.System);
    }

    private WorkloadSecrets Secrets(int port, TimeProvider? clock = null)
    {
        var (settings, time) = (Settings(port), clock ?? TimeProvider.System);
        return new(settings, new(settings, Dial(settings), TimeProvider.System), new("", time, NullLogger.Instance), new(time), time, new(1),
            NullLogger.Instance);
    }

    private static ControlPlaneDial Dial(AgentSettings settings) => new(
        settings, new(new([], [], 1), new([], TimeProvider.System), () => "127.0.0.1 istiod.istio-system.svc\n", new(1)), TimeProvider.System);

    private AgentSettings Settings(int port) => AgentSettings.Read("sidecar", "", new Dictionary<string, string>
    {
        ["POD_NAME"] = "shop-1", ["POD_NAMESPACE"] = "sample", ["INSTANCE_IP"] = "10.0.0.1", ["SERVICE_ACCOUNT"] = "shop",
        ["ISTIO_META_CLUSTER_ID"] = "cluster1",
        ["CA_ADDR"] = $"istiod.istio-system.svc:{port}", ["CA_ROOT_CA"] = Path.Combine(_directory, "root-cert.pem"),
    }) with { TokenFile = Path.Combine(_directory, "token") };

    private async Task<Served> ServeAsync(string[] names, Func<GrpcCall, IstioCertificateRequest, Task<IstioCertificateResponse>> handler,
        DateTimeOffset? end = null, bool withIntermediate = true)
    {
        using var key = Keys.Create(KeyKind.EcP256);
        var leaf = _intermediate.IssueLeaf(new(PublicKey.CreateFromSubjectPublicKeyInfo(key.ExportSubjectPublicKeyInfo(), out _), new([], names, []),
            _now.AddMinutes(-2), end ?? _now.AddDays(1)));
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseKestrelHttpsConfiguration();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen =>
        {
            listen.Protocols = HttpProtocols.Http2;
            listen.UseHttps(https =>
            {
                https.ServerCertificate = Keys.Join(leaf, key);
                if (withIntermediate) https.ServerCertificateChain = [_intermediate.Certificate];
            });
        }));
        var app = builder.Build();
        app.MapUnary(Method, handler);
        await app.StartAsync(Stop);
        return new(app);
    }

    private sealed class Served(WebApplication app) : IAsyncDisposable
    {
        public int Port => new Uri(app.Urls.First()).Port;

        public ValueTask DisposeAsync() => app.DisposeAsync();
    }
}

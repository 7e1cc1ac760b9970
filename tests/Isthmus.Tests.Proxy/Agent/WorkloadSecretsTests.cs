using Isthmus.Proxy.Agent;
using Isthmus.Testing;
using Isthmus.Wire.Grpc;
using Isthmus.Wire.Tls;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Isthmus.Tests.Proxy.Agent;

public sealed class WorkloadSecretsTests : CaRig
{
    [Fact]
    public async Task Certificate_and_roots_come_from_the_ca_with_token_and_cluster()
    {
        string? caller = null;
        await using var ca = await ServeAsync(["istiod.istio-system.svc"], (call, request) =>
        {
            caller = $"{call.Header("authorization")} {call.Header("clusterid")} {request.ValidityDuration}";
            return Answer(request, Intermediate, CertificateText.Write(Intermediate.Certificate), CertificateText.Write(Root.Certificate));
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
        Assert.Equal(Root.Certificate.Thumbprint, Assert.Single(secrets.FindRoots("ROOTCA")!.Roots).Thumbprint);
        Assert.DoesNotContain(secrets.View(), v => (v.CertificateChainPem + v.RootsPem).Contains("PRIVATE", StringComparison.Ordinal));
        await stop.CancelAsync();
        await running;
    }

    /// <summary>Both roots are trusted, and then a CA of the new one signs: proxies renew at once, once, and the old root goes when its file goes.</summary>
    [Fact]
    public async Task Another_issuer_is_followed_at_once_and_an_old_root_only_until_its_file_is_without_it()
    {
        using var root = Issuer.SelfSigned(new("Istio", "New root CA"), Keys.Create(KeyKind.EcP256), Now.AddDays(-1), Now.AddDays(9));
        using var intermediate = root.IssueIntermediate(new("Istio", "New CA"), Keys.Create(KeyKind.EcP256), SubjectNames.None, Now.AddDays(-1),
            Now.AddDays(9));
        var (issuer, roots) = (Intermediate, CertificateText.Write(Root.Certificate) + CertificateText.Write(root.Certificate));
        await using var ca = await ServeAsync(["istiod.istio-system.svc"],
            (_, request) => Answer(request, issuer, CertificateText.Write(issuer.Certificate), roots));
        await PutAsync("root-cert.pem", roots);
        await PutAsync("issuer-cert.pem", CertificateText.Write(Intermediate.Certificate));
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
            (_, request) => Answer(request, Intermediate, CertificateText.Write(Intermediate.Certificate), CertificateText.Write(Root.Certificate)));
        var clock = new ManualClock();
        var secrets = Secrets(ca.Port, clock);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Stop);
        var running = secrets.RunAsync(stop.Token);
        await Eventually.TrueAsync(() => secrets.FindCertificate("default") is not null);
        using var other = Root.IssueIntermediate(new("Istio", "Other CA"), Keys.Create(KeyKind.EcP256), SubjectNames.None, Now.AddDays(-1), Now.AddDays(9));
        await PutAsync("issuer-cert.pem", CertificateText.Write(other.Certificate));
        await UntilAsync(clock, () => secrets.Requests == 2);
        for (var looks = 0; looks < 5; looks++) await PassAsync(clock);
        Assert.Equal(2, secrets.Requests);
        await stop.CancelAsync();
        await running;
    }

    [Fact]
    public async Task Control_plane_with_another_root_or_another_name_is_refused()
    {
        await using var ca = await ServeAsync(["somebody.else"], (_, request) => Answer(request, Intermediate, "", CertificateText.Write(Root.Certificate)));
        var name = await Assert.ThrowsAsync<GrpcException>(() => Client(ca.Port).FetchAsync(null, Stop));
        Assert.Contains("is for somebody.else and not for istiod.istio-system.svc", name.Message, StringComparison.Ordinal);

        using var other = Issuer.SelfSigned(new("Other"), Keys.Create(KeyKind.EcP256), Now.AddDays(-1), Now.AddDays(1));
        File.WriteAllText(Path.Combine(Folder, "root-cert.pem"), CertificateText.Write(other.Certificate));
        var root = await Assert.ThrowsAsync<GrpcException>(() => Client(ca.Port).FetchAsync(null, Stop));
        Assert.Contains("not trusted: unknown authority", root.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("expired", "not trusted: not in force")]
    [InlineData("without its intermediate", "not trusted: unknown authority")]
    public async Task Control_plane_whose_certificate_leads_to_no_root_now_is_refused(string kind, string reason)
    {
        await using var ca = await ServeAsync(["istiod.istio-system.svc"],
            (_, request) => Answer(request, Intermediate, "", CertificateText.Write(Root.Certificate)),
            kind == "expired" ? Now.AddMinutes(-1) : Now.AddDays(1), withIntermediate: kind == "expired");
        var refused = await Assert.ThrowsAsync<GrpcException>(() => Client(ca.Port).FetchAsync(null, Stop));
        Assert.Contains(reason, refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Refusal_of_the_ca_is_told_in_its_words()
    {
        await using var ca = await ServeAsync(["istiod.istio-system.svc"],
            (_, _) => throw new GrpcException(GrpcCode.Unauthenticated, "request authenticate failure"));
        var e = await Assert.ThrowsAsync<GrpcException>(() => Client(ca.Port).FetchAsync(null, Stop));
        Assert.Equal((GrpcCode.Unauthenticated, "request authenticate failure"), (e.Code, e.Detail));
    }

    [Fact]
    public void Mounted_files_are_read_again_when_they_change_and_broken_ones_leave_the_last_good()
    {
        var files = new FileSecrets("", TimeProvider.System, NullLogger.Instance);
        var path = Path.Combine(Folder, "ca.pem");
        var name = $"file-root:{path}";
        Assert.Null(files.FindRoots(name));
        File.WriteAllText(path, CertificateText.Write(Root.Certificate));
        Assert.Equal([name], files.Refresh());
        Assert.Single(files.FindRoots(name)!.Roots);

        File.WriteAllText(path, CertificateText.Write(Root.Certificate) + CertificateText.Write(Intermediate.Certificate));
        files.Refresh();
        Assert.Equal(2, files.FindRoots(name)!.Roots.Count);
        File.WriteAllText(path, "broken");
        files.Refresh();
        Assert.Equal(2, files.FindRoots(name)!.Roots.Count);
        Assert.Null(files.FindRoots("unknown"));
    }
}

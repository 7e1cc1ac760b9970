using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Isthmus.Graph.Metrics;
using Isthmus.Graph.Settings;
using Isthmus.ControlPlane.Webhooks;
using Isthmus.Core.Net;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Testing;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Webhooks;

/// <summary>Reviews are taken from API servers only, and not too many at once.</summary>
public sealed class ReviewCallersTests : IDisposable
{
    private readonly ManualClock _clock = new();
    private readonly ControlMetrics _metrics = new();
    private readonly Lines _log = new();
    private readonly KubeClient _client = new(new ClusterAccess { Name = "none", Server = new("https://127.0.0.1:1") }, "test");

    public void Dispose() => _client.Dispose();

    [Theory]
    [InlineData("10.0.0.7", 200)]
    [InlineData("10.1.0.5", 403)]
    [InlineData("::ffff:10.1.0.5", 403)]
    [InlineData("127.0.0.1", 200)]
    [InlineData("::1", 200)]
    [InlineData("fd00::5", 403)]
    public async Task Without_credentials_a_Pod_is_no_API_server(string address, int status)
    {
        var callers = Callers(new(), podAt: source => source.ToString() is "10.1.0.5" or "fd00::5" ? "shop/thief" : null);
        var (answered, text, proven) = await AskAsync(callers, address);
        Assert.Equal((status, false), (answered, proven == true));
        if (status == 403)
            Assert.Contains("is Pod shop/thief: if API servers call through it, name its addresses in ISTHMUS_WEBHOOK_SOURCES", text, StringComparison.Ordinal);
    }

    /// <summary>API servers may call through Pods: agents of konnectivity.</summary>
    [Theory]
    [InlineData("10.1.0.5", 200)]
    [InlineData("::ffff:10.1.0.5", 200)]
    [InlineData("10.2.0.5", 403)]
    [InlineData("fd00::5", 200)]
    [InlineData("fd01::5", 403)]
    [InlineData("127.0.0.1", 200)]
    public async Task Configured_sources_decide_alone(string address, int status)
    {
        var callers = Callers(new() { Sources = [Cidr.Parse("10.1.0.0/16"), Cidr.Parse("fd00::/16")] }, podAt: _ => "shop/agent");
        var (answered, text, proven) = await AskAsync(callers, address);
        Assert.Equal((status, false), (answered, proven == true));
        if (status == 403) Assert.Contains("is not within ISTHMUS_WEBHOOK_SOURCES", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task With_credentials_a_caller_proves_itself_by_token_or_certificate_wherever_it_is()
    {
        using var ca = Certificate("CN=reviewers", null);
        using var other = Certificate("CN=reviewers", null);
        using var server = Certificate("CN=kube-apiserver", ca);
        using var named = Certificate("CN=any", ca, dns: "kube-apiserver");
        using var kubelet = Certificate("CN=system:node:one", ca);
        using var serving = Certificate("CN=kube-apiserver", ca, use: "1.3.6.1.5.5.7.3.1");
        using var forged = Certificate("CN=kube-apiserver", other);
        var credentials = new ReviewCredentials(_client, new() { Webhook = new() { CallersSecret = "reviewers" } }, TimeProvider.System,
            NullLogger<ReviewCredentials>.Instance);
        var callers = Callers(new() { CallersSecret = "reviewers" }, credentials, _ => "shop/agent");
        Assert.Equal(401, (await AskAsync(callers, "10.0.0.7", token: "secret")).Status);

        credentials.Take(Secret(("token", "secret\n"), ("ca.crt", ca.ExportCertificatePem()), ("names", "kube-apiserver\nother")));
        foreach (var address in (string[])["10.0.0.7", "127.0.0.1"])
        {
            Assert.Equal((200, true), await ProvenAsync(token: "secret"));
            Assert.Equal((200, true), await ProvenAsync(certificate: server));
            Assert.Equal((200, true), await ProvenAsync(certificate: named));
            Assert.Equal((200, true), await ProvenAsync(certificate: forged, token: "secret"));
            foreach (var wrong in (X509Certificate2?[])[null, kubelet, serving, forged]) Assert.Equal((401, false), await ProvenAsync(certificate: wrong));
            foreach (var wrong in (string[])["", "secre", "secret2", "SECRET"]) Assert.Equal((401, false), await ProvenAsync(token: wrong));

            async Task<(int, bool)> ProvenAsync(X509Certificate2? certificate = null, string? token = null) =>
                await AskAsync(callers, address, certificate, token) is var (status, _, proven) ? (status, proven == true) : default;
        }

        // Any certificate of the CA, if none is named; and what the Secret no longer has is no proof.
        credentials.Take(Secret(("ca.crt", ca.ExportCertificatePem())));
        Assert.Equal(200, (await AskAsync(callers, "10.0.0.7", kubelet)).Status);
        Assert.Equal(401, (await AskAsync(callers, "10.0.0.7", token: "secret")).Status);
        Assert.Equal(401, (await AskAsync(callers, "10.0.0.7", token: "")).Status);
        foreach (var gone in (Secret?[])[null, Secret(("token", " ")), Secret(("ca.crt", "no certificate"))])
        {
            credentials.Take(gone);
            Assert.Equal(401, (await AskAsync(callers, "10.0.0.7", server, "")).Status);
        }
    }

    [Fact]
    public async Task A_source_has_its_share_and_all_of_them_have_theirs()
    {
        var callers = Callers(new() { Requests = 3, RequestsPerSource = 2 });
        var (open, waiting) = (new TaskCompletionSource(), new List<Task<(int Status, string Text, bool? Proven)>>());
        foreach (var address in (string[])["10.0.0.1", "10.0.0.1", "10.0.0.2"]) waiting.Add(AskAsync(callers, address, until: open.Task));
        var (status, text, _) = await AskAsync(callers, "10.0.0.1");
        Assert.Equal((429, "too many reviews of address 10.0.0.1 at once: try again, or raise ISTHMUS_WEBHOOK_REQUESTS_PER_SOURCE of the control plane\n"),
            (status, text));
        (status, text, _) = await AskAsync(callers, "10.0.0.3");
        Assert.Equal((429, "too many reviews of all sources together at once: try again, or raise ISTHMUS_WEBHOOK_REQUESTS of the control plane\n"),
            (status, text));
        open.SetResult();
        Assert.All(await Task.WhenAll(waiting), answer => Assert.Equal(200, answer.Status));
        Assert.Equal(200, (await AskAsync(callers, "10.0.0.1")).Status);
    }

    [Fact]
    public async Task Bytes_wait_for_room_and_are_refused_without_it()
    {
        var callers = Callers(new() { BytesPerSource = 100 });
        var open = new TaskCompletionSource();
        var first = AskAsync(callers, "10.0.0.1", length: 60, until: open.Task);
        var second = AskAsync(callers, "10.0.0.1", length: 60);
        Assert.Equal(200, (await AskAsync(callers, "10.0.0.2", length: 60)).Status);
        Assert.False(second.IsCompleted);
        open.SetResult();
        Assert.Equal((200, 200), ((await first).Status, (await second).Status));

        open = new();
        first = AskAsync(callers, "10.0.0.1", length: 60, until: open.Task);
        second = AskAsync(callers, "10.0.0.1", length: 60);
        _clock.Advance(new WebhookSettings().Patience);
        Assert.Equal(429, (await second).Status);
        open.SetResult();
        await first;
        Assert.Equal(429, (await AskAsync(callers, "10.0.0.1", length: 101)).Status);
    }

    [Fact]
    public async Task A_body_that_does_not_arrive_ends()
    {
        var callers = Callers(new() { RequestsPerSource = 1 });
        var asked = AskAsync(callers, "10.0.0.1", until: new TaskCompletionSource().Task);
        _clock.Advance(new WebhookSettings().Longest);
        Assert.Equal(408, (await asked).Status);
        Assert.Equal(200, (await AskAsync(callers, "10.0.0.1")).Status);
    }

    [Fact]
    public async Task Refusals_are_counted_and_do_not_fill_the_log()
    {
        var callers = Callers(new(), podAt: _ => "shop/thief");
        for (var i = 0; i < 5; i++) Assert.Equal(403, (await AskAsync(callers, "10.1.0.5")).Status);
        Assert.StartsWith("A review from 10.1.0.5 to /validate is refused: reviews are taken from API servers, and 10.1.0.5 is Pod shop/thief",
            Assert.Single(_log), StringComparison.Ordinal);
        _clock.Advance(TimeSpan.FromSeconds(10));
        await AskAsync(callers, "10.1.0.5");
        Assert.EndsWith(" (and 4 more since the last line)", _log[1], StringComparison.Ordinal);
        var text = new StringBuilder();
        _metrics.Write(text);
        Assert.Contains("isthmus_webhook_refused_total{reason=\"caller\"} 6\n", text.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Settings_are_read_and_a_wrong_one_is_named()
    {
        var read = DiscoverySettings.Read([], name => name switch
        {
            "ISTHMUS_WEBHOOK_SOURCES" => "10.0.0.1, fd00::/8",
            "ISTHMUS_WEBHOOK_CALLERS_SECRET" => "reviewers",
            "ISTHMUS_WEBHOOK_BYTES_PER_SOURCE" => "1Mi",
            _ => null,
        }).Webhook;
        Assert.Equal(("10.0.0.1/32 fd00::/8", "reviewers", 1 << 20), (string.Join(' ', read.Sources), read.CallersSecret, read.BytesPerSource));
        Assert.Contains("'10.0.0.0/33' is not an address or a range of addresses",
            Assert.Throws<ProblemException>(() => DiscoverySettings.Read([], name => name == "ISTHMUS_WEBHOOK_SOURCES" ? "10.0.0.0/33" : null)).Message,
            StringComparison.Ordinal);
    }

    private ReviewCallers Callers(WebhookSettings settings, ReviewCredentials? credentials = null,
        Func<IPAddress, string?>? podAt = null) => new(settings, credentials, podAt ?? (_ => null), _metrics, _clock, _log);

    /// <param name="until">The body arrives then.</param>
    private static async Task<(int Status, string Text, bool? Proven)> AskAsync(ReviewCallers callers, string address, X509Certificate2? certificate = null,
        string? token = null, long length = 10, Task? until = null)
    {
        var http = new DefaultHttpContext
        {
            Request = { Path = "/validate", ContentLength = length }, Response = { Body = new MemoryStream() },
            Connection = { RemoteIpAddress = IPAddress.Parse(address), ClientCertificate = certificate }
        };
        if (token is not null) http.Request.Headers.Authorization = $"Bearer {token}";
        bool? proven = null;
        await callers.TakeAsync(http, async isProven =>
        {
            if (until is not null) await until.WaitAsync(http.RequestAborted);
            proven = isProven;
        });
        return (http.Response.StatusCode, Encoding.UTF8.GetString(((MemoryStream)http.Response.Body).ToArray()), proven);
    }

    private static Secret Secret(params (string Key, string Text)[] data) =>
        new() { Data = data.ToDictionary(item => item.Key, item => Convert.ToBase64String(Encoding.UTF8.GetBytes(item.Text))) };

    /// <param name="issuer">Null: a CA.</param>
    /// <param name="use">The purpose of the certificate; the default is that of clients.</param>
    private static X509Certificate2 Certificate(string subject, X509Certificate2? issuer, string? dns = null, string use = "1.3.6.1.5.5.7.3.2")
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest(subject, key, HashAlgorithmName.SHA256);
        var (from, to) = (DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(issuer is null, false, 0, true));
        if (issuer is null) return request.CreateSelfSigned(from, to);
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid(use)], false));
        var names = new SubjectAlternativeNameBuilder();
        if (dns is not null) names.AddDnsName(dns);
        if (dns is not null) request.CertificateExtensions.Add(names.Build());
        return request.Create(issuer, from.AddHours(1), to.AddHours(-1), RandomNumberGenerator.GetBytes(8));
    }

    private sealed class Lines : List<string>, ILogger<ReviewCallers>
    {
        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception,
            Func<TState, Exception?, string> formatter) => Add(formatter(state, exception));
    }
}

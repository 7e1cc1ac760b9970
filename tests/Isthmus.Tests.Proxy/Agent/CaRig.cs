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

/// <summary>A CA that answers as a test says, over real connections, and the secrets of an agent that asks it.</summary>
public abstract class CaRig : IDisposable
{
    private protected const string Own = "spiffe://cluster.local/ns/sample/sa/shop";

    private static readonly GrpcMethod<IstioCertificateRequest, IstioCertificateResponse> Method = new(
        "istio.v1.auth.IstioCertificateService", "CreateCertificate", IstioCertificateRequest.Parser, IstioCertificateResponse.Parser);

    private protected CaRig()
    {
        Root = Issuer.SelfSigned(new("Istio", "Root CA"), Keys.Create(KeyKind.EcP256), Now.AddDays(-1), Now.AddDays(9));
        Intermediate = Root.IssueIntermediate(new("Istio", "Intermediate CA"), Keys.Create(KeyKind.EcP256), SubjectNames.None, Now.AddDays(-1), Now.AddDays(9));
        File.WriteAllText(Path.Combine(Folder, "root-cert.pem"), CertificateText.Write(Root.Certificate));
        File.WriteAllText(Path.Combine(Folder, "token"), "secret-token\n");
    }

    private protected string Folder { get; } = Directory.CreateTempSubdirectory("isthmus-test-").FullName;

    private protected DateTimeOffset Now { get; } = TimeProvider.System.GetUtcNow();

    private protected Issuer Root { get; }

    private protected Issuer Intermediate { get; }

    private protected static CancellationToken Stop => TestContext.Current.CancellationToken;

    public void Dispose()
    {
        Root.Dispose();
        Intermediate.Dispose();
        Directory.Delete(Folder, recursive: true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Fetches go over a real connection, so time passes only when someone has had a chance to use it.</summary>
    private protected static async Task PassAsync(ManualClock clock)
    {
        clock.Advance(TimeSpan.FromSeconds(15));
        await Task.Delay(20, Stop);
    }

    private protected static async Task UntilAsync(ManualClock clock, Func<bool> condition)
    {
        for (var patience = 0; !condition(); patience++)
        {
            Assert.True(patience < 3000, "it did not happen");
            await PassAsync(clock);
        }
    }

    private protected Task PutAsync(string file, string text) => File.WriteAllTextAsync(Path.Combine(Folder, file), text, Stop);

    /// <summary>A certificate of this proxy.</summary>
    private protected Task<IstioCertificateResponse> Answer(IstioCertificateRequest request, Issuer issuer, params string[] above) =>
        Answer(request, Own, issuer, above);

    private protected Task<IstioCertificateResponse> Answer(IstioCertificateRequest request, string identity, Issuer issuer, params string[] above)
    {
        var leaf = issuer.IssueLeaf(new(SigningRequest.Check(request.Csr), new([identity], [], []), Now.AddMinutes(-2),
            Now.AddSeconds(request.ValidityDuration)));
        return Task.FromResult(new IstioCertificateResponse { CertChain = { above.Where(a => a.Length > 0).Prepend(CertificateText.Write(leaf)) } });
    }

    private protected CertificateClient Client(int port)
    {
        var settings = Settings(port);
        return new(settings, Dial(settings), TimeProvider.System);
    }

    private protected WorkloadSecrets Secrets(int port, TimeProvider? clock = null, ILogger? log = null)
    {
        var time = clock ?? TimeProvider.System;
        return new(Settings(port), Client(port), new("", time, NullLogger.Instance), new(time), time, new(1), log ?? NullLogger.Instance);
    }

    private static ControlPlaneDial Dial(AgentSettings settings) => new(
        settings, new(new([], [], 1), new([], TimeProvider.System), () => "127.0.0.1 istiod.istio-system.svc\n", new(1)), TimeProvider.System);

    private protected AgentSettings Settings(int port) => AgentSettings.Read("sidecar", "", new Dictionary<string, string>
    {
        ["POD_NAME"] = "shop-1", ["POD_NAMESPACE"] = "sample", ["INSTANCE_IP"] = "10.0.0.1", ["SERVICE_ACCOUNT"] = "shop",
        ["ISTIO_META_CLUSTER_ID"] = "cluster1",
        ["CA_ADDR"] = $"istiod.istio-system.svc:{port}", ["CA_ROOT_CA"] = Path.Combine(Folder, "root-cert.pem"),
    }) with { TokenFile = Path.Combine(Folder, "token") };

    private protected async Task<Served> ServeAsync(string[] names, Func<GrpcCall, IstioCertificateRequest, Task<IstioCertificateResponse>> handler,
        DateTimeOffset? end = null, bool withIntermediate = true)
    {
        using var key = Keys.Create(KeyKind.EcP256);
        var leaf = Intermediate.IssueLeaf(new(PublicKey.CreateFromSubjectPublicKeyInfo(key.ExportSubjectPublicKeyInfo(), out _), new([], names, []),
            Now.AddMinutes(-2), end ?? Now.AddDays(1)));
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseKestrelHttpsConfiguration();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen =>
        {
            listen.Protocols = HttpProtocols.Http2;
            listen.UseHttps(https =>
            {
                https.ServerCertificate = Keys.Join(leaf, key);
                if (withIntermediate) https.ServerCertificateChain = [Intermediate.Certificate];
            });
        }));
        var app = builder.Build();
        app.MapUnary(Method, handler);
        await app.StartAsync(Stop);
        return new(app);
    }

    private protected sealed class Served(WebApplication app) : IAsyncDisposable
    {
        public int Port => new Uri(app.Urls.First()).Port;

        public ValueTask DisposeAsync() => app.DisposeAsync();
    }
}

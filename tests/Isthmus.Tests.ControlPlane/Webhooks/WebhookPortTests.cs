using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Graph.Settings;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Rigs.Mesh;
using Isthmus.Rigs.Servers;
using Isthmus.Testing;
using Isthmus.Tests.ControlPlane.Clusters;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Webhooks;

/// <summary>The port of the webhooks of a real control plane, which has a Secret with the credentials of API servers.</summary>
public sealed class WebhookPortTests : IAsyncLifetime
{
    private readonly LoopbackCluster _cluster = new();
    private readonly CancellationTokenSource _end = new();
    private readonly ReservedPort[] _ports = [new(), new(), new(), new(), new()];
    private KubeClient _client = null!;
    private Isthmus.ControlPlane.ControlPlane _controlPlane = null!;
    private Task _running = Task.CompletedTask;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _client = await _cluster.StartAsync();
        await _client.CreateAsync(Kinds.Namespace,
            new JsonObject { ["apiVersion"] = "v1", ["kind"] = "Namespace", ["metadata"] = new JsonObject { ["name"] = "istio-system" } }, Stop);
        await MadeRoot.CreateAsync(_client, "istio-system");
        var settings = new DiscoverySettings
        {
            ClusterId = "c1", MonitoringPort = _ports[4].Number, ControlPort = 0,
            Listen = new(_ports[0].Number, _ports[1].Number, _ports[2].Number, _ports[3].Number), Webhook = new() { CallersSecret = "reviewers" },
        };
        _controlPlane = Isthmus.ControlPlane.ControlPlane.Build(settings, new(TimeProvider.System, new Random(1), _client.Access, new NoNames()));
        _running = _controlPlane.RunAsync(_end.Token);
    }

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        await _running;
        await _controlPlane.DisposeAsync();
        await _cluster.DisposeAsync();
        foreach (var port in _ports) port.Dispose();
        _end.Dispose();
    }

    [Fact]
    public async Task An_API_server_proves_itself_with_a_certificate_or_a_token_of_the_Secret()
    {
        using var server = Certificate("CN=kube-apiserver");
        using var other = Certificate("CN=other");
        // Without the Secret, nobody is admitted.
        Assert.Equal(HttpStatusCode.Unauthorized, await AskAsync(server, "secret"));
        await _client.CreateAsync(Kinds.Secret, new JsonObject
        {
            ["apiVersion"] = "v1", ["kind"] = "Secret", ["metadata"] = new JsonObject { ["name"] = "reviewers", ["namespace"] = "istio-system" },
            ["stringData"] = new JsonObject { ["token"] = "secret", ["ca.crt"] = server.ExportCertificatePem(), ["names"] = "kube-apiserver" },
        }, Stop);
        await Eventually.TrueAsync(async () => await AskAsync(null, "secret") == HttpStatusCode.OK);
        Assert.Equal(HttpStatusCode.OK, await AskAsync(server, null));
        Assert.Equal(HttpStatusCode.Unauthorized, await AskAsync(other, null));
        Assert.Equal(HttpStatusCode.Unauthorized, await AskAsync(null, "guess"));
        Assert.Equal(HttpStatusCode.Unauthorized, await AskAsync(null, null));
    }

    private async Task<HttpStatusCode> AskAsync(X509Certificate2? certificate, string? token)
    {
        using var handler = new HttpClientHandler { ServerCertificateCustomValidationCallback = (_, _, _, _) => true, UseProxy = false };
        if (certificate is not null) handler.ClientCertificates.Add(certificate);
        using var http = new HttpClient(handler);
        HttpStatusCode? code = null;
        await Eventually.TrueAsync(async () =>
        {
            try
            {
                using var request = new HttpRequestMessage(HttpMethod.Post, $"https://127.0.0.1:{_ports[3].Number}/validate")
                {
                    Content = new StringContent(
                        """{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {"uid": "1", "operation": "DELETE"}}""",
                        Encoding.UTF8, "application/json"),
                };
                if (token is not null) request.Headers.Authorization = new("Bearer", token);
                using var answer = await http.SendAsync(request, Stop);
                code = answer.StatusCode;
                return true;
            }
            catch (HttpRequestException)
            {
                return false; // It does not listen yet, or has no certificate.
            }
        }, "an answer");
        return code!.Value;
    }

    private static X509Certificate2 Certificate(string subject)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest(subject, key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid("1.3.6.1.5.5.7.3.2")], false));
        using var made = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
        return X509CertificateLoader.LoadPkcs12(made.Export(X509ContentType.Pkcs12), null);
    }
}

using System.Diagnostics;
using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Client;
using Isthmus.Lab.ApiServer;
using Isthmus.Lab.ApiServer.Hosting;
using Isthmus.Lab.ApiServer.Pki;
using Isthmus.Lab.Machine.Network;
using Xunit;

namespace Isthmus.Rigs.Servers;

/// <summary>One API server in this process, on loopback, and its administrator.</summary>
public sealed class RunningApiServer : IAsyncLifetime
{
    private readonly string _directory = Directory.CreateTempSubdirectory("apiserver").FullName;
    private ApiServerHost? _host;
    private HttpClient? _admin;
    private ClusterPki? _pki;

    public HttpClient Admin => _admin!;

    /// <summary>The path of the node's socket.</summary>
    public string NodeSocketPath => Path.Combine(_directory, NodeSocket.FileName);

    /// <summary>The administrator's credentials, for clients of our own.</summary>
    public ClusterAccess Access { get; private set; } = null!;

    /// <summary>The CA whose client certificates it accepts, with its key.</summary>
    public X509Certificate2 Ca => _pki!.Ca;

    public X509Certificate2 AdminCertificate { get; private set; } = null!;

    public HttpClient Anonymous { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        _pki = await ClusterPki.EnsureAsync(_directory, "test", IPAddress.Loopback, TimeProvider.System, CancellationToken.None);
        _host = ApiServerHost.Build(new ApiServerSettings("test", _directory, "127.0.0.1") { LoopbackEndpoints = true }, _pki.ApiServer, TimeProvider.System,
            new Random(1), [new(IPAddress.Loopback, 0)]);
        await _host.StartAsync(CancellationToken.None);
        var address = new Uri(_host.Addresses.First());
        var (certificate, key) = await _pki.ReadPairAsync("admin", CancellationToken.None);
        Access = new() { Server = address, Name = "test", InsecureSkipTlsVerify = true, ClientCertificate = certificate, ClientKey = key };
        using var pem = X509Certificate2.CreateFromPem(certificate, key);
        AdminCertificate = X509CertificateLoader.LoadPkcs12(pem.Export(X509ContentType.Pkcs12), null);
        _admin = Client(address, AdminCertificate);
        Anonymous = Client(address, null);
    }

    public async ValueTask DisposeAsync()
    {
        _admin?.Dispose();
        Anonymous.Dispose();
        if (_host is not null) await _host.DisposeAsync();
        _pki?.Dispose();
        Directory.Delete(_directory, true);
    }

    /// <summary>A namespace for one test, with the ServiceAccount that Pods need.</summary>
    public async Task<string> NamespaceAsync()
    {
        var name = $"n{Guid.NewGuid():N}"[..12];
        await SendAsync("POST", "/api/v1/namespaces", new JsonObject { ["metadata"] = new JsonObject { ["name"] = name } }.ToJsonString());
        await SendAsync("POST", $"/api/v1/namespaces/{name}/serviceaccounts", """{"metadata":{"name":"default"}}""");
        return name;
    }

    public async Task<(int Code, JsonObject Body)> SendAsync(string method, string path, string? body = null, string mediaType = "application/json",
        string? accept = null)
    {
        using var request = new HttpRequestMessage(new(method), path);
        if (body is not null) request.Content = new StringContent(body, Encoding.UTF8, new MediaTypeHeaderValue(mediaType));
        if (accept is not null) request.Headers.TryAddWithoutValidation("Accept", accept);
        using var response = await Admin.SendAsync(request, TestContext.Current.CancellationToken);
        var text = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        return ((int)response.StatusCode, text.StartsWith('{') ? (JsonObject)JsonNode.Parse(text)! : []);
    }

    /// <summary>A file with the administrator's credentials; the caller deletes it.</summary>
    public async Task<string> KubeconfigAsync()
    {
        var path = Path.GetTempFileName();
        var access = Access;
        await File.WriteAllTextAsync(path, new JsonObject
        {
            ["apiVersion"] = "v1", ["kind"] = "Config", ["current-context"] = "test",
            ["clusters"] = new JsonArray(new JsonObject
            {
                ["name"] = "test", ["cluster"] = new JsonObject { ["server"] = access.Server.ToString(), ["insecure-skip-tls-verify"] = true }
            }),
            ["contexts"] = new JsonArray(new JsonObject { ["name"] = "test", ["context"] = new JsonObject { ["cluster"] = "test", ["user"] = "admin" } }),
            ["users"] = new JsonArray(new JsonObject
            {
                ["name"] = "admin",
                ["user"] = new JsonObject
                {
                    ["client-certificate-data"] = Convert.ToBase64String(Encoding.ASCII.GetBytes(access.ClientCertificate!)),
                    ["client-key-data"] = Convert.ToBase64String(Encoding.ASCII.GetBytes(access.ClientKey!)),
                },
            }),
        }.ToJsonString(), TestContext.Current.CancellationToken);
        return path;
    }

    public async Task<string> KubectlAsync(params string[] arguments)
    {
        var config = await KubeconfigAsync();
        using var kubectl = Process.Start(new ProcessStartInfo("kubectl", ["--kubeconfig", config, .. arguments]) { RedirectStandardOutput = true })!;
        var output = await kubectl.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        await kubectl.WaitForExitAsync(TestContext.Current.CancellationToken);
        File.Delete(config);
        return output;
    }

    /// <summary>A client that shows a certificate.</summary>
    public HttpClient As(X509Certificate2 certificate) => Client(Access.Server, certificate);

    /// <summary>The events of a watch that ends by itself.</summary>
    public async Task<List<JsonObject>> WatchAsync(string path)
    {
        var text = await Admin.GetStringAsync(path, TestContext.Current.CancellationToken);
        return [.. text.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => (JsonObject)JsonNode.Parse(line)!)];
    }

    private static HttpClient Client(Uri address, X509Certificate2? certificate)
    {
        var handler = new SocketsHttpHandler { SslOptions = { RemoteCertificateValidationCallback = (_, _, _, _) => true } };
        if (certificate is not null) handler.SslOptions.ClientCertificates = [certificate];
        return new(handler) { BaseAddress = address };
    }
}

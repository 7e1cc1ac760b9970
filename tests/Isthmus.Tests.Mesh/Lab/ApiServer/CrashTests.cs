using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Pki;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Mesh.Lab.ApiServer;

/// <summary>Kills the API server's process repeatedly in the middle of writes.</summary>
[Trait("shard", "cluster")]
public sealed class CrashTests : IAsyncLifetime
{
    private const string Maps = "/api/v1/namespaces/default/configmaps";
    private readonly string _directory = Directory.CreateTempSubdirectory("crash").FullName;
    private readonly int _port = FreePort();
    private HttpClient _client = null!;
    private ClusterPki _pki = null!;
    private Process? _server;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _pki = await ClusterPki.EnsureAsync(_directory, "crash", IPAddress.Loopback, TimeProvider.System, Stop);
        var (certificate, key) = await _pki.ReadPairAsync("admin", Stop);
        using var pem = X509Certificate2.CreateFromPem(certificate, key);
        var handler = new SocketsHttpHandler { SslOptions = { RemoteCertificateValidationCallback = (_, _, _, _) => true } };
        handler.SslOptions.ClientCertificates = [X509CertificateLoader.LoadPkcs12(pem.Export(X509ContentType.Pkcs12), null)];
        _client = new(handler) { BaseAddress = new Uri($"https://127.0.0.1:{_port}"), Timeout = TimeSpan.FromSeconds(60) };
    }

    public ValueTask DisposeAsync()
    {
        Kill();
        _client.Dispose();
        _pki.Dispose();
        Directory.Delete(_directory, true);
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task No_acknowledged_write_is_lost_and_watches_go_on_where_they_were()
    {
        var acknowledged = new ConcurrentDictionary<string, long>();
        var random = new Random(5);
        for (var round = 0; round < 3; round++)
        {
            await StartAsync();
            await VerifyAsync(acknowledged);
            using var writing = CancellationTokenSource.CreateLinkedTokenSource(Stop);
            var prefix = $"r{round}";
            var writers = Enumerable.Range(0, 4).Select(writer => WriteAsync($"{prefix}w{writer}", acknowledged, writing.Token)).ToList();
            await Eventually.TrueAsync(() => acknowledged.Keys.Count(name => name.StartsWith(prefix, StringComparison.Ordinal)) > 20 + random.Next(60));
            Kill();
            await writing.CancelAsync();
            await Task.WhenAll(writers);
        }
        await StartAsync();
        await VerifyAsync(acknowledged);
        await VerifyWatchAsync(acknowledged);
    }

    private async Task VerifyAsync(ConcurrentDictionary<string, long> acknowledged)
    {
        var list = JsonNode.Parse(await _client.GetStringAsync(Maps, Stop))!;
        var stored = ((JsonArray)list["items"]!).ToDictionary(item => (string)item!["metadata"]!["name"]!, item => Version(item!));
        foreach (var (name, version) in acknowledged)
        {
            Assert.True(stored.TryGetValue(name, out var kept), $"{name} was acknowledged and is gone");
            Assert.Equal(version, kept);
        }
        Assert.True(Version(list) >= acknowledged.Values.DefaultIfEmpty().Max());
    }

    private async Task VerifyWatchAsync(ConcurrentDictionary<string, long> acknowledged)
    {
        var middle = acknowledged.Values.Order().ElementAt(acknowledged.Count / 2);
        var missed = acknowledged.Where(pair => pair.Value > middle).ToDictionary();
        using var changes = new StreamReader(await _client.GetStreamAsync($"{Maps}?watch=1&timeoutSeconds=60&resourceVersion={middle}", Stop));
        while (missed.Count > 0)
        {
            var changed = JsonNode.Parse(await changes.ReadLineAsync(Stop)
                ?? throw new Xunit.Sdk.XunitException($"the watch ends without {string.Join(", ", missed.Keys)}"))!["object"]!;
            if (missed.Remove((string)changed["metadata"]!["name"]!, out var version)) Assert.Equal(version, Version(changed));
        }
    }

    private async Task WriteAsync(string prefix, ConcurrentDictionary<string, long> acknowledged, CancellationToken stop)
    {
        for (var i = 0; !stop.IsCancellationRequested; i++)
        {
            var name = $"{prefix}-{i}";
            var body = new JsonObject { ["metadata"] = new JsonObject { ["name"] = name }, ["data"] = new JsonObject { ["i"] = name } };
            try
            {
                using var content = new StringContent(body.ToJsonString(), Encoding.UTF8, new MediaTypeHeaderValue("application/json"));
                using var response = await _client.PostAsync(Maps, content, stop);
                if (response.StatusCode == HttpStatusCode.Created)
                    acknowledged[name] = Version(JsonNode.Parse(await response.Content.ReadAsStringAsync(stop))!);
            }
            catch (Exception e) when (e is HttpRequestException or OperationCanceledException or IOException)
            {
                return;
            }
        }
    }

    private async Task StartAsync()
    {
        var start = new ProcessStartInfo(BuiltProgram.Command.Program,
            [.. BuiltProgram.Command.Arguments, "lab-apiserver", "--cluster", "crash", "--dir", _directory, "--address", "127.0.0.1", "--port",
                _port.ToString(CultureInfo.InvariantCulture)])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        _server = Process.Start(start)!;
        _server.BeginErrorReadLine();
        _server.BeginOutputReadLine();
        await Eventually.TrueAsync(async () =>
        {
            Assert.False(_server.HasExited, "the API server ended");
            try
            {
                return (await _client.GetAsync("/readyz", Stop)).IsSuccessStatusCode;
            }
            catch (HttpRequestException)
            {
                return false;
            }
        });
    }

    private void Kill()
    {
        if (_server is null) return;
        if (!_server.HasExited) _server.Kill();
        _server.WaitForExit();
        _server.Dispose();
        _server = null;
    }

    private static long Version(JsonNode o) => long.Parse((string)o["metadata"]!["resourceVersion"]!, CultureInfo.InvariantCulture);

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}

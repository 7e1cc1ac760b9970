using System.Text.Json.Nodes;
using Isthmus.ControlPlane.Clusters;
using Isthmus.ControlPlane.Resolve;
using Isthmus.Graph.Settings;
using Isthmus.Explain.Tracing;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Mesh.Config;
using Isthmus.Operate.Diagnose.Analysis;
using Isthmus.Operate.Install;
using Isthmus.Rigs.Servers;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Clusters;

/// <summary>Nothing of ours needs the older lists of resources, or Endpoints.</summary>
public sealed class NewestServerTests : IAsyncLifetime
{
    private const string Objects = """
        {apiVersion: v1, kind: Namespace, metadata: {name: shop}}
        ---
        {apiVersion: v1, kind: Service, metadata: {name: 1web, namespace: shop}, spec: {ports: [{name: http, port: 80}]}}
        ---
        {apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: web-1, namespace: shop, labels: {kubernetes.io/service-name: 1web}},
          addressType: IPv4,
         ports: [{name: http, port: 80}], endpoints: [{addresses: [10.1.2.3]}]}
        ---
        {apiVersion: admissionregistration.k8s.io/v1, kind: MutatingWebhookConfiguration,
          metadata: {name: istio-sidecar-injector, labels: {app: sidecar-injector}}, webhooks: [
          {name: rev.namespace.sidecar-injector.istio.io, clientConfig: {service: {name: istiod, namespace: istio-system, path: /inject}, caBundle: YQ==},
           admissionReviewVersions: [v1], sideEffects: None}]}
        ---
        {apiVersion: v1, kind: Service, metadata: {name: istiod, namespace: istio-system, labels: {app: istiod}}, spec: {ports: [{name: https, port: 443}]}}
        """;

    private readonly LoopbackCluster _cluster = new();
    private NewestServer _server = null!;
    private KubeClient _client = null!;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _server = await NewestServer.StartAsync((await _cluster.StartAsync()).Access);
        _client = new(_server.Access);
        await _client.CreateAsync(Kinds.Namespace, YamlText.Parse("{apiVersion: v1, kind: Namespace, metadata: {name: istio-system}}", "test")!.AsObject(),
            Stop);
        foreach (var kind in MeshApi.Istio) await _client.CreateAsync(Kinds.CustomResourceDefinition, IstioCrds.Of(kind), Stop);
        await new Applier(_client, TimeProvider.System).ApplyAsync([.. YamlText.ParseAll(Objects, "test").OfType<JsonObject>()], Stop);
    }

    public async ValueTask DisposeAsync()
    {
        _client.Dispose();
        await _server.DisposeAsync();
        await _cluster.DisposeAsync();
    }

    [Fact]
    public async Task The_server_lacks_what_it_should_and_nothing_else()
    {
        foreach (var path in (string[])["/api", "/apis", "/api/v1", "/apis/networking.istio.io/v1", "/api/v1/endpoints",
            "/api/v1/namespaces/shop/endpoints/1web"])
            Assert.True((await Assert.ThrowsAsync<KubeException>(() => _client.RawAsync(HttpMethod.Get, path, null, Stop))).IsNotFound);
        Assert.Single(await _client.ListAllAsync<JsonObject>(Kinds.EndpointSlice, "shop", new(), Stop));
    }

    [Fact]
    public async Task A_control_plane_watches_it()
    {
        var before = _server.Refused;
        using var end = new CancellationTokenSource();
        ReservedPort[] ports = [new(), new(), new(), new(), new()];
        var settings = new DiscoverySettings
        {
            ClusterId = "c1", MonitoringPort = ports[4].Number, ControlPort = 0,
            Listen = new(ports[0].Number, ports[1].Number, ports[2].Number, ports[3].Number)
        };
        await using (var plane = Isthmus.ControlPlane.ControlPlane.Build(settings, new(TimeProvider.System, new Random(1), _server.Access, new NoNames())))
        {
            var running = plane.RunAsync(end.Token);
            using var client = new HttpClient { BaseAddress = new($"http://127.0.0.1:{ports[0].Number}") };
            await Eventually.TrueAsync(async () => (await PageAsync(client, "/debug/registryz"))
                .Contains("1web.shop.svc.cluster.local", StringComparison.Ordinal));
            await Eventually.TrueAsync(async () => (await PageAsync(client, "/debug/endpointz")).Contains("10.1.2.3", StringComparison.Ordinal));
            await Eventually.TrueAsync(async () => await PageAsync(client, "/ready") == "ok\n");
            await end.CancelAsync();
            await running;
        }
        Assert.Equal(before, _server.Refused);
        foreach (var port in ports) port.Dispose();
    }

    [Fact]
    public async Task Verify_and_analyze_read_it()
    {
        var verification = await Verification.RunAsync([_server.Access], "istio-system", TimeProvider.System, Stop);
        var facts = Assert.Single(verification.Clusters);
        Assert.Equal("", facts.Error);
        // Of the Service of the webhook it looks for Endpoints, too: that there are none of them is an answer.
        Assert.Contains(verification.Checks,
            check => check.Problem is { Code: "ISM1008", Message: "Service istio-system/istiod has no ready endpoint, so no Pod can be injected" });
        var inventory = await new InventoryReader("istio-system", proxies: 0).ReadAsync("newest", _server.Access, Stop);
        Assert.Equal(("", ""), (inventory.Error, string.Join(',', inventory.Unread)));
        Assert.Contains(inventory.Services, service => service.Metadata.Name == "1web");
    }

    private static async Task<string> PageAsync(HttpClient client, string path)
    {
        try
        {
            using var answer = await client.GetAsync(path, Stop);
            return await answer.Content.ReadAsStringAsync(Stop);
        }
        catch (HttpRequestException)
        {
            return ""; // It does not listen yet.
        }
    }

    private sealed class NoNames : INameClient
    {
        public Task<Isthmus.ControlPlane.Resolve.NameAnswer> AskAsync(string host, CancellationToken stop) =>
            throw new InvalidOperationException("nothing may be asked");
    }
}

using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using Isthmus.ControlPlane.Ca;
using Isthmus.ControlPlane.Resolve;
using Isthmus.ControlPlane.Webhooks;
using Isthmus.Core.Json;
using Isthmus.Graph.Settings;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Operate.Diagnose.History;
using Isthmus.Operate.Install;
using Isthmus.Operate.Install.Operator;
using Isthmus.Reports;
using Isthmus.Rigs.Mesh;
using Isthmus.Rigs.Servers;
using Isthmus.Testing;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Isthmus.Tests.Operate.Diagnose.History;

/// <summary>The lab's API server asks a real control plane by the webhooks that are installed: its history names who deleted and who scaled.</summary>
public sealed class DeletedAndScaledTests : IAsyncLifetime
{
    private const string Home = "istio-system";

    private static readonly ResourceKind Scale = new("apps", "v1", "Deployment", "deployments", true);
    private static readonly ResourceKind Routes = MeshApi.VirtualService.Resource;

    private readonly LoopbackCluster _cluster = new();
    private readonly CancellationTokenSource _end = new();
    private readonly ReservedPort[] _ports = [new(), new(), new(), new(), new()];
    private readonly List<KubeClient> _users = [];
    private KubeClient _client = null!;
    private Isthmus.ControlPlane.ControlPlane _controlPlane = null!;
    private Task _running = Task.CompletedTask;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    private static string Configuration => "istio-validator-istio-system";

    public async ValueTask InitializeAsync()
    {
        _client = await _cluster.StartAsync();
        foreach (var ns in (string[])[Home, "shop"]) await MakeAsync(Kinds.Namespace, null, ns);
        foreach (var definition in IstioCrds.All) await _client.CreateAsync(Kinds.CustomResourceDefinition, (JsonObject)definition.DeepClone(), Stop);
        await MadeRoot.CreateAsync(_client, Home);
        await MakeAsync(Kinds.ClusterRoleBinding, null, "operators", """
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "alice"}, {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "bob"}]
            """);
        await MakeAsync(Kinds.Service, Home, "istiod", """ "spec": {"ports": [{"name": "https-webhook", "port": 443, "targetPort": 15017}]} """);
        await ServeAsync("istiod", Home, "https-webhook", _ports[3].Number);
        await MakeAsync(Kinds.Service, "shop", "orders", """ "spec": {"selector": {"app": "orders"}, "ports": [{"name": "http", "port": 80}]} """);
        await MakeAsync(Kinds.Service, "shop", "old", """ "spec": {"ports": [{"name": "http", "port": 80}]} """);
        await ServeAsync("orders", "shop", "http", 8080);
        foreach (var name in (string[])["orders", "cart", "stock"])
            await MakeAsync(Kinds.Deployment, "shop", name, $$$"""
                "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "{{{name}}}"} },
                 "template": {"metadata": {"labels": {"app": "{{{name}}}", "version": "v1"} }, "spec": {"containers": [{"name": "a", "image": "a"}]} } }
                """);
        var settings = new DiscoverySettings
        {
            ClusterId = "c1", MonitoringPort = _ports[4].Number, ControlPort = 0, Revision = "default",
            Listen = new(_ports[0].Number, _ports[1].Number, _ports[2].Number, _ports[3].Number),
        };
        _controlPlane = Isthmus.ControlPlane.ControlPlane.Build(settings, new(TimeProvider.System, new Random(1), _client.Access, new NoNames()));
        _running = _controlPlane.RunAsync(_end.Token);
        var configuration = Manifests.Render(OperatorSpec.Build([], ["profile=minimal"], "")).SelectMany(component => component.Objects)
            .Single(value => value["kind"]!.ToString() == "ValidatingWebhookConfiguration");
        await Eventually.TrueAsync(async () => await TryCreateAsync());
        await _client.CreateAsync(Kinds.ValidatingWebhookConfiguration, configuration, Stop);
        await Eventually.TrueAsync(async () => (await HooksAsync()).All(hook => hook["clientConfig"]!["caBundle"]?.ToString() is { Length: > 0 }));
        await Eventually.TrueAsync(async () => (await HistoryAsync())?.Since is not null);

        async Task<bool> TryCreateAsync()
        {
            try
            {
                await MakeAsync(Routes, "shop", "orders", """ "spec": {"hosts": ["orders"], "http": [{"route": [{"destination": {"host": "orders"}}]}]} """);
                return true;
            }
            catch (KubeException e) when (e.IsNotFound)
            {
                return false; // The kind is served a moment later.
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        await _running;
        await _controlPlane.DisposeAsync();
        foreach (var user in _users) user.Dispose();
        await _cluster.DisposeAsync();
        foreach (var port in _ports) port.Dispose();
        _end.Dispose();
    }

    [Fact]
    public async Task Deletions_and_scalings_name_their_users()
    {
        var (alice, bob) = (As("alice"), As("bob"));
        // Nothing is written.
        await bob.RawAsync(HttpMethod.Delete, $"{Routes.Path("shop", "orders")}?dryRun=All", null, Stop);
        await bob.RawAsync(HttpMethod.Delete, $"{Kinds.Deployment.Path("shop", "cart")}?dryRun=All", null, Stop);
        await alice.DeleteAsync(Routes, "shop", "orders", Stop);
        await alice.DeleteAsync(Kinds.Service, "shop", "old", Stop);
        await alice.PatchAsync(Scale, "shop", "orders", JsonNode.Parse("""{"spec": {"replicas": 0}}""")!, PatchType.Merge, Stop, "scale");
        await _client.DeleteAsync(Kinds.EndpointSlice, "shop", "orders-1", Stop);
        // Whoever asks again while it goes has not deleted it.
        await _client.DeleteAsync(Kinds.Deployment, "shop", "stock", Stop, propagation: "Orphan");
        await bob.DeleteAsync(Kinds.Deployment, "shop", "stock", Stop);
        await bob.PatchAsync(Kinds.Deployment, "shop", "cart", JsonNode.Parse("""{"spec": {"replicas": 1}}""")!, PatchType.Merge, Stop);
        await bob.PatchAsync(Kinds.Deployment, "shop", "cart", JsonNode.Parse("""{"metadata": {"labels": {"a": "b"}}}""")!, PatchType.Merge, Stop);
        await bob.RawAsync(HttpMethod.Delete, $"{Kinds.Deployment.Path("shop", null)}?labelSelector=a=b", null, Stop);
        IReadOnlyList<MeshChange> changes = [];
        await Eventually.TrueAsync(async () =>
        {
            var report = (await HistoryAsync())!;
            var merged = MergedChanges.Of(report.Changes!.Select(line => MeshChange.Read(line, "istiod-1", "c1")));
            var named = await WorkloadWrites.NameAsync(merged, new Dictionary<string, KubeClient> { ["c1"] = _client }, new(TimeProvider.System), Stop);
            changes = [.. named.Where(change => change.Verb != "created" && (change.Namespace == "shop" || change.ReadyEndpoints is not null))];
            return changes.Count >= 7;
        });
        Assert.Equal(
        [
            "changed Deployment shop/cart by user bob, not proven: was scaled from 3 to 1",
            "changed Deployment shop/orders by isthmus (user alice, not proven): was scaled from 3 to 0",
            "changed Endpoints orders.shop.svc.cluster.local by isthmus (user alice, not proven): 1 → 0 ready: Deployment shop/orders was scaled from 3 to 0",
            "deleted Deployment shop/cart by user bob, not proven: ",
            "deleted Deployment shop/stock by user system:kube-controller-manager, not proven: ",
            "deleted Service shop/old by user alice, not proven: ",
            "deleted VirtualService shop/orders by user alice, not proven: ",
        ], changes.Select(change => $"{change.Verb} {change.Object} by {change.By}: {(change.Proxies is null ? change.Effect : "")}")
            .Order(StringComparer.Ordinal));
        // With a host, its workload that was scaled to nothing is among its changes.
        var ofHost = (await HistoryAsync("orders.shop"))!.Changes!.Select(change => $"{change.Kind} {change.Name}").ToList();
        Assert.Contains("Deployment orders", ofHost);
        Assert.DoesNotContain("Deployment cart", ofHost);
    }

    /// <summary>Validation closes once the control plane serves it; nobody ever has to wait for the history.</summary>
    [Fact]
    public async Task Its_policy_stays_Ignore_and_deletions_work_while_the_control_plane_is_away()
    {
        await Eventually.TrueAsync(async () => (await PoliciesAsync())["validation.istio.io"] == "Fail");
        Assert.Equal(["history.isthmus.io Ignore", "rev.validation.istio.io Fail", "secrets.history.isthmus.io Ignore", "validation.istio.io Fail"],
            (await PoliciesAsync()).Select(hook => $"{hook.Key} {hook.Value}").Order(StringComparer.Ordinal));
        // Whoever closes it by hand, and installs again, has it open again.
        await _client.PatchAsync(Kinds.ValidatingWebhookConfiguration, null, Configuration, JsonNode.Parse($$"""
            [{"op": "replace", "path": "/webhooks/{{(await HooksAsync()).FindIndex(hook => hook["name"]!.ToString() == "history.isthmus.io")}}/failurePolicy", "value": "Fail"}]
            """)!, PatchType.Json, Stop);
        var configuration = Manifests.Render(OperatorSpec.Build([], ["profile=minimal"], "")).SelectMany(component => component.Objects)
            .Single(value => value["kind"]!.ToString() == "ValidatingWebhookConfiguration");
        await new Applier(_client, TimeProvider.System).ApplyAsync([configuration], Stop);
        Assert.Equal(("Ignore", "Fail"), (await PoliciesAsync() is var after ? after["history.isthmus.io"] : "", after["validation.istio.io"]));

        await _end.CancelAsync();
        await _running;
        var watch = Stopwatch.StartNew();
        Assert.True(await _client.DeleteAsync(Kinds.Service, "shop", "old", Stop));
        await _client.PatchAsync(Scale, "shop", "orders", JsonNode.Parse("""{"spec": {"replicas": 1}}""")!, PatchType.Merge, Stop, "scale");
        Assert.InRange(watch.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(2));
        // It does not answer, as behind a Node that is gone.
        using var silent = new TcpListener(IPAddress.Loopback, 0);
        silent.Start();
        await _client.DeleteAsync(Kinds.EndpointSlice, Home, "istiod-1", Stop);
        await ServeAsync("istiod", Home, "https-webhook", ((IPEndPoint)silent.LocalEndpoint).Port);
        watch.Restart();
        Assert.True(await _client.DeleteAsync(Kinds.Deployment, "shop", "cart", Stop));
        Assert.InRange(watch.Elapsed, TimeSpan.FromMilliseconds(900), TimeSpan.FromSeconds(3));
    }

    /// <summary>Who validates there is not for another cluster's control plane to say.</summary>
    [Fact]
    public async Task In_a_remote_cluster_the_control_plane_is_trusted_by_these_webhooks_only()
    {
        await using var remote = new LoopbackCluster();
        var client = await remote.StartAsync("remote");
        foreach (var sets in (string[][])[["profile=remote", "values.global.remotePilotAddress=172.18.201.2"], ["profile=minimal"]])
        {
            await client.CreateAsync(Kinds.ValidatingWebhookConfiguration, Manifests.Render(OperatorSpec.Build([], sets, ""))
                .SelectMany(component => component.Objects).Single(value => value["kind"]!.ToString() == "ValidatingWebhookConfiguration"), Stop);
        }
        var ca = new CaState(_client, Home, () => "cluster.local", TimeProvider.System, NullLogger<CaState>.Instance);
        var patcher = new CaBundlePatcher(client, "default", validating: false, ca, TimeProvider.System, NullLogger<CaBundlePatcher>.Instance);
        using var end = CancellationTokenSource.CreateLinkedTokenSource(Stop);
        Task[] running = [ca.RunAsync(end.Token), patcher.RunAsync(end.Token)];
        IEnumerable<JsonNode?> hooks = [];
        await Eventually.TrueAsync(async () =>
        {
            hooks = (await client.ListAllAsync<JsonObject>(Kinds.ValidatingWebhookConfiguration, null, new ListOptions(), Stop))
                .SelectMany(configuration => configuration["webhooks"]!.AsArray());
            return hooks.Count(hook => hook!["clientConfig"]!["caBundle"] is not null) == 4;
        });
        Assert.All(hooks, hook => Assert.Equal(hook!["name"]!.ToString().EndsWith("history.isthmus.io", StringComparison.Ordinal),
            hook["clientConfig"]!["caBundle"] is not null));
        Assert.All(hooks, hook => Assert.Equal("Ignore", hook!["failurePolicy"]!.ToString()));
        await end.CancelAsync();
        await Task.WhenAll(running).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext);
    }

    private KubeClient As(string user)
    {
        var client = new KubeClient(_client.Access with { Impersonate = user });
        _users.Add(client);
        return client;
    }

    private Task<JsonObject> MakeAsync(ResourceKind kind, string? ns, string name, string fields = "")
    {
        var made = JsonNode.Parse($"{{ {fields} }}")!.AsObject();
        (made["apiVersion"], made["kind"]) = (kind.ApiVersion, kind.Kind);
        made["metadata"] ??= new JsonObject { ["name"] = name };
        if (ns is not null) made["metadata"]!["namespace"] = ns;
        return _client.CreateAsync(kind, made, Stop);
    }

    private Task<JsonObject> ServeAsync(string service, string ns, string port, int number) => MakeAsync(Kinds.EndpointSlice, ns, "", $$"""
        "metadata": {"name": "{{service}}-1", "labels": {"kubernetes.io/service-name": "{{service}}"} },
        "addressType": "IPv4", "endpoints": [{"addresses": ["127.0.0.1"], "conditions": {"ready": true} }], "ports": [{"name": "{{port}}", "port": {{number}} }]
        """);

    private async Task<List<JsonObject>> HooksAsync() =>
        [.. (await _client.GetAsync(Kinds.ValidatingWebhookConfiguration, null, Configuration, Stop))["webhooks"]!.AsArray().OfType<JsonObject>()];

    private async Task<Dictionary<string, string>> PoliciesAsync() =>
        (await HooksAsync()).ToDictionary(hook => hook["name"]!.ToString(), hook => hook["failurePolicy"]!.ToString());

    private async Task<HistoryReport?> HistoryAsync(string host = "")
    {
        try
        {
            using var http = new HttpClient();
            return StrictJson.Parse(await http.GetStringAsync(new Uri($"http://127.0.0.1:{_ports[0].Number}/debug/history?host={host}"), Stop),
                ControlPlaneReports.Default.HistoryReport);
        }
        catch (HttpRequestException)
        {
            return null; // It does not listen yet.
        }
    }

    private sealed class NoNames : INameClient
    {
        public Task<NameAnswer> AskAsync(string host, CancellationToken stop) => throw new InvalidOperationException("nothing may be asked");
    }
}

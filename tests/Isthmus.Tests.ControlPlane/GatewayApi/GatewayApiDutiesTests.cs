using System.Text.Json.Nodes;
using Isthmus.ControlPlane.GatewayApi;
using Isthmus.ControlPlane.Push;
using Isthmus.Graph.Settings;
using Isthmus.Injection;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Config.GatewayApi;
using Isthmus.Mesh.Model.GatewayApi;
using Isthmus.Rigs.Mesh;
using Isthmus.Rigs.Servers;
using Isthmus.Testing;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Isthmus.Tests.ControlPlane.GatewayApi;

/// <summary>What an elected control plane does for Gateways, at a real API server without controllers.</summary>
public sealed class GatewayApiDutiesTests : IAsyncLifetime
{
    private static readonly ResourceKind Classes = new("gateway.networking.k8s.io", "v1", "GatewayClass", "gatewayclasses", false);
    private static readonly ResourceKind Gateways = new("gateway.networking.k8s.io", "v1", "Gateway", "gateways", true);

    private static readonly ResourceKind HttpRoutes = new("gateway.networking.k8s.io", "v1", "HTTPRoute", "httproutes", true);

    private static readonly ResourceKind Quotas = new("", "v1", "ResourceQuota", "resourcequotas", true);

    private readonly LoopbackCluster _cluster = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly MeshRig _rig = new("c1");
    private readonly List<Task> _running = [];
    private PushEngine _engine = null!;
    private KubeClient _client = null!;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _client = await _cluster.StartAsync();
        foreach (var ns in (string[])["shop", "istio-system"])
        {
            if (await _client.FindAsync(Kinds.Namespace, null, ns, Stop) is null) await CreateAsync(Kinds.Namespace, $"metadata: {{name: {ns}}}");
        }
        _rig.Push();
        _engine = new(_rig.Writer, PushSettings.Default, TimeProvider.System, NullLogger<PushEngine>.Instance);
        _running.Add(_engine.RunAsync(_stop.Token));
        await _engine.MarkReadyAsync(Stop);
    }

    private void Start(KubeClient? client = null, string revision = "", Func<string, string?>? environment = null) =>
        _running.Add(Duties(client, revision, environment).RunAsync(_stop.Token));

    private GatewayApiDuties Duties(KubeClient? client = null, string revision = "", Func<string, string?>? environment = null) => new(client ?? _client,
        DiscoverySettings.Read([], environment ?? (_ => null)) with { ClusterId = "c1", Revision = revision }, _engine, () => InjectorValues.Empty,
        TimeProvider.System, NullLoggerFactory.Instance);

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        foreach (var task in _running) await task.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await _cluster.DisposeAsync();
        _stop.Dispose();
    }

    /// <summary>The end may come between two elections, where nothing waits: then no other one may begin.</summary>
    [Fact]
    public async Task Duties_that_are_stopped_end()
    {
        var duties = Duties();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
        var running = duties.RunAsync(stop.Token);
        await DefineAsync("GatewayClass", "gatewayclasses", isNamespaced: false, bundle: "v1.6.1");
        await Eventually.TrueAsync(async () => await _client.FindAsync(Classes, null, "istio", Stop) is not null);
        await stop.CancelAsync();
        await ((Task)running).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext);
        var again = Task.Run(() => duties.RunAsync(stop.Token), Stop);
        await Eventually.TrueAsync(() => Task.FromResult(again.IsCompleted));
    }

    [Fact]
    public async Task Classes_appear_with_their_definition_and_are_created_again()
    {
        Start();
        await DefineAsync("GatewayClass", "gatewayclasses", isNamespaced: false, bundle: "v1.6.1");
        await Eventually.TrueAsync(async () => (await NamesAsync()).SequenceEqual(["istio", "istio-east-west", "istio-remote"]));
        var istio = await _client.GetAsync(Classes, null, "istio", Stop);
        Assert.Equal("istio.io/gateway-controller", (string?)istio["spec"]!["controllerName"]);
        // As a watch reports them: those of others are left alone.
        await CreateAsync(Classes, "metadata: {name: other}, spec: {controllerName: example.com/c}");
        await CreateAsync(Classes,
            "metadata: {name: mine}, spec: {controllerName: istio.io/gateway-controller, parametersRef: {group: example.com, kind: Settings, name: a}}");
        foreach (var name in (string[])["istio", "mine", "other", "istio-east-west", "istio-remote"]) await ReadClassAsync(name);
        await Eventually.TrueAsync(async () => (await ConditionsAsync("mine")).Contains("Accepted False InvalidParameters"));
        await Eventually.TrueAsync(async () => (await ConditionsAsync("istio"))
            .SequenceEqual(["Accepted True Accepted", "SupportedVersion True SupportedVersion"]));
        Assert.Equal(GatewayFeatures.All,
            (await _client.GetAsync(Classes, null, "istio", Stop))["status"]!["supportedFeatures"]!.AsArray().Select(feature => (string)feature!["name"]!));
        Assert.Null((await _client.GetAsync(Classes, null, "other", Stop))["status"]);

        // One definition that is not known is enough.
        await DefineAsync("HTTPRoute", "httproutes", isNamespaced: true, bundle: "v1.9.0");
        await Eventually.TrueAsync(async () => (await ConditionsAsync("istio")).Contains("SupportedVersion False UnsupportedVersion"));

        await _client.DeleteAsync(Classes, null, "istio-remote", Stop);
        await _engine.ChangeAsync(writer => { writer.Mesh.Sources.GatewayClasses.Remove(new("c1", "", "istio-remote")); return true; }, Stop);
        await Eventually.TrueAsync(async () => (await NamesAsync()).Contains("istio-remote"));

        async Task<IEnumerable<string>> NamesAsync()
        {
            try
            {
                return [.. (await _client.ListAllAsync<JsonObject>(Classes, null, new(), Stop)).Select(item => (string)item["metadata"]!["name"]!)
                    .Where(name => name.StartsWith("istio", StringComparison.Ordinal)).Order(StringComparer.Ordinal)];
            }
            catch (KubeException) { return []; }
        }

        async Task ReadClassAsync(string name)
        {
            var item = GatewayClassReader.Read("c1", await _client.GetAsync(Classes, null, name, Stop));
            await _engine.ChangeAsync(writer => { writer.Mesh.Sources.GatewayClasses.Put(new("c1", "", name), item); return true; }, Stop);
        }

        async Task<string[]> ConditionsAsync(string name) =>
            [.. ((await _client.GetAsync(Classes, null, name, Stop))["status"]?["conditions"]?.AsArray() ?? [])
                .Select(item => $"{item!["type"]} {item["status"]} {item["reason"]}")];
    }

    [Fact]
    public async Task What_is_made_for_a_Gateway_is_kept_as_it_should_be()
    {
        Start();
        await DefineAsync("Gateway", "gateways", isNamespaced: true);
        await GatewayAsync("front", "");
        var deployment = await WaitAsync(Kinds.Deployment, "front-istio");
        var uid = (string?)(await _client.GetAsync(Gateways, "shop", "front", Stop))["metadata"]!["uid"];
        Assert.Equal(uid, (string?)deployment["metadata"]!["ownerReferences"]![0]!["uid"]);
        await WaitAsync(Kinds.ServiceAccount, "front-istio");
        var service = await WaitAsync(Kinds.Service, "front-istio");

        // Somebody removes one object and changes another.
        await _client.DeleteAsync(Kinds.Service, "shop", "front-istio", Stop);
        await Eventually.TrueAsync(async () => await _client.FindAsync(Kinds.Service, "shop", "front-istio", Stop) is { } again
            && (string?)again["metadata"]!["uid"] != (string?)service["metadata"]!["uid"]);
        await _client.PatchAsync(Kinds.Deployment, "shop", "front-istio",
            JsonNode.Parse("""{"spec": {"template": {"spec": {"serviceAccountName": "default"}}}}""")!, PatchType.Merge, Stop);
        await Eventually.TrueAsync(
            async () => (string?)(await _client.GetAsync(Kinds.Deployment, "shop", "front-istio", Stop))["spec"]!["template"]!["spec"]!["serviceAccountName"]
                == "front-istio");
    }

    [Theory]
    [InlineData("""{"gatewayClassName": "theirs"}""", true)]
    [InlineData("""{"addresses": [{"type": "Hostname", "value": "own"}]}""", true)]
    // It may be made again, and one that runs must not end with it.
    [InlineData("""{"gatewayClassName": "unknown"}""", false)]
    // What was made for it is what it names.
    [InlineData("""{"addresses": [{"type": "Hostname", "value": "front-istio"}]}""", false)]
    [InlineData("""{"addresses": [{"type": "Unknown", "value": "x"}]}""", false)]
    // What was made for another Gateway takes over, and a host that is no Service takes nothing over.
    [InlineData("""{"addresses": [{"type": "Hostname", "value": "other-istio"}]}""", true)]
    [InlineData("""{"addresses": [{"type": "Hostname", "value": "lb.shop.example.com"}]}""", false)]
    public async Task What_was_made_goes_when_the_Gateway_is_somebody_elses_now(string spec, bool goes)
    {
        Start();
        await DefineAsync("Gateway", "gateways", isNamespaced: true);
        await GatewayAsync("front", "");
        await GatewayAsync("other", "");
        foreach (var kind in (ResourceKind[])[Kinds.Deployment, Kinds.Service, Kinds.ServiceAccount]) await WaitAsync(kind, "front-istio");
        // Another controller made it for the same Gateway, as Istio makes waypoints.
        var uid = (await _client.GetAsync(Gateways, "shop", "front", Stop))["metadata"]!["uid"];
        await CreateAsync(Kinds.Service, $"metadata: {{name: theirs, namespace: shop, labels: {{gateway.istio.io/managed: istio.io-mesh-controller}}, "
            + $"ownerReferences: [{{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, name: front, uid: {uid}}}]}}, spec: {{ports: [{{port: 80}}]}}");
        var changed = ApiGatewayReader.Read("c1",
            await _client.PatchAsync(Gateways, "shop", "front", new JsonObject { ["spec"] = JsonNode.Parse(spec)! }, PatchType.Merge, Stop));
        await _engine.ChangeAsync(writer =>
        {
            writer.Mesh.Sources.GatewayClasses.Put(new("c1", "", "theirs"), new(new("c1", "GatewayClass", "", "theirs"), "example.com/controller", 1));
            writer.Mesh.Sources.ApiGateways.Put(new("c1", "shop", "front"), changed);
            return true;
        }, Stop);
        if (!goes)
        {
            // What is asked for later has been done, so that it had its turn.
            await GatewayAsync("later", "");
            await WaitAsync(Kinds.Service, "later-istio");
        }
        await Eventually.TrueAsync(async () => goes != await AnyAsync("front-istio"));
        Assert.True(await AnyAsync("other-istio"));
        Assert.True(await AnyAsync("theirs"));

        async Task<bool> AnyAsync(string name) =>
            await _client.FindAsync(Kinds.Deployment, "shop", name, Stop) is not null || await _client.FindAsync(Kinds.Service, "shop", name, Stop) is not null
            || await _client.FindAsync(Kinds.ServiceAccount, "shop", name, Stop) is not null;
    }

    [Fact]
    public async Task What_the_variables_turn_off_is_not_done()
    {
        Start(environment: name => name.EndsWith("_CONTROLLER", StringComparison.Ordinal) ? "false" : null);
        await DefineAsync("GatewayClass", "gatewayclasses", isNamespaced: false, bundle: "v1.6.1");
        await DefineAsync("Gateway", "gateways", isNamespaced: true);
        await GatewayAsync("front", "");
        // Statuses are written all the same.
        await Eventually.TrueAsync(async () => (await _client.GetAsync(Gateways, "shop", "front", Stop))["status"]?["listeners"] is JsonArray { Count: 1 });
        Assert.Null(await _client.FindAsync(Kinds.Deployment, "shop", "front-istio", Stop));
        Assert.Empty(await _client.ListAllAsync<JsonObject>(Classes, null, new(), Stop));
    }

    /// <summary>Beside a control plane of Istio, the others are Istio's.</summary>
    [Fact]
    public async Task A_revision_takes_what_asks_for_it_and_the_rest_only_as_the_default_one()
    {
        var tags = Kinds.MutatingWebhookConfiguration;
        await CreateAsync(tags, "metadata: {name: tag-default, labels: {istio.io/tag: default, istio.io/rev: default}}");
        Start(revision: "canary");
        await DefineAsync("GatewayClass", "gatewayclasses", isNamespaced: false);
        await DefineAsync("Gateway", "gateways", isNamespaced: true);
        await GatewayAsync("theirs", "");
        await GatewayAsync("ours", "", ", labels: {istio.io/rev: canary}");
        await WaitAsync(Kinds.Service, "ours-istio");
        Assert.Null(await _client.FindAsync(Kinds.Service, "shop", "theirs-istio", Stop));
        Assert.Empty(await _client.ListAllAsync<JsonObject>(Classes, null, new(), Stop));

        await _client.PatchAsync(tags, null, "tag-default", JsonNode.Parse("""{"metadata": {"labels": {"istio.io/rev": "canary"}}}""")!, PatchType.Merge, Stop);
        await WaitAsync(Kinds.Service, "theirs-istio");
        await Eventually.TrueAsync(async () => (await _client.ListAllAsync<JsonObject>(Classes, null, new(), Stop)).Count == 3);
    }

    [Fact]
    public async Task A_ConfigMap_adds_objects_and_takes_them_away()
    {
        Start();
        await DefineAsync("Gateway", "gateways", isNamespaced: true);
        await GatewayAsync("front", "infrastructure: {parametersRef: {group: '', kind: ConfigMap, name: params}}");
        await Eventually.TrueAsync(() => Task.FromResult(TroubleOf("front") is { IsRefused: true, Reason: "InvalidParameters" } trouble
            && trouble.Message.Contains("ConfigMap shop/params does not exist", StringComparison.Ordinal)));
        Assert.Null(await _client.FindAsync(Kinds.Deployment, "shop", "front-istio", Stop));

        await CreateAsync(Kinds.ConfigMap,
            "metadata: {name: params, namespace: shop}, data: {deployment: 'spec: {replicas: 3}', podDisruptionBudget: 'spec: {minAvailable: 1}'}");
        Assert.Equal(1, (int)(await WaitAsync(Kinds.PodDisruptionBudget, "front-istio"))["spec"]!["minAvailable"]!);
        await Eventually.TrueAsync(() => Task.FromResult(TroubleOf("front") is null));
        Assert.Equal(3, (int)(await WaitAsync(Kinds.Deployment, "front-istio"))["spec"]!["replicas"]!);

        await _client.PatchAsync(Kinds.ConfigMap, "shop", "params", JsonNode.Parse("""{"data": {"podDisruptionBudget": null}}""")!, PatchType.Merge, Stop);
        await Eventually.TrueAsync(async () => await _client.FindAsync(Kinds.PodDisruptionBudget, "shop", "front-istio", Stop) is null);
    }

    [Fact]
    public async Task A_value_of_another_type_in_a_ConfigMap_is_named()
    {
        Start();
        await DefineAsync("Gateway", "gateways", isNamespaced: true);
        await CreateAsync(Kinds.ConfigMap, "metadata: {name: params, namespace: shop}, data: {deployment: 'spec: {replicas: many}'}");
        await GatewayAsync("front", "infrastructure: {parametersRef: {group: '', kind: ConfigMap, name: params}}");
        await Eventually.TrueAsync(() => Task.FromResult(TroubleOf("front") is { IsRefused: false, Reason: "Invalid" } trouble
            && trouble.Message.Contains("shop/front-istio; apps/v1, Kind=Deployment", StringComparison.Ordinal)
            && trouble.Message.Contains("replicas", StringComparison.Ordinal)));

        await _client.PatchAsync(Kinds.ConfigMap, "shop", "params", JsonNode.Parse("""{"data": {"deployment": "spec: {replicas: 2}"}}""")!, PatchType.Merge, Stop);
        await Eventually.TrueAsync(() => Task.FromResult(TroubleOf("front") is null));
        Assert.Equal(2, (int)(await WaitAsync(Kinds.Deployment, "front-istio"))["spec"]!["replicas"]!);
    }

    [Fact]
    public async Task Objects_of_others_are_not_touched()
    {
        Start();
        await DefineAsync("Gateway", "gateways", isNamespaced: true);
        await CreateAsync(Kinds.Service, "metadata: {name: front-istio, namespace: shop}, spec: {ports: [{port: 1}]}");
        await GatewayAsync("front", "");
        await Eventually.TrueAsync(() => Task.FromResult(TroubleOf("front") is { IsRefused: false, Reason: "Invalid" } trouble
            && trouble.Message.Contains("Service shop/front-istio exists", StringComparison.Ordinal)));
        Assert.Equal(1, (int)(await _client.GetAsync(Kinds.Service, "shop", "front-istio", Stop))["spec"]!["ports"]![0]!["port"]!);
    }

    [Theory]
    [InlineData("pods is forbidden: exceeded quota: small", "NoResources", "pods is forbidden: exceeded quota: small")]
    [InlineData("pods \\\"front-1\\\" is forbidden: exceeded quota: small", "NoResources",
        "the Pods of Deployment shop/front-istio are forbidden: exceeded quota: small")]
    [InlineData("pods \\\"front-2\\\" is forbidden: violates PodSecurity \\\"restricted:latest\\\": forbidden sysctls", "Invalid",
        "the Pods of Deployment shop/front-istio are forbidden: violates PodSecurity \"restricted:latest\": forbidden sysctls")]
    public async Task The_Deployment_says_why_no_Pod_is_created(string message, string reason, string told)
    {
        Start();
        await DefineAsync("Gateway", "gateways", isNamespaced: true);
        await GatewayAsync("front", "");
        await WaitAsync(Kinds.Deployment, "front-istio");
        await _client.PatchAsync(Kinds.Deployment, "shop", "front-istio", JsonNode.Parse($$"""
            {"status": {"conditions": [{"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "{{message}}"}] } }
            """)!, PatchType.Merge, Stop, "status");
        await Eventually.TrueAsync(() => Task.FromResult(TroubleOf("front") is { IsRefused: false } trouble && trouble.Reason == reason
            && trouble.Message == told));
    }

    /// <summary>And it is deployed as soon as the quota permits it.</summary>
    [Theory]
    [InlineData("count/deployments.apps", "deployments.apps \"front-istio\" is forbidden: exceeded quota: small, requested: count/deployments.apps=1, ")]
    [InlineData("services.loadbalancers", "services \"front-istio\" is forbidden: exceeded quota: small, requested: services.loadbalancers=1, ")]
    public async Task A_quota_that_forbids_the_objects_is_named(string limited, string message)
    {
        Start();
        await CreateAsync(Quotas, $"metadata: {{name: small, namespace: shop}}, spec: {{hard: {{{limited}: 0}}}}");
        await DefineAsync("Gateway", "gateways", isNamespaced: true);
        await GatewayAsync("front", "");
        await Eventually.TrueAsync(() => Task.FromResult(TroubleOf("front") is { IsRefused: false, Reason: "NoResources" } trouble
            && trouble.Message.StartsWith($"{message}used: {limited}=0, limited: {limited}=0", StringComparison.Ordinal)));
        await _client.DeleteAsync(Quotas, "shop", "small", Stop);
        await WaitAsync(Kinds.Service, "front-istio");
        await Eventually.TrueAsync(() => Task.FromResult(TroubleOf("front") is null));
    }

    [Fact]
    public async Task A_right_that_is_missing_is_named()
    {
        var rights = new ResourceKind("rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles", false);
        await CreateAsync(rights, """
            metadata: {name: old}, rules: [{apiGroups: [coordination.k8s.io], resources: [leases], verbs: ['*']},
              {apiGroups: [apiextensions.k8s.io, gateway.networking.k8s.io], resources: ['*'], verbs: [get, list, watch]},
              {apiGroups: [''], resources: [configmaps, services], verbs: [get, list, watch]}]
            """);
        await CreateAsync(Kinds.ClusterRoleBinding,
            "metadata: {name: old}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: old}, subjects: [{apiGroup: "
                + "rbac.authorization.k8s.io, kind: User, name: old}]");
        using var client = new KubeClient(_client.Access with { Impersonate = "old" });
        Start(client);
        await DefineAsync("Gateway", "gateways", isNamespaced: true);
        await GatewayAsync("front", "");
        await Eventually.TrueAsync(() => Task.FromResult(TroubleOf("front") is { IsRefused: false, Reason: "Invalid" } trouble
            && trouble.Message.Contains("forbidden", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Many_routes_that_attach_one_by_one_cost_their_Gateway_two_writes_and_themselves_one()
    {
        const int routes = 300;
        Start();
        await DefineAsync("Gateway", "gateways", isNamespaced: true);
        await DefineAsync("HTTPRoute", "httproutes", isNamespaced: true);
        await GatewayAsync("front", "");
        await Eventually.TrueAsync(async () => (int?)(await StatusAsync())?["listeners"]?[0]?["attachedRoutes"] == 0);
        await RouteAsync(0);
        await Eventually.TrueAsync(async () => (int?)(await StatusAsync())?["listeners"]?[0]?["attachedRoutes"] == 1);
        var from = (string)(await _client.GetAsync(Gateways, "shop", "front", Stop))["metadata"]!["resourceVersion"]!;
        // A status waits until nothing has changed for a while: on a busy machine, it may take that long from one route to the next.
        var (pauses, last) = (0, TimeProvider.System.GetTimestamp());
        for (var route = 1; route < routes; route++)
        {
            await RouteAsync(route);
            pauses += TimeProvider.System.GetElapsedTime(last) >= StatusQueue.Quiet / 2 ? 1 : 0;
            last = TimeProvider.System.GetTimestamp();
        }
        var writes = 0;
        await foreach (var happened in _client.WatchAsync<JsonObject>(Gateways, "shop", new() { ResourceVersion = from }, Stop))
        {
            writes += happened.Type == WatchEventType.Modified ? 1 : 0;
            if ((int?)happened.Object["status"]?["listeners"]?[0]?["attachedRoutes"] == routes) break;
        }
        Assert.InRange(writes, 1, 2 + pauses);
        // The last one is written after its predecessors.
        await Eventually.TrueAsync(async () =>
            (await _client.ListAllAsync<JsonObject>(HttpRoutes, "shop", new(), Stop)).All(route => route["status"]?["parents"] is JsonArray { Count: 1 }));
        var versions = (await _client.ListAllAsync<JsonObject>(HttpRoutes, "shop", new(), Stop)).Select(route =>
            (string)route["metadata"]!["resourceVersion"]!).ToList();
        await RouteAsync(routes);
        await Eventually.TrueAsync(async () => (int?)(await StatusAsync())?["listeners"]?[0]?["attachedRoutes"] == routes + 1);
        Assert.Equal(versions,
            (await _client.ListAllAsync<JsonObject>(HttpRoutes, "shop", new(), Stop)).Select(route =>
            (string)route["metadata"]!["resourceVersion"]!).Where(versions.Contains));

        async Task<JsonNode?> StatusAsync() => (await _client.GetAsync(Gateways, "shop", "front", Stop))["status"];

        async Task RouteAsync(int number)
        {
            JsonObject? made = null;
            await Eventually.TrueAsync(async () =>
            {
                try { made = await CreateAsync(HttpRoutes,
                    $"metadata: {{name: r{number}, namespace: shop}}, spec: {{parentRefs: [{{name: front}}], hostnames: [r{number}.example.com]}}"); }
                catch (KubeException e) when (e.IsNotFound) { return false; }
                return true;
            });
            var read = ApiRouteReader.Read(MeshApi.HttpRoute, "c1", made!);
            await _engine.ChangeAsync(writer => { writer.Mesh.Sources.HttpRoutes.Put(new("c1", "shop", $"r{number}"), read); return true; }, Stop);
        }
    }

    private GatewayTrouble? TroubleOf(string name) => _engine.Mesh.Sources.GatewayTroubles.Items.GetValueOrDefault(new("c1", "shop", name));

    private async Task GatewayAsync(string name, string spec, string metadata = "")
    {
        // The kind is served a moment after its definition.
        JsonObject? made = null;
        await Eventually.TrueAsync(async () =>
        {
            try
            {
                made = await CreateAsync(Gateways, $"metadata: {{name: {name}, namespace: shop{metadata}}}, "
                    + $"spec: {{gatewayClassName: istio, listeners: [{{name: http, port: 80, protocol: HTTP}}]{(spec.Length > 0 ? ", " : "")}{spec}}}");
                return true;
            }
            catch (KubeException e) when (e.IsNotFound)
            {
                return false;
            }
        });
        var read = ApiGatewayReader.Read("c1", made!);
        await _engine.ChangeAsync(writer => { writer.Mesh.Sources.ApiGateways.Put(new("c1", "shop", name), read); return true; }, Stop);
    }

    private async Task<JsonObject> WaitAsync(ResourceKind kind, string name)
    {
        JsonObject? found = null;
        await Eventually.TrueAsync(async () => (found = await _client.FindAsync(kind, "shop", name, Stop)) is not null);
        return found!;
    }

    private Task DefineAsync(string kind, string plural, bool isNamespaced, string bundle = "") => CreateAsync(Kinds.CustomResourceDefinition, $$"""
        metadata: {name: {{plural}}.gateway.networking.k8s.io,
          annotations: {gateway.networking.k8s.io/bundle-version: "{{bundle}}", api-approved.kubernetes.io: unapproved} },
        spec: {group: gateway.networking.k8s.io, scope: {{(isNamespaced ? "Namespaced" : "Cluster")}},
          names: {kind: {{kind}}, plural: {{plural}}, singular: {{kind.ToLowerInvariant()}}, listKind: {{kind}}List},
          versions: [{name: v1, served: true, storage: true, subresources: {status: {} },
            schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true} } }]}
        """);

    private Task<JsonObject> CreateAsync(ResourceKind kind, string text)
    {
        var item = (JsonObject)YamlText.Parse($"{{{text}}}", kind.Kind)!;
        (item["apiVersion"], item["kind"]) = (kind.ApiVersion, kind.Kind);
        return _client.CreateAsync(kind, item, Stop);
    }
}

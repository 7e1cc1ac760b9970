using System.Text.Json.Nodes;
using Isthmus.ControlPlane.Push;
using Isthmus.ControlPlane.Statuses;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Rigs.Mesh;
using Isthmus.Rigs.Servers;
using Isthmus.Testing;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Push;

/// <summary>An object that was stored with errors says so itself, whatever its kind.</summary>
public sealed class InvalidObjectsTests(RunningApiServer server) : IClassFixture<RunningApiServer>
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public static TheoryData<string, string, string, string> Specs => new()
    {
        {
            "Gateway", "servers: [{port: {number: 80, name: a, protocol: FOO}, hosts: ['*']}]",
            "servers: [{port: {number: 80, name: a, protocol: HTTP}, hosts: ['*']}]", "spec.servers[0].port.protocol: invalid protocol \"FOO\""
        },
        {
            "VirtualService", "hosts: [web], http: [{timeout: soon, route: [{destination: {host: web}}]}]",
            "hosts: [web], http: [{route: [{destination: {host: web}}]}]",
            "spec.http[0].timeout: \"soon\" is not a duration (write it like 10s, 1m30s or 250ms)"
        },
        { "DestinationRule", "host: web, trafficPolicy: {tunnel: {targetHost: a, targetPort: 0}}", "host: web", "spec.trafficPolicy.tunnel.targetPort: " },
        { "ServiceEntry", "hosts: ['*']", "hosts: [a.example], ports: [{number: 80, name: http, protocol: HTTP}]", "spec.hosts[0]: invalid host *" },
        { "WorkloadEntry", "labels: {a: b}", "address: 10.0.0.1", "spec.address: address must be set" },
        {
            "Sidecar", "outboundTrafficPolicy: {egressProxy: {host: a}}", "egress: [{hosts: ['*/*']}]",
            "spec.outboundTrafficPolicy.egressProxy: egress proxies are not supported"
        },
        {
            "EnvoyFilter", "configPatches: [{applyTo: BOOTSTRAP, patch: {operation: MERGE, value: {}}}]", "priority: 1",
            "spec.configPatches[0].patch.value: must be an object: a part of envoy.config.bootstrap.v3.Bootstrap (for example stats_flush_interval: 10s)"
        },
        { "ProxyConfig", "concurrency: -1", "concurrency: 1", "spec.concurrency: " },
        {
            "PeerAuthentication", "portLevelMtls: {'80': {mode: STRICT}}", "mtls: {mode: STRICT}",
            "spec.portLevelMtls: mesh/namespace peer authentication cannot have port level mTLS (add a selector)"
        },
        { "AuthorizationPolicy", "rules: [{from: []}]", "rules: []", "spec.rules[0].from: \"from\" cannot be empty" },
        { "RequestAuthentication", "targetRef: {kind: Gateway, name: a}", "jwtRules: []",
            "spec.targetRef.group: \"\" has no kind Gateway that can be a target" },
        { "WasmPlugin", "sha256: ''", "url: oci://registry.example/auth:v1", "spec.url: must be set" },
        { "Telemetry", "accessLogging: [{filter: {expression: response.cod >= 400}}]", "accessLogging: []", "spec.accessLogging[0].filter.expression: " },
    };

    [Fact]
    public void Each_kind_that_has_an_effect_is_among_them() =>
        Assert.Equal(MeshApi.Effective.Select(kind => kind.Kind).Order(), Specs.Select(row => row.Data.Item1).Order());

    [Theory]
    [MemberData(nameof(Specs))]
    public async Task The_status_of_an_object_with_errors_says_so_until_it_is_put_right(string kindName, string bad, string good, string message)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Stop);
        using var client = new KubeClient(server.Access);
        var known = MeshApi.Istio.Single(kind => kind.Kind == kindName);
        var kind = new ResourceKind(known.Group, known.ReadVersion, known.Kind, known.Plural, true);
        await StoreAsync(client, known, kind);
        var rig = new MeshRig("c1");
        rig.Config(Object(known, bad));
        rig.Push();
        var engine = new PushEngine(rig.Writer, PushSettings.Default, TimeProvider.System, NullLogger<PushEngine>.Instance);
        var running = engine.RunAsync(stop.Token);
        var status = new InvalidObjects(client, "c1", engine, TimeProvider.System, NullLogger.Instance);
        Assert.Equal(NextRound.AtChange, await status.UpdateAsync(Stop));
        var condition = Assert.Single(await ConditionsAsync())!.AsObject();
        Assert.Equal(("Accepted", "False", "Invalid"), ((string?)condition["type"], (string?)condition["status"], (string?)condition["reason"]));
        Assert.StartsWith($"IST0106 {message}", (string?)condition["message"], StringComparison.Ordinal);

        await ReadAsync(good);
        Assert.Equal(NextRound.AtChange, await status.UpdateAsync(Stop));
        Assert.Empty(await ConditionsAsync());

        // Another control plane, which has ended, said so: the object tells.
        await ReadAsync(bad);
        await status.UpdateAsync(Stop);
        var told = (JsonObject)condition.DeepClone();
        await ReadAsync(good, told);
        await new InvalidObjects(client, "c1", engine, TimeProvider.System, NullLogger.Instance).UpdateAsync(Stop);
        Assert.Empty(await ConditionsAsync());
        await stop.CancelAsync();
        await running;

        Task ReadAsync(string spec, JsonObject? said = null) => engine.ChangeAsync(_ =>
        {
            rig.Config(Object(known, spec) + (said is null ? "" : $"status: {{conditions: [{said.ToJsonString()}]}}\n"));
            return true;
        }, Stop);

        async Task<JsonArray> ConditionsAsync() => (await client.FindAsync(kind, "shop", "x", Stop))!["status"]?["conditions"]?.AsArray() ?? [];
    }

    [Fact]
    public async Task Objects_of_other_clusters_and_warnings_have_no_condition()
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Stop);
        using var client = new KubeClient(server.Access);
        var kind = new ResourceKind(MeshApi.WorkloadEntry.Group, MeshApi.WorkloadEntry.ReadVersion, MeshApi.WorkloadEntry.Kind, MeshApi.WorkloadEntry.Plural,
            true);
        await StoreAsync(client, MeshApi.WorkloadEntry, kind);
        var rig = new MeshRig("c1", "c2");
        rig.Config("c2", Object(MeshApi.WorkloadEntry, "labels: {a: b}"));
        rig.Config(Object(MeshApi.WorkloadEntry, "address: 10.0.0.1, adress: 10.0.0.1"));
        rig.Push();
        Assert.Equal([Severity.Error, Severity.Warning],
            rig.Mesh.Sources.Problems.Items.Values.SelectMany(item => item.Problems).Select(problem => problem.Severity).Order().Reverse());
        var engine = new PushEngine(rig.Writer, PushSettings.Default, TimeProvider.System, NullLogger<PushEngine>.Instance);
        var running = engine.RunAsync(stop.Token);
        Assert.Equal(NextRound.AtChange, await new InvalidObjects(client, "c1", engine, TimeProvider.System, NullLogger.Instance).UpdateAsync(Stop));
        Assert.Null((await client.FindAsync(kind, "shop", "x", Stop))!["status"]);
        await stop.CancelAsync();
        await running;
    }

    private static string Object(KindDescriptor kind, string spec) => $$"""
        apiVersion: {{kind.Group}}/{{kind.ReadVersion}}
        kind: {{kind.Kind}}
        metadata: {name: x, namespace: shop}
        spec: { {{spec}} }

        """;

    /// <summary>What it says does not matter: the control plane reads it from the rig.</summary>
    private async Task StoreAsync(KubeClient client, KindDescriptor known, ResourceKind kind)
    {
        var shape = IstioCrds.Of(known);
        foreach (var version in shape["spec"]!["versions"]!.AsArray())
            version!["schema"]!["openAPIV3Schema"] = JsonNode.Parse("""{"type": "object", "x-kubernetes-preserve-unknown-fields": true}""");
        foreach (var (type, item) in ((ResourceKind, JsonObject)[])[(Kinds.CustomResourceDefinition, shape),
            (Kinds.Namespace, JsonNode.Parse("""{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"} }""")!.AsObject())])
        {
            if (await client.FindAsync(type, null, item["metadata"]!["name"]!.ToString(), Stop) is null) await client.CreateAsync(type, item, Stop);
        }
        var path = $"/apis/{known.Group}/{known.ReadVersion}/namespaces/shop/{known.Plural}";
        await server.SendAsync("DELETE", $"{path}/x");
        // The kind is served a moment later.
        await Eventually.TrueAsync(async () =>
            (await server.SendAsync("POST", path,
                $$"""{"apiVersion": "{{kind.ApiVersion}}", "kind": "{{known.Kind}}", "metadata": {"name": "x"}, "spec": {} }""")).Code != 404);
    }
}

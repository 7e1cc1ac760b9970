using System.Collections.Concurrent;
using System.Text;
using System.Text.Json.Nodes;
using Isthmus.ControlPlane.Push;
using Isthmus.ControlPlane.Statuses;
using Isthmus.Core.Collections;
using Isthmus.Core.Net;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;
using Isthmus.Rigs.Mesh;
using Isthmus.Rigs.Servers;
using Isthmus.Testing;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Gateways;

/// <summary>How people learn that a Gateway lacks its certificate.</summary>
public sealed class GatewayEventsTests(RunningApiServer server) : IClassFixture<RunningApiServer>
{
    private static (string, string) Missing => (ObjectCondition.ResolvedRefs, GatewayEvents.CertificateReason);

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Each_problem_is_an_Event_on_its_Gateway_once()
    {
        using var client = new KubeClient(server.Access);
        var ns = await server.NamespaceAsync();
        var engine = new PushEngine(new MeshRig("c1").Writer, PushSettings.Default, TimeProvider.System, NullLogger<PushEngine>.Instance);
        var events = new GatewayEvents(client, engine, TimeProvider.System, NullLogger.Instance);
        var problem = new Problem("IST0101", $"Gateway {ns}/front", "spec.servers[0].tls.credentialName", "Referenced credentialName not found: \"front\"",
            "create it");
        await events.TellAsync([problem], Stop);
        await events.TellAsync([problem], Stop);
        var written = Assert.Single(await client.ListAllAsync<JsonObject>(Kinds.Event, ns, new ListOptions(), Stop));
        Assert.Equal(("Gateway", "front", "ReferencedResourceNotFound", "Warning"),
            ((string?)written["involvedObject"]!["kind"], (string?)written["involvedObject"]!["name"], (string?)written["reason"], (string?)written["type"]));
        Assert.Equal("IST0101 spec.servers[0].tls.credentialName: Referenced credentialName not found: \"front\" (create it)", (string?)written["message"]);
    }

    [Fact]
    public async Task The_status_of_a_Gateway_says_what_is_missing_for_as_long_as_it_is()
    {
        using var client = new KubeClient(server.Access);
        var ns = await server.NamespaceAsync();
        await client.CreateAsync(Kinds.CustomResourceDefinition, IstioCrds.Of(MeshApi.Gateway), Stop);
        // The kind is served a moment later.
        await Eventually.TrueAsync(async () => (await server.SendAsync("POST", $"/apis/networking.istio.io/v1/namespaces/{ns}/gateways",
            """{"apiVersion": "networking.istio.io/v1", "kind": "Gateway", "metadata": {"name": "front"}, "spec": {} }""")).Code != 404);
        var other = new JsonObject { ["type"] = "Reconciled", ["status"] = "True" };
        await client.PatchAsync(GatewayEvents.Gateway, ns, "front", new JsonObject { ["status"] = new JsonObject { ["conditions"] = new JsonArray(other) } },
            PatchType.Merge, Stop, "status");
        var problem = new Problem("IST0101", $"Gateway {ns}/front", "spec.servers[0].tls.credentialName", "Referenced credentialName not found: \"front\"",
            "create it");
        var status = new ObjectCondition(client, GatewayEvents.Gateway, Missing, TimeProvider.System, NullLogger.Instance);
        await status.UpdateAsync([$"{ns}/front", $"{ns}/gone"], [problem], Stop);
        Assert.Equal(["Reconciled True ",
            "ResolvedRefs False IST0101 spec.servers[0].tls.credentialName: Referenced credentialName not found: \"front\" (create it)"],
            await ConditionsAsync());
        // Nobody here knows about a Gateway that no connected proxy serves.
        await status.UpdateAsync([], [], Stop);
        Assert.Equal(2, (await ConditionsAsync()).Count());
        // Another control plane, which never saw the problem, finds it solved.
        await new ObjectCondition(client, GatewayEvents.Gateway, Missing, TimeProvider.System, NullLogger.Instance).UpdateAsync([$"{ns}/front"], [], Stop);
        Assert.Equal(["Reconciled True "], await ConditionsAsync());

        async Task<IEnumerable<string>> ConditionsAsync() =>
            (await client.FindAsync(GatewayEvents.Gateway, ns, "front", Stop))!["status"]!["conditions"]!.AsArray()
                .Select(condition => $"{condition!["type"]} {condition["status"]} {condition["message"]}");
    }

    /// <summary>Definitions of Istio before 1.22 serve no v1.</summary>
    [Fact]
    public async Task Event_and_status_follow_what_gateways_serve_with_older_definitions()
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Stop);
        await using var older = new RunningApiServer();
        await older.InitializeAsync();
        using var client = new KubeClient(older.Access);
        var definition = IstioCrds.Of(MeshApi.Gateway);
        var versions = definition["spec"]!["versions"]!.AsArray();
        versions.Remove(versions.Single(version => version!["name"]?.ToString() == "v1"));
        versions[0]!["storage"] = true;
        await client.CreateAsync(Kinds.CustomResourceDefinition, definition, Stop);
        await client.CreateAsync(Kinds.Namespace,
            new JsonObject { ["apiVersion"] = "v1", ["kind"] = "Namespace", ["metadata"] = new JsonObject { ["name"] = "shop" } }, Stop);
        await Eventually.TrueAsync(async () => (await older.SendAsync("POST", "/apis/networking.istio.io/v1beta1/namespaces/shop/gateways",
            """{"apiVersion": "networking.istio.io/v1beta1", "kind": "Gateway", "metadata": {"name": "front"}, "spec": {} }""")).Code != 404);
        Assert.Equal(404, (await older.SendAsync("GET", "/apis/networking.istio.io/v1/namespaces/shop/gateways/front", "")).Code);

        var rig = new MeshRig("c1");
        rig.EastWest("c1", "172.18.201.1");
        rig.Config(Front);
        var engine = new PushEngine(rig.Writer, new(TimeSpan.FromMilliseconds(1), TimeSpan.FromSeconds(1)), TimeProvider.System,
            NullLogger<PushEngine>.Instance);
        var running = Task.WhenAll(engine.RunAsync(stop.Token),
            new GatewayEvents(client, engine, TimeProvider.System, NullLogger.Instance).RunAsync(stop.Token));
        await engine.MarkReadyAsync(Stop);
        await using var proxy = engine.Connect(EastWest);
        await Eventually.TrueAsync(async () => await ConditionAsync() is "ResolvedRefs False InvalidCertificateRef");
        var told = Assert.Single(await client.ListAllAsync<JsonObject>(Kinds.Event, "shop", new ListOptions(), Stop));
        Assert.Equal((string?)(await client.FindAsync(GatewayEvents.Gateway, "shop", "front", Stop))!["metadata"]!["uid"],
            (string?)told["involvedObject"]!["uid"]);
        await engine.ChangeAsync(_ =>
        {
            var (certificate, key) = TestCa.SelfSignedPair("front");
            rig.Writer.Put("c1", new Secret
            {
                Metadata = new() { Name = "front", Namespace = "shop" },
                Data = new(StringComparer.Ordinal)
                {
                    ["tls.crt"] = Convert.ToBase64String(Encoding.ASCII.GetBytes(certificate)),
                    ["tls.key"] = Convert.ToBase64String(Encoding.ASCII.GetBytes(key))
                },
            });
            return true;
        }, Stop);
        await Eventually.TrueAsync(async () => await ConditionAsync() is null);
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => running);

        async Task<string?> ConditionAsync() =>
            (await client.FindAsync(GatewayEvents.Gateway, "shop", "front", Stop))!["status"]?["conditions"]?.AsArray().FirstOrDefault() is { } condition
                ? $"{condition["type"]} {condition["status"]} {condition["reason"]}"
                : null;
    }

    private const string Front = """
        apiVersion: networking.istio.io/v1
        kind: Gateway
        metadata: {name: front, namespace: shop}
        spec: {selector: {app: eastwest}, servers: [{port: {number: 15443, name: https, protocol: HTTPS}, hosts: [shop.example], tls: {mode: SIMPLE, credentialName: front}}]}
        """;

    private static ProxyIdentity EastWest => new(ProxyKind.Router, "eastwest-0", "shop", "shop.svc.cluster.local", "c1", "net-c1", ["net-c1"],
        [Address.Parse("10.244.0.99")],
        default, "eastwest", "eastwest", "node", "NONE", false, false, "", "", Locality.Unknown) { Proof = new(new("c1", "shop", "eastwest"), "") };

    [Fact]
    public async Task A_gateway_reports_which_Gateways_it_serves_with_certificates()
    {
        var rig = new MeshRig("c1");
        rig.EastWest("c1", "172.18.201.1");
        foreach (var (name, tls) in (ReadOnlySpan<(string, string)>)[("front", "mode: SIMPLE, credentialName: front"),
            ("files", "mode: SIMPLE, serverCertificate: /a, privateKey: /b")])
        {
            rig.Config($$"""
                apiVersion: networking.istio.io/v1
                kind: Gateway
                metadata: {name: {{name}}, namespace: shop}
                spec: {selector: {app: eastwest}, servers: [{port: {number: 15443, name: https, protocol: HTTPS}, hosts: [{{name}}.example], tls: { {{tls}} } }]}
                """);
        }
        var proxy = rig.Router("c1", "eastwest");
        rig.Push();
        Assert.Equal(["shop/front"], proxy.Served.Gateways);
        Assert.Equal("Gateway shop/front", Assert.Single(proxy.Served.Problems).Object);
        await proxy.DisposeAsync();
    }

    [Fact]
    public async Task The_log_names_the_problem_and_its_end()
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Stop);
        var log = new Recorder();
        var rig = new MeshRig("c1");
        rig.EastWest("c1", "172.18.201.1");
        rig.Config(Front);
        var engine = new PushEngine(rig.Writer, new(TimeSpan.FromMilliseconds(1), TimeSpan.FromSeconds(1)), TimeProvider.System, log);
        var running = engine.RunAsync(stop.Token);
        await engine.MarkReadyAsync(stop.Token);
        var proxy = engine.Connect(EastWest);
        await UntilAsync(log, "Warning Gateway shop/front: spec.servers[0].tls.credentialName: Referenced credentialName not found: \"front\"");
        await proxy.DisposeAsync();
        await UntilAsync(log, "Information Gateway shop/front spec.servers[0].tls.credentialName: no connected gateway reports a problem anymore");
        await stop.CancelAsync();
        await running;
    }

    private static Task UntilAsync(Recorder log, string line) =>
        Eventually.TrueAsync(() => log.Lines.Any(found => found.StartsWith(line, StringComparison.Ordinal)));

    private sealed class Recorder : ILogger<PushEngine>
    {
        internal ConcurrentQueue<string> Lines { get; } = [];

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            Lines.Enqueue($"{logLevel} {formatter(state, exception)}");
    }
}

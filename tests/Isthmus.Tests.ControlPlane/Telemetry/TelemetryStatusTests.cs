using System.Text.Json.Nodes;
using Isthmus.ControlPlane.Push;
using Isthmus.ControlPlane.Statuses;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Resolve;
using Isthmus.Rigs.Mesh;
using Isthmus.Rigs.Servers;
using Isthmus.Testing;
using Isthmus.Wire.Reports;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Telemetry;

/// <summary>How people learn that a provider which a Telemetry names does not work.</summary>
public sealed class TelemetryStatusTests(RunningApiServer server) : IClassFixture<RunningApiServer>
{
    private const string Providers = """
        extensionProviders:
        - {name: spans, zipkin: {service: gone.example, port: 9411}}
        - {name: lines, envoyOtelAls: {service: web.example, port: 4317}}
        - {name: entries, envoyHttpAls: {service: web.example, port: 80}}
        - {name: idle, opentelemetry: {service: idle.example, port: 80}}
        - {name: outside, opentelemetry: {service: outside.example, port: 80}}
        """;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("tracing: [{providers: [{name: nowhere}]}]", "spec.tracing[0].providers[0].name", "Referenced provider not found: \"nowhere\"")]
    [InlineData("tracing: [{providers: [{name: spans}]}]", "spec.tracing[0].providers[0].name", "gone.example, port 9411, which the mesh does not know")]
    [InlineData("tracing: [{providers: [{name: nowhere}], disableSpanReporting: true}]", "", "")]
    [InlineData("accessLogging: [{providers: [{name: envoy}, {name: nowhere}]}]", "spec.accessLogging[0].providers[1].name",
        "Referenced provider not found: \"nowhere\"")]
    [InlineData("accessLogging: [{providers: [{name: lines}]}]", "spec.accessLogging[0].providers[0].name",
        "web.example, port 4317, which the mesh does not know")]
    [InlineData("accessLogging: [{providers: [{name: entries}]}]", "", "")]
    [InlineData("tracing: [{providers: [{name: idle}]}]", "spec.tracing[0].providers[0].name",
        "the provider \"idle\" has the service idle.example, of which no endpoint is ready")]
    [InlineData("tracing: [{providers: [{name: outside}]}]", "", "")]
    [InlineData("metrics: [{providers: [{name: spans}]}]", "spec.metrics[0].providers[0].name", "is not Prometheus")]
    [InlineData("metrics: [{providers: [{name: prometheus}]}]", "", "")]
    public void Providers_that_cannot_work_are_named_with_their_field(string spec, string path, string message)
    {
        var rig = Mesh(spec);
        var missing = rig.Writer.Mesh.Sources.Telemetries.Items.Values.SelectMany(telemetry => TelemetryReferences.Missing(telemetry, rig.Writer.Mesh.View()))
            .ToList();
        if (path.Length == 0)
        {
            Assert.Empty(missing);
            return;
        }
        var problem = Assert.Single(missing);
        Assert.Equal(("IST0101", "Telemetry shop/all", path), (problem.Code, problem.Object, problem.Path));
        Assert.Contains(message, problem.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_status_of_a_Telemetry_says_so_for_as_long_as_it_is_true()
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Stop);
        using var client = new KubeClient(server.Access);
        await StoreAsync(client);
        var rig = Mesh("accessLogging: [{providers: [{name: nowhere}]}]");
        var engine = new PushEngine(rig.Writer, PushSettings.Default, TimeProvider.System, NullLogger<PushEngine>.Instance);
        var running = engine.RunAsync(stop.Token);
        var status = new TelemetryStatus(client, engine, TimeProvider.System, NullLogger.Instance);
        await status.UpdateAsync(Stop);
        Assert.Null((await client.FindAsync(TelemetryStatus.Telemetry, "shop", "all", Stop))!["status"]);
        await engine.MarkReadyAsync(Stop);
        await status.UpdateAsync(Stop);
        var condition = Assert.Single((await client.FindAsync(TelemetryStatus.Telemetry, "shop", "all", Stop))!["status"]!["conditions"]!.AsArray())!;
        Assert.Equal(("ResolvedRefs", "False", "ProviderNotFound"), ((string?)condition["type"], (string?)condition["status"], (string?)condition["reason"]));
        Assert.StartsWith("IST0101 spec.accessLogging[0].providers[0].name: Referenced provider not found: \"nowhere\"", (string?)condition["message"],
            StringComparison.Ordinal);
        await engine.ChangeAsync(writer =>
        {
            var (key, telemetry) = writer.Mesh.Sources.Telemetries.Items.Single();
            writer.Mesh.Sources.Telemetries.Put(key, telemetry with { Logging = default });
            return true;
        }, Stop);
        await status.UpdateAsync(Stop);
        Assert.Empty((await client.FindAsync(TelemetryStatus.Telemetry, "shop", "all", Stop))!["status"]!["conditions"]!.AsArray());
        await stop.CancelAsync();
        await running;
    }

    /// <summary>API servers store what a webhook that was away did not see. The control plane is told of changes, and does not look for them.</summary>
    [Fact]
    public async Task The_status_follows_changes_and_names_filters_that_do_not_compile()
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Stop);
        using var client = new KubeClient(server.Access);
        await StoreAsync(client);
        var rig = Mesh("accessLogging: [{filter: {expression: response.code >= 400}}]");
        var engine = new PushEngine(rig.Writer, PushSettings.Default, TimeProvider.System, NullLogger<PushEngine>.Instance);
        var status = new TelemetryStatus(client, engine, TimeProvider.System, NullLogger.Instance);
        var invalid = new InvalidObjects(client, "c1", engine, TimeProvider.System, NullLogger.Instance);
        var running = Task.WhenAll(engine.RunAsync(stop.Token), status.RunAsync(stop.Token), invalid.RunAsync(stop.Token));
        await engine.MarkReadyAsync(Stop);
        await ChangeAsync("accessLogging: [{filter: {expression: response.cod >= 400}, providers: [{name: nowhere}]}]");
        // The last good version is in force, and its providers exist.
        await UntilAsync(["Accepted False Invalid IST0106 spec.accessLogging[0].filter.expression: \"response.cod >= 400\" cannot select what is logged"]);
        await ChangeAsync("accessLogging: [{providers: [{name: nowhere}]}]");
        await UntilAsync(["ResolvedRefs False ProviderNotFound IST0101 spec.accessLogging[0].providers[0].name: Referenced provider not found"]);
        await ChangeAsync("accessLogging: [{providers: [{name: envoy}]}]");
        await UntilAsync([]);
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => running);

        Task ChangeAsync(string spec) => engine.ChangeAsync(_ =>
        {
            rig.Config(Object(spec));
            return true;
        }, Stop);

        Task UntilAsync(string[] expected) => Eventually.TrueAsync(async () =>
        {
            var found = ((await client.FindAsync(TelemetryStatus.Telemetry, "shop", "all", Stop))!["status"]?["conditions"]?.AsArray() ?? [])
                .Select(condition => $"{condition!["type"]} {condition["status"]} {condition["reason"]} {condition["message"]}").ToList();
            return found.Count == expected.Length && found.Zip(expected).All(pair => pair.First.StartsWith(pair.Second, StringComparison.Ordinal));
        }, $"conditions: {string.Join("; ", expected)}");
    }

    /// <summary>Each control plane knows only its own proxies: none may take back what another one says.</summary>
    [Fact]
    public async Task The_status_says_what_proxies_lose_for_as_long_as_one_does()
    {
        var clock = new ManualClock();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Stop);
        using var client = new KubeClient(server.Access);
        await StoreAsync(client);
        var engines = await Task.WhenAll(Enumerable.Range(0, 2).Select(async number =>
        {
            var engine = new PushEngine(Mesh("accessLogging: [{providers: [{name: entries}]}]").Writer, PushSettings.Default, clock,
                NullLogger<PushEngine>.Instance);
            _ = engine.RunAsync(stop.Token);
            await engine.MarkReadyAsync(Stop);
            return engine;
        }));
        var (one, other) = (new LossStatus(client, engines[0], clock, NullLogger.Instance), new LossStatus(client, engines[1], clock, NullLogger.Instance));
        Assert.Equal(("", ""), (await AfterAsync(one), await AfterAsync(other)));

        var losing = Proxy(engines[0], "web-1");
        losing.Reported(Loss(TelemetryLoss.Types.Reason.NoEndpoint));
        var said = await AfterAsync(one);
        Assert.StartsWith(
            "Delivered False TelemetryLost ISM1423 spec.accessLogging[0].providers[0].name: access logs do not reach the provider \"entries\" (web.example, "
                + "port 80): it has no ready endpoint (of proxy web-1.shop in c1; counter logs_dropped)",
            said, StringComparison.Ordinal);
        // A number changes all the time; what is wrong does not.
        Proxy(engines[0], "web-2").Reported(Loss(TelemetryLoss.Types.Reason.NoEndpoint));
        Assert.Equal(said, await AfterAsync(one));
        losing.Reported(Loss(TelemetryLoss.Types.Reason.Timeout));
        Assert.Contains("it does not answer in time", said = await AfterAsync(one), StringComparison.Ordinal);

        // The other control plane has nothing to say, or says the same.
        Assert.Equal(said, await AfterAsync(other));
        var elsewhere = Proxy(engines[1], "web-3");
        elsewhere.Reported(Loss(TelemetryLoss.Types.Reason.Timeout));
        Assert.Equal(said, await AfterAsync(other));
        foreach (var proxy in engines[0].Proxies) proxy.Reported(new());
        Assert.Equal("", await AfterAsync(one));
        clock.Advance(SharedCondition.Abandoned);
        Assert.Contains("of proxy web-3.shop in c1", said = await AfterAsync(other), StringComparison.Ordinal);

        // Renewed, it belongs to whoever renews it. One that nobody renews ends.
        clock.Advance(SharedCondition.Renewal);
        Assert.Equal(said, await AfterAsync(other));
        var later = new LossStatus(client, engines[0], clock, NullLogger.Instance);
        Assert.Equal(said, await AfterAsync(later));
        clock.Advance(SharedCondition.Abandoned);
        Assert.Equal("", await AfterAsync(later));
        await stop.CancelAsync();

        async Task<string> AfterAsync(LossStatus status)
        {
            Assert.NotEqual(NextRound.Soon, await status.UpdateAsync(Stop));
            return string.Join('\n',
                ((await client.FindAsync(TelemetryStatus.Telemetry, "shop", "all", Stop))!["status"]?["conditions"]?.AsArray() ?? [])
                    .Select(condition => $"{condition!["type"]} {condition["status"]} {condition["reason"]} {condition["message"]}"));
        }
    }

    /// <summary>As after a restart: the engine is ready only later, and no proxy loses anything any more.</summary>
    [Fact]
    public async Task What_an_earlier_control_plane_said_of_losses_does_not_stay()
    {
        var clock = new ManualClock();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Stop);
        using var client = new KubeClient(server.Access);
        await StoreAsync(client);
        await client.PatchAsync(TelemetryStatus.Telemetry, "shop", "all", JsonNode.Parse("""
            {"status": {"conditions": [
              {"type": "Delivered", "status": "False", "reason": "TelemetryLost", "message": "lost", "lastProbeTime": "2025-12-31T00:00:00Z"}]} }
            """)!.AsObject(), PatchType.Merge, Stop, "status");
        var engine = new PushEngine(Mesh("accessLogging: [{providers: [{name: entries}]}]").Writer, PushSettings.Default, clock,
            NullLogger<PushEngine>.Instance);
        var running = Task.WhenAll(engine.RunAsync(stop.Token), new LossStatus(client, engine, clock, NullLogger.Instance).RunAsync(stop.Token));
        await Eventually.TrueAsync(() => clock.NextDue is not null);
        await engine.MarkReadyAsync(Stop);
        await Eventually.TrueAsync(async () =>
        {
            clock.Advance(TimeSpan.FromSeconds(1));
            return (await client.FindAsync(TelemetryStatus.Telemetry, "shop", "all", Stop))!["status"]!["conditions"]!.AsArray().Count == 0;
        });
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => running);
    }

    [Fact]
    public async Task A_Telemetry_that_a_known_loss_concerns_is_looked_for_again()
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Stop);
        using var client = new KubeClient(server.Access);
        var rig = Mesh("accessLogging: [{providers: [{name: entries}]}]");
        rig.Writer.Mesh.Sources.Telemetries.RemoveWhere(_ => true);
        rig.Push();
        var engine = new PushEngine(rig.Writer, PushSettings.Default, TimeProvider.System, NullLogger<PushEngine>.Instance);
        var running = engine.RunAsync(stop.Token);
        await engine.MarkReadyAsync(Stop);
        Proxy(engine, "web-1").Reported(Loss(TelemetryLoss.Types.Reason.NoEndpoint));
        var status = new LossStatus(client, engine, TimeProvider.System, NullLogger.Instance);
        Assert.Equal(new(SharedCondition.Renewal), await status.UpdateAsync(Stop));
        await stop.CancelAsync();
        await running;
    }

    private static ProxyFeed Proxy(PushEngine engine, string name) => engine.Connect(new MeshRig("c1").Sidecar("c1", name).Proxy);

    private static TelemetryReport Loss(TelemetryLoss.Types.Reason reason) =>
        new()
        {
            Losses =
            {
                new TelemetryLoss { Kind = TelemetryLoss.Types.Kind.Logs, Counter = "logs_dropped", Target = "outbound|80||web.example", Reason = reason }
            }
        };

    private async Task StoreAsync(KubeClient client)
    {
        const string Path = "/apis/telemetry.istio.io/v1/namespaces/shop/telemetries";
        foreach (var (kind, item) in ((ResourceKind, JsonObject)[])[(Kinds.CustomResourceDefinition, IstioCrds.Of(MeshApi.Telemetry)),
            (Kinds.Namespace, JsonNode.Parse("""{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"} }""")!.AsObject())])
        {
            if (await client.FindAsync(kind, null, item["metadata"]!["name"]!.ToString(), Stop) is null) await client.CreateAsync(kind, item, Stop);
        }
        await server.SendAsync("DELETE", $"{Path}/all");
        // The kind is served a moment later.
        await Eventually.TrueAsync(async () => (await server.SendAsync("POST", Path,
            """{"apiVersion": "telemetry.istio.io/v1", "kind": "Telemetry", "metadata": {"name": "all"}, "spec": {} }""")).Code != 404);
    }

    private static string Object(string spec) => $$"""
        apiVersion: telemetry.istio.io/v1
        kind: Telemetry
        metadata: {name: all, namespace: shop}
        spec: { {{spec}} }
        """;

    private static MeshRig Mesh(string spec)
    {
        var rig = new MeshRig("c1");
        rig.Settings(Providers);
        rig.Config("""
            apiVersion: networking.istio.io/v1
            kind: ServiceEntry
            metadata: {name: web, namespace: shop}
            spec: {hosts: [web.example], resolution: STATIC, ports: [{number: 80, name: grpc, protocol: GRPC}], endpoints: [{address: 10.9.9.9}]}
            ---
            apiVersion: networking.istio.io/v1
            kind: ServiceEntry
            metadata: {name: idle, namespace: shop}
            spec: {hosts: [idle.example], resolution: STATIC, ports: [{number: 80, name: grpc, protocol: GRPC}]}
            ---
            apiVersion: networking.istio.io/v1
            kind: ServiceEntry
            metadata: {name: outside, namespace: shop}
            spec: {hosts: [outside.example], resolution: DNS, ports: [{number: 80, name: grpc, protocol: GRPC}]}
            """);
        rig.Config(Object(spec));
        rig.Push();
        return rig;
    }
}

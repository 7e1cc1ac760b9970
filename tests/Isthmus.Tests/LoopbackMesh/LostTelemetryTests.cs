using System.Net;
using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Mesh.Config;
using Isthmus.Operate.Diagnose;
using Isthmus.Operate.Diagnose.Analysis;
using Isthmus.Operate.Install;
using Isthmus.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;
using Xunit;

namespace Isthmus.Tests.LoopbackMesh;

/// <summary>A collector that is away, from the proxy that cannot reach it to whoever looks for the spans.</summary>
[Collection(nameof(SharedLoopbackMesh))]
public sealed class LostTelemetryTests(LoopbackMeshRig mesh)
{
    private const string Namespace = "losing", System = WellKnown.SystemNamespace;

    private static readonly ResourceKind Telemetry = Manifests.ResourceOf(MeshApi.Telemetry);

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_collector_that_is_away_is_told_until_it_is_back()
    {
        using var port = new ReservedPort();
        var settings = (await mesh.Client("cluster1").GetAsync(Kinds.ConfigMap, System, "istio", Stop))["data"]!["mesh"]!.ToString();
        await SetAsync(WithProvider(settings, new JsonObject
        {
            ["name"] = "losing-spans", ["opentelemetry"] = new JsonObject { ["service"] = "collector.losing.example", ["port"] = 4317 },
        }));
        await mesh.ApplyAsync("cluster1", Objects(port.Number, "tracing: [{providers: [{name: losing-spans}], randomSamplingPercentage: 100}]"));
        try
        {
            IPAddress? address = null;
            await mesh.UntilAsync(() => Task.FromResult($"{address = Ready()}"), found => found.Length > 0, "the workload is ready");
            using var http = new HttpClient(new SocketsHttpHandler { UseProxy = false });
            await AllAsync(lost: true);

            // What runs is part of a pack, too. Without requests, there is nothing to lose after a while.
            await mesh.UntilAsync(async () =>
            {
                await CallAsync();
                var pack = await mesh.PackAsync(mesh.Access("cluster1"));
                var packed = Analysis.Run([await new InventoryReader(System, proxies: 200).ReadAsync("cluster1", pack.Access("cluster1"), Stop)]);
                return string.Join('\n',
                    packed.Where(finding => finding.Problem.Code == OwnCodes.TelemetryLost.Code).Select(finding => finding.Problem.Object));
            }, found => found.Split('\n').Contains($"Telemetry {Namespace}/all"), "the pack says so");

            await using var collector = await CollectorAsync(port.Number);
            await AllAsync(lost: false);

            // Each look follows a request, of which there is a span.
            Task AllAsync(bool lost) => mesh.UntilAsync(async () =>
            {
                await CallAsync();
                // The commands read whole clusters, so they wait for the status.
                var status = await StatusAsync();
                return IsSo(lost, status) ? string.Join('\n', status, await AnalyzedAsync(), await VerifiedAsync(), await PageAsync()) : $"status: {status}";
            }, text => text.Split('\n') is { Length: 4 } lines && lines.All(line => IsSo(lost, line)),
            lost ? "status, analyze, verify and the debug page say so" : "nobody says so anymore");

            async Task CallAsync()
            {
                using var answer = await http.GetAsync(new Uri($"http://{address}:5000/hello"), Stop);
                Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
            }

            static bool IsSo(bool lost, string line) => lost ? line.Contains(IsLost, StringComparison.Ordinal) : line.Length == 0;
        }
        finally
        {
            await EndAsync(settings);
        }
    }

    /// <summary>The folder of the file does not exist in the container.</summary>
    [Fact]
    public async Task An_access_log_that_cannot_be_written_is_told_until_it_can()
    {
        var settings = (await mesh.Client("cluster1").GetAsync(Kinds.ConfigMap, System, "istio", Stop))["data"]!["mesh"]!.ToString();
        await SetAsync(WithProvider(settings, new JsonObject
        {
            ["name"] = "losing-lines", ["envoyFileAccessLog"] = new JsonObject { ["path"] = "/var/log/nowhere/access.log" },
        }));
        await mesh.ApplyAsync("cluster1", Objects(1, "accessLogging: [{providers: [{name: losing-lines}]}]"));
        try
        {
            IPAddress? address = null;
            await mesh.UntilAsync(() => Task.FromResult($"{address = Ready()}"), found => found.Length > 0, "the workload is ready");
            using var http = new HttpClient(new SocketsHttpHandler { UseProxy = false });
            // A loss is over two seconds after the last line, and a look at whole clusters may take longer.
            using var enough = CancellationTokenSource.CreateLinkedTokenSource(Stop);
            var calls = CallAsync(http, new Uri($"http://{address}:5000/hello"), enough.Token);
            Task UntilAsync(Func<string, bool> holds, string what) =>
                mesh.UntilAsync(async () => string.Join('\n', await AnalyzedAsync(), await VerifiedAsync()), holds, what);
            await UntilAsync(text => text.Split('\n').All(line => line.StartsWith($"Pod {Namespace}/web-", StringComparison.Ordinal)
                && line.Contains("lines of its access log are not written", StringComparison.Ordinal)), "analyze and verify say so");
            await mesh.Client("cluster1").DeleteAsync(Telemetry, Namespace, "all", Stop);
            await UntilAsync(text => text == "\n", "nobody says so anymore");
            await enough.CancelAsync();
            await calls;
        }
        finally
        {
            await EndAsync(settings);
        }
    }

    private static async Task CallAsync(HttpClient http, Uri target, CancellationToken enough)
    {
        try
        {
            for (; ; await Task.Delay(TimeSpan.FromMilliseconds(200), enough))
            {
                try
                {
                    (await http.GetAsync(target, enough)).Dispose();
                }
                catch (HttpRequestException)
                {
                    // A listener that changes may end a connection. Without any call, nothing would be lost, and the test fails.
                }
            }
        }
        catch (OperationCanceledException)
        {
        }
    }

    /// <summary>The next test has a namespace of that name.</summary>
    private async Task EndAsync(string settings)
    {
        var client = mesh.Client("cluster1");
        await client.DeleteAsync(Kinds.Namespace, null, Namespace, Stop);
        await SetAsync(settings);
        await mesh.UntilAsync(async () => $"{await client.FindAsync(Kinds.Namespace, null, Namespace, Stop)}", found => found.Length == 0,
            "the namespace is gone");
    }

    private const string IsLost =
        "spans do not reach the provider \"losing-spans\" (collector.losing.example, port 4317): it cannot be connected to, or closes connections (of proxy "
            + "web-";

    private IPAddress? Ready()
    {
        try
        {
            return mesh.Pod("cluster1", Namespace, "web") is { IsReady: true } pod ? pod.Address : null;
        }
        catch (InvalidOperationException)
        {
            return null; // It is not scheduled yet.
        }
    }

    private async Task<string> StatusAsync() =>
        ((await mesh.Client("cluster1").GetAsync(Telemetry, Namespace, "all", Stop))["status"]?["conditions"] as JsonArray ?? [])
            .Where(condition => condition!["type"]?.ToString() == "Delivered").Select(condition => condition!["message"]!.ToString()).FirstOrDefault("");

    private async Task<string> AnalyzedAsync() =>
        (await mesh.AnalyzeAsync()).Where(finding => finding.Problem.Code == OwnCodes.TelemetryLost.Code).Select(finding => finding.Problem.ToString())
            .FirstOrDefault("");

    private async Task<string> VerifiedAsync() =>
        (await mesh.VerifyAsync()).Where(problem => problem.Code == OwnCodes.TelemetryLost.Code).Select(problem => problem.ToString()).FirstOrDefault("");

    private async Task<string> PageAsync() =>
        (await new MeshQuery(mesh.Client("cluster1"), System).ProblemsAsync(Stop)).Where(problem => problem.Object == $"Telemetry {Namespace}/all")
            .Select(problem => problem.Message).FirstOrDefault("");

    private Task SetAsync(string text) =>
        mesh.PatchAsync("cluster1", Kinds.ConfigMap, System, "istio", new() { ["data"] = new JsonObject { ["mesh"] = text } });

    private static string WithProvider(string settings, JsonObject provider)
    {
        var config = (JsonObject)YamlText.Parse(settings, "mesh")!;
        var providers = config["extensionProviders"] as JsonArray ?? [];
        config["extensionProviders"] = new JsonArray([.. providers.Select(item => item!.DeepClone()), provider]);
        return YamlText.Print(config);
    }

    private static async Task<WebApplication> CollectorAsync(int port)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(options => options.Listen(IPAddress.Loopback, port, listen => listen.Protocols = HttpProtocols.Http2));
        var app = builder.Build();
        app.Run(context =>
        {
            context.Response.ContentType = "application/grpc";
            context.Response.AppendTrailer("grpc-status", "0");
            return context.Response.Body.WriteAsync(new byte[5], context.RequestAborted).AsTask();
        });
        await app.StartAsync(Stop);
        return app;
    }

    private static string Objects(int port, string telemetry) => $$"""
        apiVersion: v1
        kind: Namespace
        metadata: {name: {{Namespace}}, labels: {istio-injection: enabled} }
        ---
        apiVersion: networking.istio.io/v1
        kind: ServiceEntry
        metadata: {name: collector, namespace: {{Namespace}} }
        spec:
          hosts: [collector.losing.example]
          resolution: STATIC
          ports: [{number: 4317, name: grpc, protocol: GRPC, targetPort: {{port}} }]
          endpoints: [{address: 127.0.0.1}]
        ---
        apiVersion: telemetry.istio.io/v1
        kind: Telemetry
        metadata: {name: all, namespace: {{Namespace}} }
        spec: { {{telemetry}} }
        ---
        apiVersion: v1
        kind: Service
        metadata: {name: web, namespace: {{Namespace}} }
        spec: {selector: {app: web}, ports: [{name: http, port: 5000}]}
        ---
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: web, namespace: {{Namespace}} }
        spec:
          selector: {matchLabels: {app: web} }
          template:
            metadata: {labels: {app: web} }
            spec: {containers: [{name: web, image: "docker.io/istio/examples-helloworld-v1:1.0", ports: [{containerPort: 5000}]}]}
        """;
}

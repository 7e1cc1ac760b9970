using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Spoken;
using Xunit;

namespace Isthmus.Tests.LoopbackMesh;

/// <summary>An application with TLS of its own on a port that is named http, from the proxy that cannot read what clients say to whoever asks.</summary>
[Collection(nameof(SharedLoopbackMesh))]
public sealed class SpokenPortTests(LoopbackMeshRig mesh)
{
    private const string Namespace = "misnamed";

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task TLS_on_a_port_named_http_is_told_while_clients_try_and_until_the_port_says_so()
    {
        await mesh.ApplyAsync("cluster1", Objects);
        try
        {
            IPAddress? address = null;
            await mesh.UntilAsync(() => Task.FromResult($"{address = Ready()}"), found => found.Length > 0, "the workload is ready");
            await using (Calls(address!))
            {
                Assert.StartsWith("is declared HTTP, and clients speak TLS there: ", await FoundAsync(is1480: true), StringComparison.Ordinal);
                Assert.Contains(await mesh.VerifyAsync(), problem => IsIt(problem.Object, problem.Code));
            }
            await FoundAsync(is1480: false);

            // The remedy.
            await using (Calls(address!))
            {
                await FoundAsync(is1480: true);
                await mesh.PatchAsync("cluster1", Kinds.Service, Namespace, "web", new()
                {
                    ["spec"] = new JsonObject { ["ports"] = new JsonArray(new JsonObject { ["name"] = "http", ["port"] = 8443, ["appProtocol"] = "https" }) },
                });
                await mesh.UntilAsync(async () => $"{await CallAsync(address!)}", answer => answer == "True", "clients get through");
                await FoundAsync(is1480: false);
            }
        }
        finally
        {
            await mesh.Client("cluster1").DeleteAsync(Kinds.Namespace, null, Namespace, Stop);
        }
    }

    private Task<string> FoundAsync(bool is1480) => mesh.UntilAsync(
        async () => (await mesh.AnalyzeAsync()).Where(finding => IsIt(finding.Problem.Object, finding.Problem.Code) && finding.Cluster == "cluster1")
            .Select(finding => finding.Problem.Message).FirstOrDefault(""),
        message => is1480 ? message.Length > 0 : message.Length == 0, is1480 ? "analyze says so" : "analyze does not say so anymore");

    private static bool IsIt(string name, string code) => (name, code) == ($"Service {Namespace}/web", SpokenProblems.Code);

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

    /// <summary>Calls until it is disposed of.</summary>
    private static Clients Calls(IPAddress address) => new(address);

    /// <summary>Whether a client outside of the mesh gets through.</summary>
    private static async Task<bool> CallAsync(IPAddress address)
    {
        try
        {
            using var client = new TcpClient();
            await client.ConnectAsync(address, 8443, Stop);
            await using var tls = new SslStream(client.GetStream(), false, (_, _, _, _) => true);
            await tls.AuthenticateAsClientAsync(new SslClientAuthenticationOptions { TargetHost = "web" }, Stop);
            return true;
        }
        catch (Exception e) when (e is IOException or AuthenticationException or SocketException)
        {
            return false;
        }
    }

    private sealed class Clients : IAsyncDisposable
    {
        private readonly CancellationTokenSource _end = new();
        private readonly Task _calls;

        internal Clients(IPAddress address) => _calls = Task.Run(async () =>
        {
            while (!_end.IsCancellationRequested)
            {
                await CallAsync(address);
                await Task.Delay(50, Stop);
            }
        }, Stop);

        public async ValueTask DisposeAsync()
        {
            await _end.CancelAsync();
            await _calls;
            _end.Dispose();
        }
    }

    private const string Objects = $$"""
        apiVersion: v1
        kind: Namespace
        metadata: {name: {{Namespace}}, labels: {istio-injection: enabled} }
        ---
        apiVersion: v1
        kind: Service
        metadata: {name: web, namespace: {{Namespace}} }
        spec: {selector: {app: web}, ports: [{name: http, port: 8443}]}
        ---
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: web, namespace: {{Namespace}} }
        spec:
          selector: {matchLabels: {app: web} }
          template:
            metadata: {labels: {app: web} }
            spec: {containers: [{name: web, image: own-tls, args: ["8443"]}]}
        """;
}

using System.Text;
using System.Text.Json.Nodes;
using Isthmus.ControlPlane.Ca;
using Isthmus.ControlPlane.Clusters;
using Isthmus.Graph.Intake;
using Isthmus.ControlPlane.Running;
using Isthmus.Graph.Settings;
using Isthmus.Core.Names;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Rigs.Servers;
using Isthmus.Testing;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Clusters;

/// <summary>Remote secrets that appear and change, against an API server. The remote cluster is the same one.</summary>
public sealed class ClusterSetTests : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);
    private readonly LoopbackCluster _cluster = new();

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public ValueTask DisposeAsync() => _cluster.DisposeAsync();

    [Fact]
    public async Task Credentials_that_never_worked_do_not_hold_up_the_end()
    {
        var client = await _cluster.StartAsync();
        await client.CreateAsync(Kinds.Namespace, null,
            new JsonObject { ["apiVersion"] = "v1", ["kind"] = "Namespace", ["metadata"] = new JsonObject { ["name"] = "istio-system" } }, Stop);
        await client.CreateAsync(Kinds.Secret, "istio-system", Secret(client.Access, client.Access.Server), Stop);
        await RunAsync(client, new() { ClusterId = "own" }, async report =>
        {
            await Eventually.TrueAsync(() => report.Lines() is [{ Status: "synced" }]);
            await client.PatchAsync(Kinds.Secret, "istio-system", "remote", Secret(client.Access, new("https://127.0.0.1:1")), PatchType.Merge, Stop);
            await Eventually.TrueAsync(() => report.Lines() is [{ Status: "synced", Error: var error }]
                && error.Contains("the previous ones stay in effect: https://127.0.0.1:1/ cannot be reached: connection refused", StringComparison.Ordinal));
        });
    }

    [Fact]
    public async Task Files_name_clusters_in_the_place_of_Secrets()
    {
        var client = await _cluster.StartAsync();
        await client.CreateAsync(Kinds.Namespace, null,
            new JsonObject { ["apiVersion"] = "v1", ["kind"] = "Namespace", ["metadata"] = new JsonObject { ["name"] = "istio-system" } }, Stop);
        await client.CreateAsync(Kinds.Secret, "istio-system", Secret(client.Access, client.Access.Server), Stop);
        var folder = Directory.CreateTempSubdirectory("isthmus-kubeconfigs");
        try
        {
            var file = Path.Combine(folder.FullName, "west.yaml");
            File.WriteAllText(file, Kubeconfig(client.Access, client.Access.Server));
            await RunAsync(client, new() { ClusterId = "own", RemoteKubeconfigs = folder.FullName }, async report =>
            {
                await Eventually.TrueAsync(() => report.Lines() is [{ Id: "c", Status: "synced", Secret: var secret }] && secret == file);
                File.WriteAllText(file, "no kubeconfig");
                await Eventually.TrueAsync(() => report.Lines().Any(line => line is { Id: "c", Status: "synced" })
                    && report.Lines().Any(line => line is { Id: "c", Status: "invalid" }));
                File.Delete(file);
                await Eventually.TrueAsync(() => report.Lines().Count == 0);
            });
        }
        finally { folder.Delete(recursive: true); }
    }

    private static async Task RunAsync(KubeClient client, DiscoverySettings settings, Func<ClusterReport, Task> use)
    {
        var time = TimeProvider.System;
        var ca = new CaState(client, settings.Namespace, () => "cluster.local", time, NullLogger<CaState>.Instance);
        await using var tasks = new Supervisor(time, new Random(1), NullLogger<Supervisor>.Instance);
        var managed = new ManagedRemotes(settings, _ => throw new NotSupportedException(), tasks, time, NullLogger<ManagedRemotes>.Instance);
        var mesh = new WatchedMesh(new(new MeshKinds(settings.MultiCluster, "istio", "default", NullLogger<MeshKinds>.Instance), settings.Namespace),
            new NoObjects(), tasks, time);
        var clusters = new ClusterSet(settings, mesh.Watch(new(settings.ClusterId, "", client.Access), 0), client, mesh, time, NullLogger<ClusterSet>.Instance);
        var report = new ClusterReport(clusters, new(ca, settings.Namespace, time), managed, time);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Stop);
        var run = clusters.RunAsync(stop.Token);
        await use(report);
        await stop.CancelAsync();
        await run.WaitAsync(Patience, Stop);
        await clusters.DisposeAsync().AsTask().WaitAsync(Patience, Stop);
    }

    private static JsonObject Secret(ClusterAccess access, Uri server) => new()
    {
        ["apiVersion"] = "v1",
        ["kind"] = "Secret",
        ["metadata"] = new JsonObject { ["name"] = "remote", ["labels"] = new JsonObject { [Labels.MultiCluster] = "true" } },
        ["data"] = new JsonObject
        {
            ["remote"] = Base64(Kubeconfig(access, server)),
        },
    };

    private static string Kubeconfig(ClusterAccess access, Uri server) => $$$"""
        current-context: c
        contexts: [{name: c, context: {cluster: c, user: c}}]
        clusters: [{name: c, cluster: {server: "{{{server}}}", certificate-authority-data: {{{Base64(access.CertificateAuthority!)}}} }}]
        users: [{name: c, user: {client-certificate-data: {{{Base64(access.ClientCertificate!)}}}, client-key-data: {{{Base64(access.ClientKey!)}}} }}]
        """;

    private static string Base64(string text) => Convert.ToBase64String(Encoding.UTF8.GetBytes(text));
}

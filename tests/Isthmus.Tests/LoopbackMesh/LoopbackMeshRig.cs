using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Lab.ApiServer.Auth;
using Isthmus.Lab.ApiServer.Pki;
using Isthmus.Lab.Controllers;
using Isthmus.Lab.Controllers.Framework;
using Isthmus.Operate.Diagnose;
using Isthmus.Operate.Diagnose.Analysis;
using Isthmus.Operate.Diagnose.Packing;
using Isthmus.Operate.Install;
using Isthmus.Operate.MeshFile;
using Isthmus.Operate.RemoteSecrets;
using Isthmus.Quickstart;
using Isthmus.Rigs.Servers;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.LoopbackMesh;

/// <summary>The mesh of the quickstart in the test process: two clusters on two networks, each with the real API server,
/// controllers, control plane and gateway. Only the node is the test's own, so Pods have no namespaces and no kernel of
/// their own.</summary>
public sealed class LoopbackMeshRig : IAsyncLifetime
{
    internal static readonly string[] Clusters = ["cluster1", "cluster2"];
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(150);
    private const int MostAttempts = 5;

    private readonly string _folder = Directory.CreateTempSubdirectory("isthmus-loopback-mesh-").FullName;
    private readonly LoopbackRange _range = LoopbackRange.Reserve();
    private readonly TunnelProxy _proxy = new();
    private readonly List<Cluster> _clusters = [];

    private TraceRun? _trace;

    internal string Kubeconfig => Path.Combine(_folder, "kubeconfig");

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        foreach (var name in Clusters) _clusters.Add(new(name, _range, _clusters.Count + 1));
        await Task.WhenAll(_clusters.Select(cluster => cluster.StartAsync(Stop)));
        var config = new JsonObject
        {
            ["apiVersion"] = "v1", ["kind"] = "Config", ["current-context"] = Clusters[0], ["clusters"] = new JsonArray(), ["contexts"] = new JsonArray(),
            ["users"] = new JsonArray()
        };
        foreach (var cluster in _clusters)
        {
            _proxy.Lead(cluster.HostName, new(System.Net.IPAddress.Loopback, cluster.Client.Access.Server.Port));
            cluster.Describe(config, _proxy.Address);
        }
        await File.WriteAllTextAsync(Kubeconfig, config.ToJsonString(), Stop);
        await InstallAsync();
    }

    public async ValueTask DisposeAsync()
    {
        _trace?.Dispose();
        await Task.WhenAll(_clusters.Select(cluster => cluster.DisposeAsync().AsTask()));
        await _proxy.DisposeAsync();
        _range.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    internal KubeClient Client(string cluster) => _clusters.First(one => one.Name == cluster).Client;

    internal ClusterAccess Access(string cluster) => KubeConfig.Load(Kubeconfig, cluster, _ => null);

    internal LoopbackPod Pod(string cluster, string ns, string app) =>
        _clusters.First(one => one.Name == cluster).Node.Pods.First(pod => pod.Pod.Metadata.Namespace == ns
            && pod.Pod.Metadata.Labels.GetValueOrDefault("app") == app);

    /// <summary>Applies the documents that belong to the cluster: an annotation of a document can name one.</summary>
    internal async Task ApplyAsync(string cluster, string text)
    {
        var documents = text.Split("\n---\n")
            .Where(document => Clusters.All(name => name == cluster || !document.Contains($"in-cluster: {name}", StringComparison.Ordinal)));
        var objects = YamlText.ParseAll(string.Join("\n---\n", documents), "test").OfType<JsonObject>().ToList();
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                await new Applier(Client(cluster), TimeProvider.System).ApplyAsync(objects, Stop);
                return;
            }
            catch (ProblemException e) when (attempt < MostAttempts && e.Message.Contains("context deadline exceeded", StringComparison.Ordinal))
            {
                // The webhook has ten seconds, which is not always enough for a process that has all clusters in it.
            }
        }
    }

    internal Task PatchAsync(string cluster, ResourceKind kind, string? ns, string name,
        JsonObject patch) => Client(cluster).PatchAsync(kind, ns, name, patch, PatchType.Merge, Stop);

    internal Task LabelAsync(string cluster, ResourceKind kind, string? ns, string name, string label, string? value) =>
        PatchAsync(cluster, kind, ns, name, new() { ["metadata"] = new JsonObject { ["labels"] = new JsonObject { [label] = value } } });

    internal Task ScaleAsync(string cluster, string ns, string deployment, int replicas) =>
        PatchAsync(cluster, Kinds.Deployment, ns, deployment, new() { ["spec"] = new JsonObject { ["replicas"] = replicas } });

    /// <summary>An object as it can be created again.</summary>
    internal static JsonObject Anew(JsonObject value)
    {
        var copy = (JsonObject)value.DeepClone();
        foreach (var field in (string[])["resourceVersion", "uid", "creationTimestamp", "managedFields"]) copy["metadata"]!.AsObject().Remove(field);
        return copy;
    }

    /// <summary>Follows a call that a workload in cluster1 makes, as <c>isthmus trace</c> does.</summary>
    /// <param name="seconds">How long the call may take.</param>
    internal async Task<CallTrace> TraceAsync(string caller, string ns, string target, SentRequest? sent = null, int seconds = 3, int calls = 0)
    {
        // One for all, since its connections stay open.
        _trace ??= new([.. Clusters.Select(Access)], WellKnown.SystemNamespace, TimeProvider.System, new Random());
        return await _trace.RunAsync(new(caller, ns, TraceTarget.Parse(target), true, TimeSpan.FromSeconds(seconds))
        {
            Sent = sent ?? SentRequest.Plain, Calls = calls,
        }, Stop);
    }

    /// <summary>What <c>isthmus verify</c> finds.</summary>
    internal async Task<IEnumerable<Problem>> VerifyAsync() =>
        (await Verification.RunAsync([.. Clusters.Select(Access)], WellKnown.SystemNamespace, TimeProvider.System, Stop)).Checks.Select(check => check.Problem)
            .OfType<Problem>();

    /// <summary>What <c>isthmus analyze</c> finds, with the cluster of each object.</summary>
    internal async Task<IEnumerable<Finding>> AnalyzeAsync()
    {
        var reader = new InventoryReader(WellKnown.SystemNamespace, proxies: 200) { Certificates = true };
        return Analysis.Run(await Task.WhenAll(Clusters.Select(cluster => reader.ReadAsync(cluster, Access(cluster), Stop))));
    }

    /// <summary>Packs the mesh, as <c>isthmus bug-report</c> does.</summary>
    internal async Task<MeshPack> PackAsync(params ClusterAccess[] clusters)
    {
        var file = Path.Combine(_folder, "bug-report.tar.gz");
        var request = new BugReportRequest(Clusters[0], WellKnown.SystemNamespace, PodSelection.Parse([], []), null, TimeSpan.FromMinutes(5), "test");
        await using (var target = File.Create(file))
            await new BugReport(clusters.Length > 0 ? clusters : [.. Clusters.Select(Access)], request, TimeProvider.System, _ => { }).WriteAsync(target, Stop);
        return MeshPack.Open(file);
    }

    /// <summary>What a control plane says about the clusters that it watches: the messages of <c>isthmus
    /// remote-clusters</c>.</summary>
    internal async Task<string> WatchedAsync(string cluster)
    {
        using var client = new KubeClient(Access(cluster));
        var watched = await new MeshQuery(client, WellKnown.SystemNamespace).WatchedAsync(Stop);
        return string.Join('\n', watched.Lines.Select(line => line.Message.Length > 0 ? line.Message : line.Warning));
    }

    /// <summary>Repeats a query until the answer is as expected: changes take a moment to pass between clusters.</summary>
    internal async Task<string> UntilAsync(Func<Task<string>> ask, Func<string, bool> wanted, string what)
    {
        var (text, _) = await Eventually.AnswerAsync(async () =>
        {
            try
            {
                var answer = await ask();
                return (Text: answer, IsWanted: wanted(answer));
            }
            catch (Exception e) when (e is ProblemException or KubeException or HttpRequestException)
            {
                return (Text: e.Message, IsWanted: false);
            }
        }, answer => answer.IsWanted, answer => $"{what}\nthe last answer: {answer.Text}\n{Failures}", Patience);
        return text;
    }

    private string Failures => string.Join('\n', _clusters.SelectMany(cluster => cluster.Node.Failures.Select(failure => $"{cluster.Name}: {failure}")));

    private async Task InstallAsync()
    {
        var mesh = MeshReader.Read(Topologies.Write("multi-primary-multi-network", Clusters.Length, QuickstartMesh.Install()), "mesh.yaml", _folder);
        var (design, trust) = (new MeshDesign(mesh), new MeshTrust(mesh, TimeProvider.System));
        trust.Make();
        try
        {
            await Task.WhenAll(_clusters.Select(cluster => InstallAsync(cluster, mesh.Clusters.First(spec => spec.Name == cluster.Name), design, trust)));
        }
        catch (ProblemException e)
        {
            Assert.Fail($"{e.Message}\n{Failures}");
        }
        foreach (var watch in design.Watches()) await JoinAsync(watch);
        // Tests that change remote secrets expect that the first ones have worked.
        await UntilAsync(async () => string.Join('\n', (await VerifyAsync()).Where(problem => problem.Code is "ISM1020" or "ISM1021")),
            problems => problems.Length == 0, "the control planes watch all clusters");
    }

    private static async Task InstallAsync(Cluster cluster, ClusterSpec spec, MeshDesign design, MeshTrust trust)
    {
        await cluster.Client.ApplyAsync(Kinds.Namespace, design.Namespace(spec), Stop);
        await cluster.Client.ApplyAsync(Kinds.Secret, trust.CaSecret(spec)!, Stop);
        var installer = new Installer(cluster.Client, TimeProvider.System, new Unheard());
        await installer.InstallAsync(design.Installation(spec, ""), Patience, Stop);
        await installer.InstallAsync(design.Gateway(spec), Patience, Stop);
        await new Applier(cluster.Client, TimeProvider.System).ApplyAsync(design.Exposure(spec), Stop);
    }

    private async Task JoinAsync(Watch watch)
    {
        var watched = _clusters.First(cluster => cluster.Name == watch.Watched);
        var server = $"https://{watched.HostName}:6443";
        var text = await new RemoteSecret(watched.Client, TimeProvider.System, _ => { }).MakeAsync(new() { Name = watched.Name, Server = server }, Stop);
        // The indentation is that of the field in the kubeconfig in the Secret.
        var indent = text.Split('\n').First(line => line.Contains("server: ", StringComparison.Ordinal)).Split("server")[0];
        text = text.Replace($"server: {server}", $"server: {server}\n{indent}proxy-url: {_proxy.Address}\n{indent}tls-server-name: {Cluster.CertifiedName}",
            StringComparison.Ordinal);
        await Client(watch.Watcher).ApplyAsync(Kinds.Secret, (JsonObject)YamlText.ParseAll(text, "remote secret")[0], Stop);
    }

    private sealed class Unheard : IInstallProgress
    {
        public void Started(string component)
        {
        }

        public void Finished(string component, TimeSpan took)
        {
        }

        public void Note(string text)
        {
        }
    }

    /// <summary>One cluster: API server, controllers and node.</summary>
    private sealed class Cluster(string name, LoopbackRange range, int number) : IAsyncDisposable
    {
        internal const string CertifiedName = "kubernetes.default.svc";

        private readonly LoopbackCluster _server = new();
        private readonly CancellationTokenSource _stop = new();
        private Task _controllers = Task.CompletedTask;
        private string _admin = "", _adminKey = "";

        internal string Name => name;

        /// <summary>The name at which everything but the own Pods reaches the API server.</summary>
        internal string HostName => $"{name}.test";

        internal KubeClient Client { get; private set; } = null!;

        internal LoopbackNode Node { get; private set; } = null!;

        internal async Task StartAsync(CancellationToken stop)
        {
            Client = await _server.StartAsync(name);
            (_admin, _adminKey) = await _server.Pki.ReadPairAsync(PkiNames.Admin, stop);
            var settings = new ControllerSettings(_server.Pki.CaPem,
                (ns, account, uid, secret) => SecretToken.Mint(_server.Pki.ServiceAccountKey, ns, account, uid, secret),
                $"{range.Address(100 + number, 1)}-{range.Address(100 + number, 20)}")
            {
                NodeGracePeriod = TimeSpan.FromHours(1),
            };
            _controllers = ClusterControllers.RunAsync(Client, settings, _stop.Token);
            Node = new(Client, _server.Folder, last => range.Address(number, last));
            await Node.StartAsync(stop);
        }

        /// <summary>Adds the user's access to a kubeconfig.</summary>
        internal void Describe(JsonObject config, Uri proxy)
        {
            static string Packed(string text) => Convert.ToBase64String(System.Text.Encoding.ASCII.GetBytes(text));
            config["clusters"]!.AsArray().Add((JsonNode)new JsonObject
            {
                ["name"] = name,
                ["cluster"] = new JsonObject
                {
                    ["server"] = $"https://{HostName}:6443", ["proxy-url"] = proxy.ToString(), ["tls-server-name"] = CertifiedName,
                    ["certificate-authority-data"] = Packed(_server.Pki.CaPem)
                },
            });
            config["users"]!.AsArray()
                .Add((JsonNode)new JsonObject
                {
                    ["name"] = name, ["user"] = new JsonObject { ["client-certificate-data"] = Packed(_admin), ["client-key-data"] = Packed(_adminKey) }
                });
            config["contexts"]!.AsArray()
                .Add((JsonNode)new JsonObject { ["name"] = name, ["context"] = new JsonObject { ["cluster"] = name, ["user"] = name } });
        }

        public async ValueTask DisposeAsync()
        {
            await _stop.CancelAsync();
            if (Node is not null) await Node.DisposeAsync();
            await _controllers.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            await _server.DisposeAsync();
            _stop.Dispose();
        }
    }
}

using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Rigs.Servers;

namespace Isthmus.Rigs.Mesh;

/// <summary>What the clusters of a <see cref="LoadedControlPlane"/> hold.</summary>
/// <param name="Endpoints">The endpoints of each service in the control plane's own cluster. In a remote cluster, a service has one.</param>
/// <param name="Pods">Whether each endpoint has a Pod.</param>
/// <param name="Remotes">How many other clusters the control plane watches. Each of them has all services.</param>
/// <param name="Teams">How many namespaces there are beside that of the services.</param>
/// <param name="TeamObject">What each of them holds.</param>
/// <param name="Routed">Whether each service has a VirtualService.</param>
internal sealed record MeshLoad(int Services, int Endpoints, bool Pods = false, int Remotes = 0, int Teams = 0, TeamObject TeamObject = TeamObject.None,
    bool Routed = false);

/// <summary>An object of each team, which concerns the proxies of its namespace only.</summary>
internal enum TeamObject
{
    None,

    /// <summary>A Sidecar that names the namespace of the services.</summary>
    Sidecar,

    /// <summary>A VirtualService for one of the services, with <c>exportTo: .</c>.</summary>
    VirtualService,
}

/// <summary>The real control plane in a process of its own, over a cluster with many services. It listens on its usual
/// ports, so it needs a network of its own.</summary>
internal sealed class LoadedControlPlane : IAsyncDisposable
{
    internal const string Namespace = "shop", Cluster = "load";
    private const string SystemNamespace = "istio-system";

    private readonly LoopbackCluster _cluster = new();
    private readonly List<(LoopbackCluster Cluster, KubeClient Client)> _remotes = [];
    private readonly string _directory = Directory.CreateTempSubdirectory("isthmus-load-").FullName;
    private readonly StringBuilder _log = new();
    private KubeClient _client = null!;
    private Process _process = null!;

    /// <summary>The port that needs no credentials.</summary>
    internal static Uri Address { get; } = new("http://127.0.0.1:15010");

    internal Process Process => _process;

    /// <summary>The API server of its own cluster.</summary>
    internal KubeClient Client => _client;

    /// <summary>The namespace of a team.</summary>
    internal static string Team(int number) => $"team-{number}";

    /// <summary>How long the process took until it was ready.</summary>
    internal TimeSpan ReadyAfter { get; private set; }

    internal string Log
    {
        get { lock (_log) return _log.ToString(); }
    }

    /// <param name="program">The command that starts isthmus.</param>
    /// <param name="heapMegabytes">The limit of the process's heap; 0: none.</param>
    internal static async Task<LoadedControlPlane> StartAsync(string[] program, MeshLoad load, int heapMegabytes, CancellationToken stop)
    {
        var made = new LoadedControlPlane();
        try
        {
            made._client = await made._cluster.StartAsync();
            foreach (var definition in IstioCrds.All) await made._client.CreateAsync(Kinds.CustomResourceDefinition, (JsonObject)definition.DeepClone(), stop);
            await made._client.CreateAsync(Kinds.Namespace, Object("v1", "Namespace", null, SystemNamespace, []), stop);
            await FillAsync(made._client, load, 0, stop);
            for (var team = 0; team < load.Teams; team++) await AddTeamAsync(made._client, load, team, stop);
            for (var remote = 1; remote <= load.Remotes; remote++) await made.JoinAsync(remote, load with { Endpoints = 1 }, stop);
            await made.RunAsync(program, heapMegabytes, stop);
            return made;
        }
        catch
        {
            await made.DisposeAsync();
            throw;
        }
    }

    /// <summary>Replaces the endpoints of one service in one cluster.</summary>
    /// <param name="remote">The number of the remote cluster; 0: the control plane's own.</param>
    internal Task ChangeAsync(int service, string address, CancellationToken stop, int remote = 0) =>
        (remote == 0 ? _client : _remotes[remote - 1].Client)
            .PatchAsync(Kinds.EndpointSlice, Namespace, $"app{service}-1", new JsonObject { ["endpoints"] = new JsonArray(Endpoint(address)) }, PatchType.Merge,
                stop);

    /// <summary>Changes the VirtualService of one service.</summary>
    internal Task RouteAsync(int service, int seconds, CancellationToken stop) => _client.PatchAsync(Resource(MeshApi.VirtualService), Namespace,
        $"app{service}", new JsonObject { ["spec"] = Route(HostOf(service), $"{seconds}s") }, PatchType.Merge, stop);

    public async ValueTask DisposeAsync()
    {
        if (_process is { HasExited: false })
        {
            _process.Kill(entireProcessTree: true);
            await _process.WaitForExitAsync();
        }
        _process?.Dispose();
        await _cluster.DisposeAsync();
        foreach (var (cluster, _) in _remotes) await cluster.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }

    private async Task JoinAsync(int number, MeshLoad load, CancellationToken stop)
    {
        var remote = new LoopbackCluster();
        var client = await remote.StartAsync();
        _remotes.Add((remote, client));
        await FillAsync(client, load, number, stop);
        var name = $"remote{number}";
        var secret = Object("v1", "Secret", SystemNamespace, name, new() { ["stringData"] = new JsonObject { [name] = Kubeconfig(client.Access) } });
        secret["metadata"]!["labels"] = new JsonObject { ["istio/multiCluster"] = "true" };
        await _client.CreateAsync(Kinds.Secret, secret, stop);
    }

    private static async Task FillAsync(KubeClient client, MeshLoad load, int cluster, CancellationToken stop)
    {
        await client.CreateAsync(Kinds.Namespace, Object("v1", "Namespace", null, Namespace, []), stop);
        if (load.Pods) await client.CreateAsync(Kinds.ServiceAccount, Object("v1", "ServiceAccount", Namespace, LoadedPod.Account, []), stop);
        await Parallel.ForAsync(0, load.Services, new ParallelOptions { MaxDegreeOfParallelism = 8, CancellationToken = stop }, async (service, ended) =>
        {
            await client.CreateAsync(Kinds.Service, Object("v1", "Service", Namespace, $"app{service}", new()
            {
                ["spec"] = new JsonObject { ["ports"] = new JsonArray(new JsonObject { ["name"] = "http", ["port"] = 80, ["targetPort"] = 8080 }) },
            }), ended);
            var slice = Object("discovery.k8s.io/v1", "EndpointSlice", Namespace, $"app{service}-1", new()
            {
                ["addressType"] = "IPv4",
                ["endpoints"] = new JsonArray([.. Enumerable.Range(0, load.Endpoints)
                    .Select(i => Endpoint($"10.{100 + i + cluster * 10}.{service / 250}.{service % 250 + 1}",
                        load.Pods ? LoadedPod.NameOf(service, i) : null))]),
                ["ports"] = new JsonArray(new JsonObject { ["name"] = "http", ["port"] = 8080, ["protocol"] = "TCP" }),
            });
            slice["metadata"]!["labels"] = new JsonObject { ["kubernetes.io/service-name"] = $"app{service}" };
            await client.CreateAsync(Kinds.EndpointSlice, slice, ended);
            if (load.Routed) await CreateAsync(client, MeshApi.VirtualService, Namespace, $"app{service}", Route(HostOf(service), "5s"), ended);
            for (var i = 0; load.Pods && i < load.Endpoints; i++) await client.CreateAsync(Kinds.Pod, LoadedPod.Of(Namespace, service, i), ended);
        });
    }

    private static async Task AddTeamAsync(KubeClient client, MeshLoad load, int number, CancellationToken stop)
    {
        var team = Team(number);
        await client.CreateAsync(Kinds.Namespace, Object("v1", "Namespace", null, team, []), stop);
        if (load.TeamObject == TeamObject.Sidecar)
        {
            var hosts = new JsonArray("./*", $"{Namespace}/*");
            await CreateAsync(client, MeshApi.Sidecar, team, "default", new() { ["egress"] = new JsonArray(new JsonObject { ["hosts"] = hosts }) }, stop);
        }
        if (load.TeamObject == TeamObject.VirtualService)
        {
            var spec = Route(HostOf(number % load.Services), "5s");
            spec["exportTo"] = new JsonArray(".");
            await CreateAsync(client, MeshApi.VirtualService, team, "default", spec, stop);
        }
    }

    private static string HostOf(int service) => $"app{service}.{Namespace}.svc.cluster.local";

    /// <summary>The spec of a VirtualService that leads a host to itself.</summary>
    private static JsonObject Route(string host, string timeout) => new()
    {
        ["hosts"] = new JsonArray(host),
        ["http"] = new JsonArray(new JsonObject
        {
            ["timeout"] = timeout, ["route"] = new JsonArray(new JsonObject { ["destination"] = new JsonObject { ["host"] = host } }),
        }),
    };

    private static Task<JsonObject> CreateAsync(KubeClient client, KindDescriptor kind, string ns, string name, JsonObject spec, CancellationToken stop) =>
        client.CreateAsync(Resource(kind), Object($"{kind.Group}/{kind.ReadVersion}", kind.Kind, ns, name, new() { ["spec"] = spec }), stop);

    private static ResourceKind Resource(KindDescriptor kind) => new(kind.Group, kind.ReadVersion, kind.Kind, kind.Plural, true);

    private async Task RunAsync(string[] program, int heapMegabytes, CancellationToken stop)
    {
        var kubeconfig = Path.Combine(_directory, "kubeconfig");
        await File.WriteAllTextAsync(kubeconfig, Kubeconfig(_client.Access), stop);
        var start = new ProcessStartInfo(program[0], [.. program[1..], "discovery"]) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["KUBECONFIG"] = kubeconfig;
        start.Environment["CLUSTER_ID"] = Cluster;
        if (heapMegabytes > 0) start.Environment["DOTNET_GCHeapHardLimit"] = (heapMegabytes * (1L << 20)).ToString("x", CultureInfo.InvariantCulture);
        _process = Process.Start(start) ?? throw new InvalidOperationException("the control plane did not start");
        _process.OutputDataReceived += (_, line) => Take(line.Data);
        _process.ErrorDataReceived += (_, line) => Take(line.Data);
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
        using var http = new HttpClient();
        var begun = Stopwatch.GetTimestamp();
        while (!await IsReadyAsync(http, stop))
        {
            if (_process.HasExited || Stopwatch.GetElapsedTime(begun) > TimeSpan.FromMinutes(1))
                throw new InvalidOperationException($"the control plane did not become ready:\n{Log}");
            await Task.Delay(50, stop);
        }
        ReadyAfter = Stopwatch.GetElapsedTime(begun);
    }

    private static async Task<bool> IsReadyAsync(HttpClient http, CancellationToken stop)
    {
        try
        {
            using var answer = await http.GetAsync(new Uri("http://127.0.0.1:8080/ready"), stop);
            return answer.IsSuccessStatusCode;
        }
        catch (HttpRequestException)
        {
            return false;
        }
    }

    private void Take(string? line)
    {
        if (line is null) return;
        lock (_log) _log.AppendLine(line);
    }

    private static string Kubeconfig(ClusterAccess access)
    {
        static string Packed(string? pem) => Convert.ToBase64String(Encoding.UTF8.GetBytes(pem ?? ""));
        return new JsonObject
        {
            ["apiVersion"] = "v1",
            ["kind"] = "Config",
            ["current-context"] = Cluster,
            ["clusters"] = new JsonArray(new JsonObject
            {
                ["name"] = Cluster,
                ["cluster"] = new JsonObject { ["server"] = access.Server.ToString(), ["certificate-authority-data"] = Packed(access.CertificateAuthority) }
            }),
            ["users"] = new JsonArray(new JsonObject
            {
                ["name"] = Cluster,
                ["user"] = new JsonObject { ["client-certificate-data"] = Packed(access.ClientCertificate), ["client-key-data"] = Packed(access.ClientKey) }
            }),
            ["contexts"] = new JsonArray(new JsonObject { ["name"] = Cluster, ["context"] = new JsonObject { ["cluster"] = Cluster, ["user"] = Cluster } }),
        }.ToJsonString();
    }

    private static JsonObject Endpoint(string address, string? pod = null)
    {
        var endpoint = new JsonObject { ["addresses"] = new JsonArray(address), ["conditions"] = new JsonObject { ["ready"] = true } };
        if (pod is not null) endpoint["targetRef"] = new JsonObject { ["kind"] = "Pod", ["namespace"] = Namespace, ["name"] = pod };
        return endpoint;
    }

    private static JsonObject Object(string version, string kind, string? ns, string name, JsonObject rest)
    {
        rest["apiVersion"] = version;
        rest["kind"] = kind;
        rest["metadata"] = new JsonObject { ["name"] = name };
        if (ns is not null) rest["metadata"]!["namespace"] = ns;
        return rest;
    }
}

using System.Runtime.InteropServices;
using Isthmus.Core.Flags;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Watch;
using Isthmus.Lab.ApiServer.Pki;
using Isthmus.Lab.Machine.Linux;
using Isthmus.Lab.Machine.Network;
using Isthmus.Lab.Nodes;
using Isthmus.Lab.Nodes.Api;
using Isthmus.Lab.Nodes.Images;
using Isthmus.Lab.Nodes.Pods;
using Isthmus.Lab.Nodes.Probes;
using Isthmus.Lab.Nodes.Processes;
using Isthmus.Lab.Nodes.Server;
using Isthmus.Lab.Nodes.ServiceProxy;
using Isthmus.Lab.Nodes.Volumes;
using Isthmus.Lab.Supervisor;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Console;

namespace Isthmus.Lab;

/// <summary>
/// <c>isthmus lab-node --cluster NAME --dir DIR --address IP</c>: kubelet and kube-proxy of one node. It runs in the node's
/// network namespace. Pods and rules outlive it, and the next node process finds them.
/// </summary>
public static class NodeProgram
{
    private const int MinThreads = 16;

    // The cluster's name and address tell node processes apart in a list of processes; the settings are in the directory.
    private static readonly Flag<string> Cluster = Flag.Text("--cluster", "NAME", ""), Directory = Flag.Text("--dir", "DIR", ""),
        Address = Flag.Text("--address", "IP", "");

    private static readonly FlagSet Flags = new("isthmus lab-node", Cluster, Directory, Address);

    public static async Task<int> RunAsync(string[] args, CancellationToken stop)
    {
        var directory = Path.GetFullPath(Flags.Read(args).Required(Directory));
        var cluster = ClusterSettings.Load(directory);
        using var logs = LoggerFactory.Create(builder => builder.AddSimpleConsole(console =>
        {
            console.SingleLine = true;
            console.ColorBehavior = LoggerColorBehavior.Disabled;
            console.TimestampFormat = "yyyy-MM-dd'T'HH:mm:ss.fff'Z' ";
            console.UseUtcTimestamp = true;
        }).SetMinimumLevel(LogLevel.Information));
        await RunAsync(directory, cluster, logs.CreateLogger("node"), TimeProvider.System, new Random(), stop);
        return 0;
    }

    private static async Task RunAsync(string directory, ClusterSettings cluster, ILogger log, TimeProvider time, Random random, CancellationToken stop)
    {
        var settings = Settings(directory, cluster);
        NodeDirectories.Prepare(settings);
        // The node's own address, so that Pods on its network and its processes use the same route.
        using var client = new KubeClient(Access(directory, cluster), "kubelet") { FieldManager = "kubelet" };
        var api = new KubeNodeApi(client, time);
        using var reactor = new Reactor();
        using var probes = new ProbeRunner(reactor, time);
        using var network = new PodNetwork(cluster.Address);
        var images = ImageCatalogue.Standard(new UnpackedImages(HomeOf(directory).Images));
        var capacity = NodeCapacity.Measure();
        var events = new EventRecorder(api, settings.NodeName, time, log);
        var node = new NodeContext(settings, api, new Sandboxes(settings, new PodAddresses(settings.PodRange), network, time), images, events, reactor, probes,
            capacity,
            IdMap.Read(), IdMap.Read("/proc/self/gid_map"), random, time, log);
        using var end = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var pods = new PodSet(node, end.Token);
        node.Sandboxes.KeepAddresses();
        // Pods start concurrently, each with short blocking steps: file system, namespaces.
        ThreadPool.SetMinThreads(MinThreads, MinThreads);
        var warming = WarmUp.RunAsync(node);
        var proxy = new NodeServiceProxy(client, ServiceProxySettings.Of(cluster), time, log);
        Task[] parts =
        [
            api.RunAsync(pods.Refresh, end.Token),
            events.RunAsync(end.Token),
            new NodeObject(client, cluster, capacity, images, time, log).RunAsync(end.Token),
            proxy.RunAsync(end.Token),
            ClaimDirectories.RunAsync(client, settings.ClaimDirectories, KubeNodeApi.Watching, time, end.Token),
            new NodeServer(node, pods, Path.Combine(directory, NodeSocket.FileName)).RunAsync(end.Token),
            WatchPodsAsync(client, settings.NodeName, api, pods, time, end.Token),
        ];
        try
        {
            await warming;
            // None of these tasks ends by itself. One that ends has failed, and the supervisor restarts this process.
            await await Task.WhenAny(parts);
        }
        finally
        {
            await end.CancelAsync();
            await Task.WhenAll(parts.Select(Settled));
            await pods.WhenStoppedAsync();
        }
    }

    private static async Task WatchPodsAsync(KubeClient client, string nodeName, KubeNodeApi api, PodSet pods, TimeProvider time, CancellationToken stop)
    {
        await api.Synced.WaitAsync(stop);
        var informer = new Informer<Pod>(client, Kinds.Pod, KubeNodeApi.Watching with { FieldSelector = $"spec.nodeName={nodeName}" }, time);
        var first = true;
        await informer.RunAsync(async changes =>
        {
            foreach (var change in changes)
            {
                // Between two lists, the name may have passed to another Pod.
                if (change.Before is { } before && before.Metadata.Uid != change.Object?.Metadata.Uid) pods.Remove(before.Metadata.Uid);
                if (change.Object is { } pod) pods.Apply(pod);
            }
            if (!first) return;
            first = false;
            await pods.CollectOrphansAsync();
        }, stop);
    }

    private static NodeSettings Settings(string directory, ClusterSettings cluster)
    {
        var runtime = Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "../../..")).TrimEnd('/');
        return new(
            cluster.Name, cluster.NodeName, cluster.Address, Path.Combine(directory, "node"), NodeSettings.OwnBuild, runtime,
            cluster.NodePodRange, cluster.DnsAddress, [HomeOf(directory).Directory]) { Envoy = LabHome.Envoy(Environment.GetEnvironmentVariable) };
    }

    private static LabHome HomeOf(string directory) => new(Path.GetFullPath(Path.Combine(directory, "../..")));

    private static ClusterAccess Access(string directory, ClusterSettings cluster)
    {
        string Read(string file) => File.ReadAllText(Path.Combine(directory, PkiNames.Directory, file));
        try
        {
            return new()
            {
                Server = cluster.Server,
                CertificateAuthority = Read($"{PkiNames.Ca}.crt"),
                ClientCertificate = Read($"{PkiNames.Node}.crt"),
                ClientKey = Read($"{PkiNames.Node}.key"),
                Name = cluster.Name,
            };
        }
        catch (IOException e)
        {
            throw new ProblemException(directory, $"the node's certificate cannot be read: {e.Message}", "run isthmus lab down and isthmus lab up", e);
        }
    }

    private static async Task Settled(Task task)
    {
        try
        {
            await task;
        }
        catch (Exception e) when (e is OperationCanceledException or LinuxException or HttpRequestException or KubeException)
        {
            // RunAsync throws the first failure; these are its consequences.
        }
    }
}

using System.Net.Sockets;
using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Kubernetes.Client;
using Isthmus.Lab.ApiServer.Pki;
using Isthmus.Lab.Loopback;
using Isthmus.Lab.Machine.Linux;
using Isthmus.Lab.Machine.Network;
using Microsoft.Extensions.Logging;

namespace Isthmus.Lab.Supervisor;

/// <summary>The parts of a cluster that you can stop and start again.</summary>
public enum LabPart { ApiServer, Cluster }

/// <summary>One running cluster: its directory, its node's network, its two processes.</summary>
internal sealed class LabCluster : IAsyncDisposable
{
    /// <summary>The file in the directory of a cluster without a node with which a kubelet joins it.</summary>
    internal const string NodeKubeconfig = "node.kubeconfig";

    private readonly LabHome _home;
    private readonly NodeNetwork _network;
    private readonly SupervisedProcess _apiServer;
    private readonly SupervisedProcess? _node;
    private ApiServerListener? _loopback;

    private LabCluster(LabHome home, NodeNetwork network, KubeClient client, SupervisedProcess apiServer, SupervisedProcess? node, DateTimeOffset begun)
    {
        Since = WholeSeconds(begun);
        _home = home;
        _network = network;
        Client = client;
        _apiServer = apiServer;
        _node = node;
    }

    internal ClusterSettings Settings => _network.Settings;

    /// <summary>When this supervisor started the cluster.</summary>
    internal DateTimeOffset Since { get; private set; }

    /// <summary>The administrator's credentials, without the proxy.</summary>
    internal KubeClient Client { get; }

    /// <summary>Creates or finds the cluster's files, sets up its network and starts its processes.</summary>
    internal static async Task<LabCluster> StartAsync(
        LabHome home, ClusterSettings settings, OuterNetwork outer, SelfCommand self, TimeProvider time, ILogger log, CancellationToken stop)
    {
        var begun = time.GetUtcNow();
        var directory = home.Cluster(settings.Name);
        PrivateFile.CreateDirectory(directory);
        await PrivateFile.WriteAsync(Path.Combine(directory, ClusterSettings.FileName), settings.ToJson().ToJsonString(), stop);
        using var pki = await ClusterPki.EnsureAsync(directory, settings.Name, settings.Address, time, stop);
        var kubeconfig = Path.Combine(directory, "kubeconfig");
        await Kubeconfig.WriteAsync(kubeconfig, pki, settings.Context, settings.Server, null, stop);
        if (!settings.HasNode) await Kubeconfig.WriteNodeAsync(Path.Combine(directory, NodeKubeconfig), pki, settings.Context, settings.Server, stop);

        var network = await NodeNetwork.CreateAsync(outer, settings, NamespacePaths.Node(settings.Name), stop);
        var client = new KubeClient(KubeConfig.Parse(await File.ReadAllTextAsync(kubeconfig, stop), null, kubeconfig), "isthmus-lab");
        string[] arguments = ["--cluster", settings.Name, "--dir", directory, "--address", settings.Address.ToString()];
        return new LabCluster(home, network, client, Process("apiserver", "--machine-socket", home.MachineSocket), settings.HasNode ? Process("node") : null,
            begun);

        SupervisedProcess Process(string role, params string[] more) => new(
            $"{settings.Name}-{role}", network.Handle, self.With([$"lab-{role}", .. arguments, .. more]), home.Log($"{settings.Name}-{role}"), time, log);
    }

    /// <summary>Serves the API server on this listener too, unless it has one already.</summary>
    /// <param name="listener">On the machine's loopback. It belongs to the cluster from now on.</param>
    /// <returns>The port of the listener in use.</returns>
    internal int Expose(Socket listener, ILogger log)
    {
        if (_loopback is null) _loopback = new(listener, new(Settings.Address, Settings.Server.Port), Settings.Name, log);
        else listener.Dispose();
        return _loopback.Port;
    }

    internal Task SetPeersAsync(ValueList<NodePeer> peers, CancellationToken stop) => _network.SetPeersAsync(peers, stop);

    /// <summary>Ends Pods first, then the processes that ran them. The directory stays.</summary>
    internal async Task StopAsync(TimeSpan grace, TimeProvider time)
    {
        // Without the node, containers that end now are not restarted.
        if (_node is not null) await _node.StopAsync(TimeSpan.FromSeconds(1));
        await PodProcesses.StopAsync(Namespaces(), [.. new[] { _apiServer.ProcessId }.OfType<int>()], grace, time);
        await _apiServer.StopAsync(TimeSpan.FromSeconds(2));
        foreach (var path in PodNamespaces()) NamespaceHandle.Unbind(path);
    }

    /// <summary>Stops a part, to simulate a fault: the process of the API server, or everything at once as in a power
    /// failure.</summary>
    internal async Task BreakAsync(LabPart part, TimeProvider time, CancellationToken stop)
    {
        if (part == LabPart.Cluster)
        {
            if (_node is not null) await _node.HoldAsync(stop);
            await PodProcesses.StopAsync(Namespaces(), [.. new[] { _apiServer.ProcessId }.OfType<int>()], TimeSpan.Zero, time);
        }
        await _apiServer.HoldAsync(stop);
        if (part != LabPart.Cluster) return;
        foreach (var path in PodNamespaces()) NamespaceHandle.Unbind(path);
    }

    /// <summary>Starts the part again. False when it was not stopped.</summary>
    internal bool Mend(LabPart part, TimeProvider time)
    {
        var mended = _apiServer.Release();
        if (part != LabPart.Cluster) return mended;
        Since = WholeSeconds(time.GetUtcNow());
        return _node?.Release() == true | mended;
    }

    // Times in the API are whole seconds.
    private static DateTimeOffset WholeSeconds(DateTimeOffset time) => new(time.Ticks - time.Ticks % TimeSpan.TicksPerSecond, time.Offset);

    internal void DeleteFiles()
    {
        var directory = _home.Cluster(Settings.Name);
        // Volumes in memory (emptyDir with medium Memory) stay mounted when their Pods are killed with the node.
        Mounts.UnmountBelow(directory);
        if (Directory.Exists(directory)) Directory.Delete(directory, recursive: true);
        foreach (var log in Directory.EnumerateFiles(_home.Logs, $"{Settings.Name}-*")) File.Delete(log);
    }

    /// <summary>The part of <c>isthmus lab status</c> about this cluster.</summary>
    internal async Task<JsonObject> StatusAsync(CancellationToken stop)
    {
        var (state, pods) = await Readiness.StateAsync(Client, Settings, Since, stop);
        return new JsonObject
        {
            ["name"] = Settings.Name,
            ["context"] = Settings.Context,
            ["state"] = state,
            ["server"] = Settings.Server.OriginalString,
            ["loopback"] = _loopback is { Port: var port } ? KubeconfigEntry.Loopback(port).OriginalString : null,
            ["network"] = Settings.Network,
            ["podRange"] = Settings.PodRange.ToString(),
            ["serviceRange"] = Settings.ServiceRange.ToString(),
            ["loadBalancerPool"] = Settings.LoadBalancerPool.ToString(),
            ["node"] = Settings.NodeName,
            ["address"] = Settings.Address.ToString(),
            ["region"] = Settings.Region,
            ["zone"] = Settings.Zone,
            ["apiServerPid"] = _apiServer.ProcessId,
            ["apiServerRestarts"] = _apiServer.Restarts,
            ["nodePid"] = _node?.ProcessId,
            ["nodeRestarts"] = _node?.Restarts,
            ["pods"] = pods,
        };
    }

    public async ValueTask DisposeAsync()
    {
        if (_loopback is { } loopback) await loopback.DisposeAsync();
        if (_node is not null) await _node.DisposeAsync();
        await _apiServer.DisposeAsync();
        Client.Dispose();
        _network.Dispose();
    }

    private List<string> Namespaces() => [NamespacePaths.Node(Settings.Name), .. PodNamespaces()];

    private IEnumerable<string> PodNamespaces() => Directory.Exists(NamespacePaths.Directory)
        ? Directory.GetFiles(NamespacePaths.Directory, NamespacePaths.PodPrefix(Settings.Name) + "*")
        : [];
}

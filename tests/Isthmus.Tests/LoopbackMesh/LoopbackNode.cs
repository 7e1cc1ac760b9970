using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Core.Tasks;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Watch;
using Isthmus.Lab.Machine.Network;
using Isthmus.Lab.Nodes.Api;

namespace Isthmus.Tests.LoopbackMesh;

/// <summary>The node of a cluster in the test process: it runs Pods, forwards ports for the API server, and gives the
/// addresses of load balancers to ready Pods.</summary>
/// <param name="folder">The folder of the API server, which holds the node's socket.</param>
/// <param name="addressOf">The address of the Pod with a number from 2.</param>
internal sealed class LoopbackNode(KubeClient client, string folder, Func<int, IPAddress> addressOf) : IAsyncDisposable
{
    internal const string Name = "node", PodRange = "10.244.0.0/24";

    private readonly ConcurrentDictionary<string, LoopbackPod> _pods = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, LoopbackServer> _balanced = new(StringComparer.Ordinal);
    private readonly ConcurrentQueue<string> _log = [];
    private readonly CancellationTokenSource _stop = new();
    private readonly Random _random = new();
    private LoopbackForward? _forward;
    private BackgroundTasks? _ending;
    private Task _watching = Task.CompletedTask;
    private int _last = 1;

    internal KubeNodeApi Api { get; } = new(client, TimeProvider.System);

    internal string Folder => folder;

    internal Uri Server => client.Access.Server;

    /// <summary>The hosts file of all Pods: only the control plane is found by name before there is a configuration.</summary>
    internal string Hosts => Path.Combine(folder, "hosts");

    /// <summary>Everything that failed.</summary>
    internal IEnumerable<string> Failures => _log;

    internal IEnumerable<LoopbackPod> Pods => _pods.Values;

    /// <summary>Whether an address is that of a Pod of another cluster.</summary>
    internal bool IsOnAnotherNetwork(IPAddress source)
    {
        var (own, other) = (addressOf(1).GetAddressBytes(), source.GetAddressBytes());
        return own[1] == other[1] && own[2] != other[2];
    }

    internal void Log(string line) => _log.Enqueue(line);

    internal async Task StartAsync(CancellationToken stop)
    {
        await File.WriteAllTextAsync(Hosts, "", stop);
        _ending = new((name, e) => Log($"{name}: {e}"));
        _forward = new(Path.Combine(folder, NodeSocket.FileName), FindPod);
        await client.CreateAsync(Kinds.Node, Describe(), stop);
        var pods = new WatchedList<Pod>(client, Kinds.Pod, KubeNodeApi.Watching,
            TimeProvider.System).Listen(change => Take(change.Object ?? change.Before!, change.Object is null));
        var services = new WatchedList<Service>(client, Kinds.Service, KubeNodeApi.Watching, TimeProvider.System).Listen(Balance);
        var watching = Api.RunAsync(Refresh, _stop.Token);
        await Api.Synced.WaitAsync(stop);
        _watching = Task.WhenAll(watching, pods.RunAsync(_stop.Token), services.RunAsync(_stop.Token));
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _watching;
        if (_ending is not null) await _ending.WhenEndedAsync();
        await Task.WhenAll(_pods.Values.Select(pod => pod.DisposeAsync().AsTask()));
        foreach (var server in _balanced.Values) await server.DisposeAsync();
        if (_forward is not null) await _forward.DisposeAsync();
        _stop.Dispose();
    }

    private IPAddress? FindPod(string ns, string name) =>
        _pods.Values.FirstOrDefault(pod => pod.Pod.Metadata.Namespace == ns && pod.Pod.Metadata.Name == name)?.Address;

    private void Take(Pod pod, bool isGone)
    {
        var uid = pod.Metadata.Uid;
        if (isGone || pod.Metadata.DeletionTimestamp is not null)
        {
            if (_pods.TryRemove(uid, out var ended)) _ending!.Start($"end of {pod.Key}", () => EndAsync(ended, isGone));
            else if (!isGone && pod.Spec.NodeName.Length > 0) _ending!.Start($"removal of {pod.Key}", () => Api.RemoveAsync(pod, _stop.Token));
        }
        else if (pod.Spec.NodeName == Name && !_pods.ContainsKey(uid))
        {
            var started = new LoopbackPod(pod, addressOf(++_last), this);
            _pods[uid] = started;
            if (pod.Metadata.Namespace == WellKnown.SystemNamespace && pod.Metadata.Labels.GetValueOrDefault("app") == WellKnown.Istiod)
                File.WriteAllText(Hosts, $"{started.Address} istiod.{pod.Metadata.Namespace}.svc\n");
            started.Start();
        }
    }

    /// <summary>A ConfigMap or Secret of the namespace has changed.</summary>
    private void Refresh(string ns)
    {
        foreach (var pod in _pods.Values.Where(pod => pod.Pod.Metadata.Namespace == ns)) pod.Refresh();
    }

    private async Task EndAsync(LoopbackPod pod, bool isGone)
    {
        await pod.DisposeAsync();
        if (!isGone && !_stop.IsCancellationRequested) await Api.RemoveAsync(pod.Pod, _stop.Token);
    }

    private void Balance(Change<Service> change)
    {
        if (change.Object is not { } service) return;
        foreach (var ip in service.Status.LoadBalancer.Ingress.Select(ingress => ingress.Ip))
        {
            foreach (var port in service.Spec.Ports)
                _balanced.GetOrAdd($"{ip}:{port.Port}",
                    _ => new(new(IPAddress.Parse(ip), port.Port), (socket, stop) => BalanceAsync(service, port, socket, stop)));
        }
    }

    private async Task BalanceAsync(Service service, ServicePort port, Socket client, CancellationToken stop)
    {
        var ready = _pods.Values.Where(pod => pod.IsReady && pod.Pod.Metadata.Namespace == service.Metadata.Namespace
            && service.Spec.Selector.All(label => pod.Pod.Metadata.Labels.GetValueOrDefault(label.Key) == label.Value))
            .ToList();
        if (ready.Count == 0) return;
        LoopbackPod chosen;
        lock (_random) chosen = ready[_random.Next(ready.Count)];
        using var server = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await server.ConnectAsync(new IPEndPoint(chosen.Address, int.Parse(port.TargetPort!.ToString(), CultureInfo.InvariantCulture)), stop);
        await ByteRelay.RunAsync(client, server, stop);
    }

    private static JsonObject Describe() => new()
    {
        ["apiVersion"] = "v1",
        ["kind"] = "Node",
        ["metadata"] = new JsonObject { ["name"] = Name },
        ["spec"] = new JsonObject { ["podCIDR"] = PodRange, ["podCIDRs"] = new JsonArray(PodRange) },
        ["status"] = new JsonObject
        {
            ["addresses"] = new JsonArray(new JsonObject { ["type"] = "InternalIP", ["address"] = IPAddress.Loopback.ToString() }),
            ["allocatable"] = new JsonObject { ["cpu"] = "64", ["memory"] = "256Gi", ["pods"] = "250" },
            ["capacity"] = new JsonObject { ["cpu"] = "64", ["memory"] = "256Gi", ["pods"] = "250" },
            ["conditions"] = new JsonArray(new JsonObject { ["type"] = "Ready", ["status"] = "True" }),
        },
    };
}

/// <summary>Serves port forwarding to the API server over the node's socket.</summary>
internal sealed class LoopbackForward : IAsyncDisposable
{
    private readonly Socket _listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    private readonly CancellationTokenSource _stop = new();
    private readonly BackgroundTasks _serving = new((_, _) => { });
    private readonly Func<string, string, IPAddress?> _find;
    private readonly Task _accepting;

    internal LoopbackForward(string path, Func<string, string, IPAddress?> find)
    {
        _find = find;
        _listener.Bind(new UnixDomainSocketEndPoint(path));
        _listener.Listen(64);
        _accepting = AcceptAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _accepting;
        await _serving.WhenEndedAsync();
        _listener.Dispose();
        _stop.Dispose();
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                var socket = await _listener.AcceptAsync(_stop.Token);
                _serving.Start("port forward", () => ServeAsync(socket));
            }
        }
        catch (OperationCanceledException)
        {
        }
    }

    /// <summary><c>GET /portForward/NAMESPACE/POD?port=PORT</c></summary>
    private async Task ServeAsync(Socket socket)
    {
        using var client = socket;
        var (head, one) = (new StringBuilder(), new byte[1]);
        while (!head.ToString().EndsWith("\r\n\r\n", StringComparison.Ordinal) && await client.ReceiveAsync(one, SocketFlags.None, _stop.Token) == 1)
            head.Append((char)one[0]);
        var words = head.ToString().Split(' ')[1].Split('/', '?', '=');
        using var pod = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            if (words is not [_, "portForward", var ns, var name, _, var port] || _find(ns, name) is not { } address)
                throw new SocketException((int)SocketError.HostNotFound);
            await pod.ConnectAsync(new IPEndPoint(address, int.Parse(port, CultureInfo.InvariantCulture)), _stop.Token);
        }
        catch (SocketException e)
        {
            await client.SendAsync(Encoding.ASCII.GetBytes($"HTTP/1.1 502 Bad Gateway\r\n\r\n0\r\n{e.Message}\r\n"), SocketFlags.None, _stop.Token);
            return;
        }
        await client.SendAsync(Encoding.ASCII.GetBytes($"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {NodeSocket.Tunnel}\r\n\r\n"),
            SocketFlags.None, _stop.Token);
        await ByteRelay.RunAsync(client, pod, _stop.Token);
    }
}

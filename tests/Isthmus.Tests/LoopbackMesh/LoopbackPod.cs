using System.Net;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using Isthmus.Commands;
using Isthmus.ControlPlane;
using Isthmus.ControlPlane.Resolve;
using Isthmus.Graph.Settings;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.Nodes.Api;
using Isthmus.Lab.Nodes.Env;
using Isthmus.Lab.Nodes.Pods;
using Isthmus.Lab.Nodes.Volumes;
using Isthmus.Proxy.Agent;
using Isthmus.Proxy.Programs;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Transports;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.Logging.Abstractions;

namespace Isthmus.Tests.LoopbackMesh;

/// <summary>One Pod inside the test process: its control plane, its proxy and its sample applications are the real ones,
/// at a loopback address of the Pod's own. Its volumes are directories.</summary>
internal sealed class LoopbackPod(Pod pod, IPAddress address, LoopbackNode node) : IAsyncDisposable
{
    private const byte InnerRange = 50;
    private const string ServiceAccountFolder = "/var/run/secrets/kubernetes.io/serviceaccount", Loopback = "127.0.0.6";
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(10), LongestPause = TimeSpan.FromSeconds(1);

    private readonly CancellationTokenSource _stop = new();
    private readonly Dictionary<(string Volume, string Path), string> _tokens = []; // Locked while files are written.
    private readonly List<LoopbackServer> _servers = [];
    private readonly List<Task> _programs = [];
    private readonly DateTimeOffset _started = TimeProvider.System.GetUtcNow();
    private readonly string _root = Path.Combine(node.Folder, "pods", pod.Metadata.Uid);
    private Task _running = Task.CompletedTask;

    internal Pod Pod => pod;

    internal IPAddress Address => address;

    internal bool IsReady { get; private set; }

    internal string AccessLog => Path.Combine(_root, "access.log");

    private PodFacts Facts => new(pod, address.ToString(), IPAddress.Loopback.ToString(), new(2, 1L << 30));

    internal void Start() => _running = RunAsync(_stop.Token);

    public async ValueTask DisposeAsync()
    {
        IsReady = false;
        await _stop.CancelAsync();
        await _running;
        foreach (var server in _servers) await server.DisposeAsync();
        await Task.WhenAll(_programs).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _stop.Dispose();
    }

    private async Task RunAsync(CancellationToken stop)
    {
        try
        {
            await MountAsync(stop);
            foreach (var container in pod.Spec.Containers) Launch(container, stop);
            await ReportAsync(stop);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
        }
        catch (Exception e) when (e is KubeException or HttpRequestException && stop.IsCancellationRequested)
        {
        }
        catch (Exception e)
        {
            node.Log($"Pod {pod.Key}: {e}");
        }
    }

    /// <summary>Creates the Pod's volumes as directories, once everything that they refer to exists.</summary>
    private async Task MountAsync(CancellationToken stop)
    {
        foreach (var volume in pod.Spec.Volumes)
        {
            foreach (var account in volume.Projected?.Sources.Select(source => source.ServiceAccountToken).OfType<ServiceAccountTokenProjection>() ?? [])
                _tokens[(volume.Name, account.Path)] = await TokenAsync(account, stop);
        }
        while (!Refresh()) await Task.Delay(FirstPause, stop);
    }

    /// <summary>As a kubelet does, it asks again while the account does not exist: a controller makes that of a new namespace.</summary>
    private async Task<string> TokenAsync(ServiceAccountTokenProjection account, CancellationToken stop)
    {
        while (true)
        {
            try
            {
                return (await node.Api.RequestTokenAsync(pod, account.Audience, account.ExpirationSeconds ?? 3600, stop)).Text;
            }
            catch (KubeException e) when (e.IsNotFound)
            {
                await Task.Delay(FirstPause, stop);
            }
        }
    }

    /// <summary>Brings the files of the volumes up to date.</summary>
    /// <returns>False when something that a volume refers to does not exist, or the Pod has not begun.</returns>
    internal bool Refresh()
    {
        var content = new VolumeContent(Facts, node.Api);
        lock (_tokens)
        {
            try
            {
                foreach (var volume in pod.Spec.Volumes)
                    AtomicDirectory.Write(Volume(volume.Name), content.Files(volume, account => _tokens[(volume.Name, account.Path)]) ?? [], null);
                return true;
            }
            catch (Exception e) when (e is VolumeException or KeyNotFoundException)
            {
                return false;
            }
        }
    }

    private string Volume(string name) => Path.Combine(_root, "volumes", name);

    private void Launch(Container container, CancellationToken stop)
    {
        var files = Path.Combine(_root, "containers", container.Name);
        var environment = new EnvironmentBuilder(Facts, node.Api).Build(container, new Dictionary<string, string>());
        foreach (var mount in container.VolumeMounts)
        {
            var target = files + "/" + mount.MountPath.Trim('/');
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            File.CreateSymbolicLink(target, Path.Combine(Volume(mount.Name), mount.SubPath));
        }
        Directory.CreateDirectory(files + "/etc");
        File.WriteAllText(files + "/etc/resolv.conf", PodFiles.ResolvConf(pod, "", "cluster.local", "").Replace("nameserver", "#", StringComparison.Ordinal));
        File.CreateSymbolicLink(files + "/etc/hosts", node.Hosts);
        string[] words = [.. container.Args.Select(word => Expansion.Expand(word, environment))];
        if (container.Name == "discovery") _programs.Add(GuardAsync(() => DiscoverAsync(words[1..], environment, files, stop)));
        else if (container.Name == "istio-proxy") _programs.Add(GuardAsync(() => ProxyAsync(words[1..], environment, files, stop)));
        else if (container.Command is ["isthmus", "probe"]) _programs.Add(GuardAsync(() => ProbeAsync(container, stop)));
        else foreach (var application in SampleApplications.Of(pod, container)) Listen(application);
    }

    /// <summary>A program that fails leaves its Pod unready, and its reason in the node's log.</summary>
    private async Task GuardAsync(Func<Task> program)
    {
        try
        {
            await Task.Run(program);
        }
        catch (Exception e) when (!_stop.IsCancellationRequested)
        {
            node.Log($"Pod {pod.Key}: {e}");
        }
    }

    private async Task DiscoverAsync(string[] arguments, Dictionary<string, string> environment, string files, CancellationToken stop)
    {
        var settings = DiscoverySettings.Read(arguments, environment.GetValueOrDefault);
        var access = new ClusterAccess
        {
            Name = "in-cluster", Server = node.Server, CertificateAuthority = await File.ReadAllTextAsync($"{files}{ServiceAccountFolder}/ca.crt", stop),
            TokenFile = $"{files}{ServiceAccountFolder}/token",
        };
        var names = new NameClient(() => new([], [], 1), new Random(), TimeProvider.System);
        while (true)
        {
            await using var controlPlane = global::Isthmus.ControlPlane.ControlPlane.Build(settings,
                new(TimeProvider.System, new Random(), access, names, Address: address, Log: NullLoggerProvider.Instance));
            try
            {
                await controlPlane.RunAsync(stop);
                return;
            }
            catch (IOException e) when (e.InnerException is AddressInUseException)
            {
                // Something else listens on that port of all addresses for a moment. A kubelet restarts the container, too.
                node.Log($"Pod {pod.Key}: {e.Message}");
                await Task.Delay(LongestPause, stop);
            }
        }
    }

    private async Task ProxyAsync(string[] arguments, Dictionary<string, string> environment, string files, CancellationToken stop)
    {
        var parsed = ProxyArguments.Parse(arguments);
        using var log = new ProcessLog(TextWriter.Null, TimeProvider.System);
        var ports = new ProxyPorts(TimeProvider.System, new ThreadRandom(), Sockets, new SystemResolver());
        var settings = AgentSettings.Read(parsed.Role, parsed.Domain,
            environment) with { DrainTime = TimeSpan.Zero, ListenerDrainTime = TimeSpan.FromSeconds(1), LossTime = TimeSpan.FromSeconds(2) };
        await AgentRun.RunAsync(settings, environment, ports, new(files, new PodLogs(_root, AccessLog)), log, Isthmus.Proxy.Programs.AgentPlanes.Of, stop);
    }

    /// <summary>The program listens at an address of its own, to which the Pod's kernel leads.</summary>
    private Task ProbeAsync(Container container, CancellationToken stop)
    {
        var bytes = address.GetAddressBytes();
        bytes[2] += InnerRange;
        var inner = new IPAddress(bytes);
        foreach (var port in container.Ports) Listen(new(port.Number, (socket, end) => RelayAsync(socket, new(inner, port.Number), end)));
        return ProbeRole.ServeAsync(inner, stop);
    }

    private static async Task RelayAsync(Socket client, IPEndPoint to, CancellationToken stop)
    {
        using var server = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await server.ConnectAsync(to, stop);
        await ByteRelay.RunAsync(client, server, stop);
    }

    private PodSockets Sockets { get; } = new(address);

    private bool HasProxy => pod.Spec.Containers.Any(container => container.Name == "istio-proxy");

    private void Listen(SampleApplications.Application application) =>
        _servers.Add(new(new(application.IsInward ? IPAddress.Loopback : address, application.Port), (socket, stop) => HandleAsync(application, socket, stop)));

    /// <summary>The proxy itself connects from an address that traffic capture leaves alone. Pods of another cluster are on
    /// another network.</summary>
    private Task HandleAsync(SampleApplications.Application application, Socket socket, CancellationToken stop)
    {
        var source = ((IPEndPoint)socket.RemoteEndPoint!).Address;
        if (node.IsOnAnotherNetwork(source)) return Task.CompletedTask;
        return HasProxy && source.ToString() != Loopback ? Sockets.RedirectAsync(socket, stop) : ServeAsync(application, socket, stop);
    }

    private static async Task ServeAsync(SampleApplications.Application application, Socket socket, CancellationToken stop)
    {
        try
        {
            await application.Serve(socket, stop);
        }
        catch (Exception e) when (e is IOException or SocketException or System.Security.Authentication.AuthenticationException)
        {
            // The client is gone, or does not speak the application's protocol.
        }
    }

    /// <summary>Reports the Pod's status until all of it is ready.</summary>
    private async Task ReportAsync(CancellationToken stop)
    {
        using var http = new HttpClient(new SocketsHttpHandler { UseProxy = false });
        HashSet<string>? reported = null;
        for (var pause = FirstPause; ; pause = pause * 2 < LongestPause ? pause * 2 : LongestPause)
        {
            var ready = new HashSet<string>(StringComparer.Ordinal);
            foreach (var container in pod.Spec.Containers)
                if (!IsCrashing(container) && (container.ReadinessProbe is not { } probe || await SampleApplications.ProbeAsync(http, address, probe, stop)))
                    ready.Add(container.Name);
            if (reported is null || !ready.SetEquals(reported)) await node.Api.WriteStatusAsync(pod, Status(ready), stop);
            reported = ready;
            IsReady = ready.Count == pod.Spec.Containers.Count;
            if (IsReady) return;
            await Task.Delay(pause, stop);
        }
    }

    /// <summary>A container of the image crashing, which ends as soon as it starts.</summary>
    private static bool IsCrashing(Container container) => container.Image == "crashing";

    private JsonObject Status(HashSet<string> ready)
    {
        var isWhole = ready.Count == pod.Spec.Containers.Count;
        var (whole, since) = (isWhole ? "True" : "False", ApiTime.Seconds(TimeProvider.System.GetUtcNow()));
        return new()
        {
            ["phase"] = "Running",
            ["podIP"] = address.ToString(),
            ["podIPs"] = new JsonArray(new JsonObject { ["ip"] = address.ToString() }),
            ["hostIP"] = IPAddress.Loopback.ToString(),
            ["startTime"] = ApiTime.Seconds(_started),
            ["conditions"] = new JsonArray(Condition("Initialized", "True"), Ready(isWhole), Condition("ContainersReady", whole),
                Condition("PodScheduled", "True")),
            ["containerStatuses"] = new JsonArray([.. pod.Spec.Containers.Select(container => (JsonNode)new JsonObject
            {
                ["name"] = container.Name, ["image"] = container.Image, ["imageID"] = container.Image, ["ready"] = ready.Contains(container.Name),
                ["started"] = !IsCrashing(container), ["restartCount"] = IsCrashing(container) ? 5 : 0,
                ["state"] = IsCrashing(container)
                    ? new JsonObject
                    {
                        ["waiting"] = new JsonObject
                        {
                            ["reason"] = "CrashLoopBackOff", ["message"] = $"back-off 2m40s restarting failed container={container.Name}"
                        }
                    }
                    : new JsonObject { ["running"] = new JsonObject { ["startedAt"] = ApiTime.Seconds(_started) } },
            })]),
        };

        // Nobody opens gates here.
        JsonObject Ready(bool isWhole)
        {
            if (!isWhole || pod.Spec.ReadinessGates.Count == 0) return Condition("Ready", whole);
            var closed = Condition("Ready", "False");
            closed["message"] = $"corresponding condition of pod readiness gate \"{pod.Spec.ReadinessGates[0].ConditionType}\" does not exist.";
            return closed;
        }

        JsonObject Condition(string type, string status) => new() { ["type"] = type, ["status"] = status, ["lastTransitionTime"] = since };
    }

    /// <summary>Writes access logs to a file for the standard streams, and to files in the root of the Pod, where only folders are that it has.</summary>
    private sealed class PodLogs(string root, string standard) : ILogFiles
    {
        public Stream Open(string path) => new FileStream(path.StartsWith("/dev/std", StringComparison.Ordinal) ? standard : root + path, FileMode.Append,
            FileAccess.Write, FileShare.ReadWrite, bufferSize: 0);
    }
}

using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Net;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Lab.Machine.Linux;
using Isthmus.Lab.Machine.Network;
using Isthmus.Lab.Nodes;
using Isthmus.Lab.Nodes.Containers;
using Isthmus.Lab.Nodes.Api;
using Isthmus.Lab.Nodes.Images;
using Isthmus.Lab.Nodes.Pods;
using Isthmus.Lab.Nodes.Probes;
using Isthmus.Lab.Nodes.Processes;
using Isthmus.Testing;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Isthmus.Tests.Mesh.Lab.Nodes;

/// <summary>
/// A node that gets its Pods from the test. It mounts file systems and creates namespaces, so it needs its own, as
/// <c>./test</c> creates them: <c>unshare -mnpf --mount-proc</c> (with <c>-Ur</c> as an ordinary user). Set
/// ISTHMUS_TEST_NAMESPACE=1 to confirm it.
/// </summary>
internal sealed class NodeRig : IAsyncDisposable
{
    private static readonly Lazy<bool> SetUp = new(SetUpNode);

    private readonly CancellationTokenSource _stop = new();
    private readonly Reactor _reactor = new();
    private readonly ProbeRunner _probes;
    private readonly Task _events;

    private NodeRig(string state, MemoryNodeApi api)
    {
        Api = api;
        State = state;
        Images = new(Path.Combine(state, "images"));
        var address = IPAddress.Parse("172.18.0.2");
        var settings = new NodeSettings(
            "rig", "rig-control-plane", address, state, AppContext.BaseDirectory, DotnetRoot(), Cidr.Parse("10.244.0.0/24"), IPAddress.Parse("10.96.0.10"),
            [state]);
        NodeDirectories.Prepare(settings);
        _probes = new ProbeRunner(_reactor, TimeProvider.System);
        var events = new EventRecorder(api, settings.NodeName, TimeProvider.System, NullLogger.Instance);
        Network = new PodNetwork(address);
        Context = new(settings, api, new Sandboxes(settings, new PodAddresses(settings.PodRange), Network, TimeProvider.System),
            ImageCatalogue.Standard(Images), events, _reactor, _probes,
            new NodeCapacity(2, 1 << 30), IdMap.Read(), IdMap.Read("/proc/self/gid_map"), new Random(2), TimeProvider.System, NullLogger.Instance);
        Pods = new(Context, _stop.Token);
        _events = events.RunAsync(_stop.Token);
        Context.Sandboxes.KeepAddresses();
    }

    internal MemoryNodeApi Api { get; }

    internal string State { get; }

    /// <summary>The images that were loaded.</summary>
    internal UnpackedImages Images { get; }

    internal NodeContext Context { get; }

    internal PodNetwork Network { get; }

    internal PodSet Pods { get; }

    internal static NodeRig Start(string? state = null, MemoryNodeApi? api = null)
    {
        if (Environment.GetEnvironmentVariable("ISTHMUS_TEST_NAMESPACE") != "1")
            Assert.Skip("needs namespaces of its own: run under unshare -mnpf --mount-proc (with -Ur as a user) and set ISTHMUS_TEST_NAMESPACE=1");
        SetUp.Value.ToString();
        return new(state ?? Directory.CreateTempSubdirectory("rig-").FullName, api ?? new());
    }

    internal Pod Apply(string yaml)
    {
        var json = (JsonObject)YamlText.ParseAll(yaml, "test")[0]!;
        var meta = (JsonObject)json["metadata"]!;
        meta["namespace"] ??= "default";
        meta["uid"] ??= $"uid-{meta["name"]}";
        return Apply(json);
    }

    internal Pod Apply(JsonObject json)
    {
        var pod = json.Deserialize(KubeJson.Of<Pod>())!;
        Pods.Apply(pod);
        return pod;
    }

    internal async Task<JsonObject> StatusAsync(string pod, Func<JsonObject, bool> wanted, double seconds = 60)
    {
        var found = await Eventually.AnswerAsync(() => Task.FromResult(Api.Statuses.GetValueOrDefault(pod)), status => status is not null && wanted(status),
            last => $"{pod}: {last?.ToJsonString() ?? "no status"}\nevents: {string.Join('\n', Api.Events.Select(e => $"{e["reason"]}: {e["message"]}"))}\n"
                + $"logs:\n{AllLogs()}",
            TimeSpan.FromSeconds(seconds));
        return found!;
    }

    internal Task<JsonObject> PhaseAsync(string pod, string phase) => StatusAsync(pod, status => (string?)status["phase"] == phase);

    internal Task<JsonObject> ReadyAsync(string pod) => StatusAsync(pod, status =>
        status["conditions"]!.AsArray().Any(one => (string?)one!["type"] == "Ready" && (string?)one["status"] == "True"));

    internal async Task<string> LogAsync(string pod, string container, int attempt = 0)
    {
        var path = Context.Settings.LogDirectory("default", pod, $"uid-{pod}") + $"/{container}/{attempt}.log";
        using var text = new MemoryStream();
        if (File.Exists(path)) await Isthmus.Lab.Nodes.Logs.LogReader.CopyAsync(path, null, new(false, null, null, false, null), text, CancellationToken.None);
        return System.Text.Encoding.UTF8.GetString(text.ToArray());
    }

    internal async Task<(int Code, string Output)> ExecAsync(string pod, string container, params string[] command)
    {
        var running = (await Pods.Find("default", pod)!.FindAsync(container))!.Running!;
        return await ContainerExec.RunAsync(_reactor, running.Process, running.Identity, Context.CanSetGroups, command, TimeProvider.System,
            TestContext.Current.CancellationToken);
    }

    /// <summary>Ends this node as a crash would: without cleanup.</summary>
    internal async Task CrashAsync()
    {
        await _stop.CancelAsync();
        await Pods.WhenStoppedAsync();
        Network.Dispose();
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var directory in Directory.Exists(Context.Settings.PodDirectories) ? Directory.GetDirectories(Context.Settings.PodDirectories) : [])
            Pods.Remove(Path.GetFileName(directory));
        await CrashAsync();
        // Processes that did not end in time are orphans at the next start.
        using (var network = new PodNetwork(Context.Settings.Address))
        {
            var sandboxes = new Sandboxes(Context.Settings, new PodAddresses(Context.Settings.PodRange), network, TimeProvider.System);
            await new PodSet(Context with { Sandboxes = sandboxes }, CancellationToken.None).CollectOrphansAsync();
        }
        try { await _events; } catch (OperationCanceledException) { }
        _probes.Dispose();
        _reactor.Dispose();
        _stop.Dispose();
        Directory.Delete(State, recursive: true);
    }

    private string AllLogs() =>
        string.Join('\n', Directory.EnumerateFiles(State, "*.log", SearchOption.AllDirectories).Select(path => $"{path}:\n{File.ReadAllText(path)}"));

    // The test's own network namespace acts as the node's, once for all tests.
    private static bool SetUpNode()
    {
        Mounts.MakePrivate("/");
        Mounts.Tmpfs("/run");
        Directory.CreateDirectory("/run/netns");
        NetworkSysctls.Forward();
        NetworkSysctls.AllowLowPorts();
        using var netlink = RouteNetlink.Open();
        netlink.SetUp("lo");
        netlink.AddAddress("lo", PodNetwork.Gateway, 32);
        netlink.AddAddress("lo", IPAddress.Parse("172.18.0.2"), 32);
        return true;
    }

    internal static string DotnetRoot() => Path.GetFullPath(Path.Combine(Path.GetDirectoryName(typeof(object).Assembly.Location)!, "../../.."));
}

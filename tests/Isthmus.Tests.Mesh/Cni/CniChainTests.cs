using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using Isthmus.Capture;
using Isthmus.Cni;
using Isthmus.Cni.Pods;
using Isthmus.Kubernetes.Client;
using Isthmus.Lab.Machine.Linux;
using Isthmus.Testing;
using Isthmus.Tests.Mesh.Lab;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Isthmus.Tests.Mesh.Cni;

/// <summary>The chain of a node, executed as a container runtime does: Debian's bridge plug-in and ours, with the agent, in network namespaces.</summary>
[Trait("shard", "node")]
public sealed class CniChainTests : IAsyncLifetime
{
    private const string List =
        """
        {"cniVersion": "1.0.0", "name": "pods", "plugins": [{"type": "bridge", "bridge": "cni0", "isGateway": true,
           "ipam": {"type": "host-local", "dataDir": "{D}", "ranges": [[{"subnet": "10.22.0.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}}]}
        """;

    private const string Pod = """
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "namespace": "shop", "uid": "u1", "annotations": {"sidecar.istio.io/status": "{}"}},
         "spec": {"initContainers": [{"name": "istio-validation",
            "args": ["istio-iptables", "-p", "15001", "-z", "15006", "-u", "1337", "-m", "REDIRECT", "-i", "*", "-x", "", "-b", "*", "-d", "15090",
             "--run-validation", "--skip-rule-apply"]}],
          "containers": [{"name": "web"}, {"name": "istio-proxy"}]}}
        """;

    private readonly string _directory = Directory.CreateTempSubdirectory("isthmus-chain-").FullName;
    private readonly NamespaceHandle _namespace = NamespaceHandle.CreateNetwork();
    private WebApplication? _server;
    private Process? _inside;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    private static string Artifacts { get; } = BuiltProgram.Artifacts;

    private string Chain => Path.Combine(_directory, "net.d/10-pods.conflist");

    private string NetworkNamespace => $"/proc/{_inside!.Id}/ns/net";

    public async ValueTask InitializeAsync()
    {
        Directory.CreateDirectory(Path.Combine(_directory, "net.d"));
        await File.WriteAllTextAsync(Chain, List.Replace("{D}", Path.Combine(_directory, "addresses"), StringComparison.Ordinal), Stop);
        _inside = NamespaceThread.Run(_namespace, () => Process.Start("sleep", "1000"));
        // As the plug-in 'loopback', which runtimes run first.
        using (var loopback = NamespaceThread.Run(_namespace, () => Process.Start("ip", "link set lo up"))) await loopback.WaitForExitAsync(Stop);
        var builder = WebApplication.CreateEmptyBuilder(new());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0));
        _server = builder.Build();
        _server.Run(http =>
        {
            var isPod = http.Request.Path == "/api/v1/namespaces/shop/pods/web";
            http.Response.StatusCode = isPod ? 200 : 404;
            return http.Response.WriteAsync(isPod ? Pod : """{"kind": "Status", "code": 404, "reason": "NotFound"}""");
        });
        await _server.StartAsync(Stop);
    }

    public async ValueTask DisposeAsync()
    {
        if (_server is not null) await _server.DisposeAsync();
        _inside?.Kill();
        _inside?.Dispose();
        _namespace.Dispose();
        Directory.Delete(_directory, recursive: true);
        GC.SuppressFinalize(this);
    }

    [Fact]
    public async Task A_Pod_of_the_mesh_is_captured_before_it_starts_and_the_chain_is_restored_at_the_end()
    {
        var before = await File.ReadAllTextAsync(Chain, Stop);
        using var client = new KubeClient(new ClusterAccess { Server = new Uri(_server!.Urls.First()) });
        var settings = new CniSettings
        {
            NodeName = "n1", Namespace = "kube-system", NodeRoot = "", ConfigurationDirectory = Path.Combine(_directory, "net.d"),
            BinaryDirectory = Path.Combine(_directory, "bin"),
            Binary = Path.Combine(Artifacts, "cni/istio-cni"), Socket = Path.Combine(_directory, "agent.sock"),
        };
        Assert.True(File.Exists(settings.Binary), $"{settings.Binary} is missing: run tools/cni-plugin");
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Stop);
        var agent = new NodeAgent(settings, client, TimeProvider.System, NullLogger.Instance);
        var running = agent.RunAsync(stop.Token);
        await Eventually.TrueAsync(() => agent.Waiting.Length == 0 || running.IsCompleted);

        // Uncaptured, as while no agent runs: the check fails.
        await RunAsync("ADD", ["bridge"]);
        var address = IPAddress.Parse("10.22.0.2");
        Assert.Contains("was not redirected to port 15006", (await CheckAsync())!.Message, StringComparison.Ordinal);
        await RunAsync("DEL", ["bridge"]);

        var result = await RunAsync("ADD", ["bridge", "istio-cni"]);
        Assert.Equal(("1.0.0", "eth0"), (result["cniVersion"]!.ToString(), result["interfaces"]!.AsArray()[^1]!["name"]!.ToString()));
        address = IPAddress.Parse(result["ips"]![0]!["address"]!.ToString().Split('/')[0]);
        Assert.Null(await CheckAsync());
        Assert.Equal(15006, await ArrivesAtAsync(address, 8080));
        await RunAsync("DEL", ["istio-cni", "bridge"]);

        await stop.CancelAsync();
        await running;
        Assert.Equal(before, await File.ReadAllTextAsync(Chain, Stop));
        Assert.Empty(Directory.GetFiles(settings.BinaryDirectory));
    }

    [Fact]
    public async Task An_address_counts_before_its_interface_is_reported_as_up()
    {
        Assert.Contains("this network namespace has no IPv4 address", (await CheckAsync())!.Message, StringComparison.Ordinal);
        // The kernel may report an interface as up a second late. This one stays down.
        foreach (var arguments in (string[])["link add late type veth peer name far", "address add 10.22.9.1/24 dev late"])
        {
            using var ip = NamespaceThread.Run(_namespace, () => Process.Start("ip", arguments));
            await ip.WaitForExitAsync(Stop);
            Assert.Equal(0, ip.ExitCode);
        }
        Assert.Contains("a connection to 10.22.9.1:", (await CheckAsync())!.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_Pod_that_started_before_the_agent_is_found_by_its_address()
    {
        await RunAsync("ADD", ["bridge"]);
        // As the agent sees the node: its directories are below another root.
        var node = Path.Combine(_directory, "node");
        Directory.CreateDirectory($"{node}/var/run/netns");
        File.CreateSymbolicLink($"{node}/proc", "/proc");
        await File.WriteAllTextAsync($"{node}/var/run/netns/left", "", Stop);
        _namespace.BindTo($"{node}/var/run/netns/cni-1");
        try
        {
            var namespaces = new NodeNamespaces(node);
            Assert.Equal("/var/run/netns/cni-1", namespaces.Find(IPAddress.Parse("10.22.0.2")));
            Assert.Null(namespaces.Find(IPAddress.Parse("10.22.0.9")));
            // Never the node itself.
            Assert.Contains("is the node's own network namespace",
                Assert.Throws<Core.Problems.ProblemException>(() => namespaces.Run("/proc/1/ns/net", () => 0)).Message, StringComparison.Ordinal);
        }
        finally
        {
            NamespaceHandle.Unbind($"{node}/var/run/netns/cni-1");
        }
    }

    /// <summary>What the container <c>istio-validation</c> does.</summary>
    private Task<Core.Problems.ProblemException?> CheckAsync() => NamespaceThread.Run(_namespace, () => CaptureValidation.RunAsync(new(), Stop));

    /// <summary>The port in the Pod at which a connection from the node arrives.</summary>
    private async Task<int> ArrivesAtAsync(IPAddress address, int port)
    {
        using var listener = NamespaceThread.Run(_namespace, () =>
        {
            var made = new TcpListener(IPAddress.Any, 15006);
            made.Start();
            return made;
        });
        using var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await client.ConnectAsync(new IPEndPoint(address, port), Stop);
        using var arrived = await listener.AcceptSocketAsync(Stop);
        return Equals(arrived.RemoteEndPoint, client.LocalEndPoint) ? 15006 : 0;
    }

    /// <summary>Runs plug-ins of the list one after the other, as libcni does.</summary>
    private async Task<JsonNode> RunAsync(string command, string[] types)
    {
        var list = JsonNode.Parse(await File.ReadAllTextAsync(Chain, Stop))!;
        JsonNode? result = null;
        foreach (var type in types)
        {
            var plugin = (JsonObject)list["plugins"]!.AsArray().Single(one => one!["type"]!.ToString() == type)!.DeepClone();
            foreach (var field in (string[])["cniVersion", "name"]) plugin[field] = list[field]!.DeepClone();
            if (result is not null) plugin["prevResult"] = result.DeepClone();
            string[] places = [Path.Combine(_directory, "bin"), Path.Combine(Artifacts, "networks/usr/lib/cni"), "/usr/lib/cni"];
            var program = places.Select(place => Path.Combine(place, type)).FirstOrDefault(File.Exists);
            Assert.True(program is not null, $"the CNI plug-in {type} is missing: ./test unpacks Debian's containernetworking-plugins");
            var start = new ProcessStartInfo(program) { RedirectStandardInput = true, RedirectStandardOutput = true };
            foreach (var (name,
                value) in new[] { ("CNI_COMMAND", command), ("CNI_CONTAINERID", "c1"), ("CNI_NETNS", NetworkNamespace), ("CNI_IFNAME", "eth0"), ("CNI_PATH",
                    string.Join(':', places)),
                ("CNI_ARGS", "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web;K8S_POD_INFRA_CONTAINER_ID=c1;K8S_POD_UID=u1") })
                    start.Environment[name] = value;
            using var process = Process.Start(start)!;
            await process.StandardInput.WriteAsync(plugin.ToJsonString());
            process.StandardInput.Close();
            var output = await process.StandardOutput.ReadToEndAsync(Stop);
            await process.WaitForExitAsync(Stop);
            Assert.True(process.ExitCode == 0, $"{type}: {output}");
            if (output.Length > 0) result = JsonNode.Parse(output);
        }
        return result ?? new JsonObject();
    }
}

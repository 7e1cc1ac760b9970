using System.Net;
using System.Net.Sockets;
using Isthmus.Capture;
using Isthmus.Core.Net;
using Isthmus.Lab.Machine.Linux;
using Isthmus.Proxy.Dns;
using Isthmus.Tests.Mesh.Lab;
using Isthmus.Wire.Dns;
using Isthmus.Wire.Istio;
using Xunit;

namespace Isthmus.Tests.Mesh.Proxy;

/// <summary>What the kernel does with a Pod's traffic under our ruleset.</summary>
[Trait("shard", "node")]
public sealed class CaptureInNamespaceTests
{
    private static readonly IPAddress NameServer = IPAddress.Parse("10.96.0.10");
    private static readonly string[] Flags = ["-p", "15001", "-z", "15006", "-u", "1337", "-m", "REDIRECT", "-i", "*", "-x", "10.9.0.0/16", "-b", "*", "-d",
        "15090,15021,15020", "--redirect-dns"];

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Each_kind_of_connection_goes_where_it_should_also_after_loading_twice(bool besideLegacyRules)
    {
        await using var network = TestNetwork.Create();
        var node = await network.NodeAsync(1);
        var pod = await PodAsync(node);
        var other = await node.PodAsync("10.244.0.6");
        other.ServeTcp(9000, "other");
        foreach (var (port, name) in new[] { (15001, "outbound"), (15006, "inbound"), (15008, "tunnel"), (15020, "agent"), (8080, "app") })
            pod.ServeTcp(port, name);
        if (besideLegacyRules) await LoadLegacyAsync(node.Self, pod);
        await LoadAsync(pod);

        if (besideLegacyRules) Assert.Equal("other", await AskMarkedAsync(pod, "10.96.0.99", 7, null));
        Assert.Equal("outbound 10.244.0.5", await pod.AskAsync("10.244.0.6", 9000));
        Assert.Equal("app 10.244.0.5", await pod.AskAsync("10.244.0.5", 8080));
        Assert.Equal("app 127.0.0.1", await pod.AskAsync("127.0.0.1", 8080));
        Assert.Equal("inbound 10.244.0.6", await other.AskAsync("10.244.0.5", 8080));
        Assert.Equal("agent 10.244.0.6", await other.AskAsync("10.244.0.5", 15020));
        Assert.Equal("tunnel 10.244.0.6", await other.AskAsync("10.244.0.5", 15008));
        Assert.Equal("other", await AskMarkedAsync(pod, "10.244.0.6", 9000, null));
        Assert.Equal("inbound", await AskMarkedAsync(pod, "10.244.0.5", 8080, null));
        Assert.Equal("app", await AskMarkedAsync(pod, "10.244.0.5", 8080, "127.0.0.6"));
        Assert.Equal("tunnel", await AskMarkedAsync(pod, "10.244.0.5", 15008, null));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Questions_to_the_name_server_reach_the_sidecar(bool tcp)
    {
        await using var network = TestNetwork.Create();
        var pod = await PodAsync(await network.NodeAsync(1));
        await LoadAsync(pod);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Stop);
        var table = new NameTable
        {
            Table =
            {
                ["orders.stock.svc.cluster.local"] = new() { Ips = { "240.240.0.1" }, Registry = "Kubernetes", Shortname = "orders", Namespace = "stock" }
            }
        };
        var dns = new DnsProxy(new(IPAddress.Loopback, 15053), new([], TimeProvider.System), TimeProvider.System, new(1), (_, _) => { })
        {
            Table = NameTables.Build(table, "shop", "shop.svc.cluster.local", []),
        };
        var running = NamespaceThread.Run(pod.Handle, () => dns.RunAsync(stop.Token));

        var query = DnsMessage.Query(3, new("orders.stock", DnsType.A)).ToBytes();
        var answer = DnsMessage.TryRead(await AskDnsAsync(pod, query, tcp));

        Assert.Equal("240.240.0.1", ((AddressContent)Assert.Single(answer!.Answers).Content).Address.ToString());
        await stop.CancelAsync();
        await running;
    }

    private static async Task<TestPod> PodAsync(TestNode node) => await node.PodAsync("10.244.0.5");

    private static async Task LoadAsync(TestPod pod)
    {
        var rules = CaptureRules.Write(CaptureFlags.Read(Flags, new Dictionary<string, string>()), CaptureHost.Read() with { NameServers = [NameServer] });
        for (var i = 0; i < 2; i++) await NamespaceThread.Run(pod.Handle, () => Nft.LoadAsync(rules, Stop));
    }

    /// <summary>What a host has whose tools write with iptables-legacy: NAT on the node, as kube-proxy writes it, and in the Pod.</summary>
    private static async Task LoadLegacyAsync(TestPod node, TestPod pod)
    {
        var packages = Path.Combine(BuiltProgram.Artifacts, "networks");
        var libraries = Directory.GetDirectories(Path.Combine(packages, "usr/lib"), "*-linux-gnu").Single();
        string[] command = ["XTABLES_LOCKFILE=/dev/null", $"LD_LIBRARY_PATH={libraries}", $"XTABLES_LIBDIR={libraries}/xtables",
            Path.Combine(packages, "usr/sbin/iptables-legacy"), "-t", "nat"];
        var said = await node.RunAsync("env", [.. command, "-S", "OUTPUT"]);
        Assert.SkipWhen(said.Contains("can't initialize iptables table", StringComparison.Ordinal), $"the kernel lacks the older tables: {said}");
        Assert.Equal("",
            await node.RunAsync("env", [.. command, .. "-A PREROUTING -d 10.96.0.99 -p tcp --dport 7 -j DNAT --to-destination 10.244.0.6:9000".Split(' ')]));
        Assert.Equal("", await pod.RunAsync("env", [.. command, .. "-A OUTPUT -d 10.96.0.98 -j ACCEPT".Split(' ')]));
    }

    /// <summary>The first word that the server sends to a socket with the proxy's mark.</summary>
    private static async Task<string> AskMarkedAsync(TestPod pod, string server, int port, string? source)
    {
        using var socket = NamespaceThread.Run(pod.Handle, () => MarkedSocket.Stream(AddressFamily.InterNetwork));
        if (source is not null) socket.Bind(new IPEndPoint(IPAddress.Parse(source), 0));
        await socket.ConnectAsync(new IPEndPoint(IPAddress.Parse(server), port), Stop);
        var buffer = new byte[100];
        return System.Text.Encoding.ASCII.GetString(buffer, 0, await socket.ReceiveAsync(buffer, Stop)).Split(' ')[0];
    }

    private static async Task<byte[]> AskDnsAsync(TestPod pod, byte[] query, bool tcp)
    {
        using var socket = NamespaceThread.Run(pod.Handle, () => tcp
            ? new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp)
            : new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp));
        await socket.ConnectAsync(new IPEndPoint(NameServer, 53), Stop);
        if (tcp)
        {
            await using var stream = new NetworkStream(socket);
            await TcpFraming.WriteAsync(stream, query, Stop);
            return (await TcpFraming.ReadAsync(stream, Stop))!;
        }
        await socket.SendAsync(query, Stop);
        var buffer = new byte[512];
        return buffer[..await socket.ReceiveAsync(buffer, Stop)];
    }
}

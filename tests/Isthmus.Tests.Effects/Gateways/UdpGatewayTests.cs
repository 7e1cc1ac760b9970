using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Isthmus.ControlPlane.Push;
using Isthmus.Core.Collections;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;
using Isthmus.Proxy;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Transports;
using Isthmus.Rigs.Mesh;
using Isthmus.Testing;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.Clusters;
using Isthmus.Wire.Envoy.Endpoints;
using Isthmus.Wire.Envoy.Listeners;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;
using ProxyIdentity = Isthmus.Proxy.Telemetry.ProxyIdentity;
using TypeUrls = Isthmus.Proxy.Snapshot.TypeUrls;

namespace Isthmus.Tests.Effects.Gateways;

/// <summary>Datagrams through gateways, from the model to the datagram: the control plane makes the listener, and a real proxy serves it.</summary>
public sealed class UdpGatewayTests
{
    private const string Host = "dns.shop.svc.cluster.local";

    [Fact]
    public void Gateways_with_a_server_for_datagrams_have_clusters_of_such_ports_and_others_have_none()
    {
        var rig = new MeshRig("c1");
        PutService(rig, "dns", "10.96.0.10", (53, "TCP"), (53, "UDP"));
        rig.Writer.Put("c1", new EndpointSlice
        {
            Metadata = new() { Name = "dns-1", Namespace = "shop", Labels = { ["kubernetes.io/service-name"] = "dns" } },
            Endpoints = [new() { Addresses = ["10.244.0.5"], Conditions = new() { Ready = true }, NodeName = "node" }],
            Ports = { new() { Name = "tcp-53", Port = 5353, Protocol = "TCP" }, new() { Name = "udp-53", Port = 5354, Protocol = "UDP" } },
        });
        PutService(rig, "edge", "10.96.0.11", (5300, "UDP"), (80, "TCP"));
        var (edge, plain, sidecar) = (rig.Router("c1", "edge"), rig.Router("c1", "plain"), rig.Sidecar("c1"));
        rig.Mesh.Sources.Gateways.Put(new("c1", "shop", "front"), Front(new() { ["app"] = "edge" }));
        rig.Push();
        string[] Names(ProxyFeed feed, string type) =>
            [.. feed.Snapshot!.Types[type].All.Select(item => item.Name).Where(name => name.Contains(Host, StringComparison.Ordinal))];
        Assert.Equal([$"outbound|53||{Host}", $"udp|53||{Host}"], Names(edge, TypeUrls.Cluster).Order(StringComparer.Ordinal));
        Assert.Equal([$"outbound|53||{Host}"], Names(plain, TypeUrls.Cluster));
        Assert.Equal([$"outbound|53||{Host}"], Names(sidecar, TypeUrls.Cluster));
        var assignment = edge.Snapshot!.Types[TypeUrls.Endpoints].All.Single(item => item.Name == $"udp|53||{Host}").Body.Unpack<ClusterLoadAssignment>();
        var address = assignment.Endpoints.Single().LbEndpoints.Single().Endpoint.Address.SocketAddress;
        Assert.Equal(("10.244.0.5", 5354u), (address.Address, address.PortValue));
        rig.Mesh.Sources.Gateways.Remove(new("c1", "shop", "front"));
        rig.Push();
        Assert.Equal([$"outbound|53||{Host}"], Names(edge, TypeUrls.Cluster));
        Assert.Empty(rig.Mesh.Graph.Verify());
    }

    [Fact]
    public async Task The_backends_of_a_route_get_their_shares_of_the_clients()
    {
        using Server first = new(), second = new();
        using var plane = Serve(out var port, Route((Host, 70), ("other.shop.svc.cluster.local", 30), ("idle.shop.svc.cluster.local", 0)), (Host, first.Port),
            ("other.shop.svc.cluster.local", second.Port));
        var answers = new Dictionary<int, int> { [first.Port] = 0, [second.Port] = 0 };
        for (var i = 0; i < 300; i++)
        {
            using var client = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
            client.Bind(new IPEndPoint(IPAddress.Loopback, 0));
            var server = await AskAsync(client, port);
            answers[server]++;
            var isFirst = ((IPEndPoint)client.LocalEndPoint!).Port % 1000 < 700;
            Assert.Equal(isFirst ? first.Port : second.Port, server);
        }
        Assert.All(answers.Values, count => Assert.True(count > 20, string.Join(' ', answers)));
    }

    [Fact]
    public async Task A_share_that_leads_nowhere_is_dropped()
    {
        using var plane = Serve(out var port, [new L4Rule(default, [new RouteBackend(null, 1)])], (Host, 1));
        using var client = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        client.SendTo("x"u8, new IPEndPoint(IPAddress.Loopback, port));
        await Eventually.TrueAsync(() => plane.Report.Udp.Of($"127.0.0.1_{port}").NoRoute == 1);
    }

    [Fact]
    public void The_oldest_route_of_a_server_counts_and_a_server_without_one_does_not_listen()
    {
        Assert.Empty(Listeners(5300));
        var listener = Assert.Single(Listeners(5300, Set("old", Route((Host, 1)), 1), Set("new", Route(("other.shop.svc.cluster.local", 1)), 2)));
        Assert.Equal("udp_127.0.0.1_5300", listener.Name);
        Assert.Contains($"udp|53||{Host}", WireTypes.Json.Format(listener), StringComparison.Ordinal);
        Assert.DoesNotContain("other.shop", WireTypes.Json.Format(listener), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(700)]
    [InlineData(333)]
    [InlineData(1)]
    [InlineData(10)]
    [InlineData(999)]
    [InlineData(1000)]
    [InlineData(905)]
    public void The_pattern_of_a_share_is_for_as_many_ports_as_it_has(int share)
    {
        var pattern = new System.Text.RegularExpressions.Regex($"^({UdpListeners.EndsBelow(share)})$");
        for (var port = 41_000; port < 42_000; port++) Assert.Equal(port % 1000 < share, pattern.IsMatch(port.ToString(CultureInfo.InvariantCulture)));
    }

    [Fact]
    public async Task Envoy_takes_the_listener()
    {
        var program = RealEnvoy.Find();
        Assert.SkipWhen(program is null, RealEnvoy.Missing);
        var listener = Listeners(5300, Set("r", Route((Host, 70), ("other.shop.svc.cluster.local", 30)), 1)).Single();
        var clusters = new JsonArray([.. new[]
        {
            Host, "other.shop.svc.cluster.local"
        }.Select(host => (JsonNode)new JsonObject { ["name"] = $"udp|53||{host}", ["type"] = "STATIC" })]);
        var bootstrap = new JsonObject
        {
            ["static_resources"] = new JsonObject { ["listeners"] = new JsonArray(JsonNode.Parse(WireTypes.Json.Format(listener))), ["clusters"] = clusters }
        };
        var file = Path.GetTempFileName();
        try
        {
            await File.WriteAllTextAsync(file + ".json", bootstrap.ToJsonString(), TestContext.Current.CancellationToken);
            using var envoy = Process.Start(new ProcessStartInfo(program!,
                ["--mode", "validate", "-c", file + ".json", "--log-level", "warning"]) { RedirectStandardError = true, RedirectStandardOutput = true })!;
            var output = envoy.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
            var errors = await envoy.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
            await envoy.WaitForExitAsync(TestContext.Current.CancellationToken);
            Assert.True(envoy.ExitCode == 0 && !errors.Contains("deprecated", StringComparison.OrdinalIgnoreCase), errors + await output);
        }
        finally
        {
            File.Delete(file);
            File.Delete(file + ".json");
        }
    }

    private static Gateway Front(Dictionary<string, string> selector, int port = 5300) =>
        new(new("c1", "Gateway", "shop", "front"), selector.ToValueMap(),
            [new GatewayServer(port, "udp", Protocol.Udp, 0, Core.Net.Address.LoopbackV4, ["*"], null)], 0);

    private static ValueList<L4Rule> Route(params (string Host, int Weight)[] backends) =>
        [new L4Rule(default, backends.Select(backend => new RouteBackend(new Destination(backend.Host, "", 53), backend.Weight)).ToValueList())];

    private static RouteSet Set(string name, ValueList<L4Rule> rules, long age) =>
        new(new("c1", "UDPRoute", "shop", name), ["*"], ["shop/front"], ["*"], default, default, default, age) { Udp = rules };

    private static List<Listener> Listeners(int port, params RouteSet[] routes)
    {
        var gateway = new GatewayScope([Front([], port)], []) { DatagramPorts = [new(port, port)] };
        return [.. GatewayListeners.Of(new(new(new("shop", default), true), MeshConfig.Default, gateway, [.. routes])).Select(item => item.Listener)];
    }

    /// <summary>Anybody may take a port of UDP before the proxy does: then it tries another one.</summary>
    private static DataPlane Serve(out int port, ValueList<L4Rule> rules, params (string Host, int Port)[] servers)
    {
        for (var left = 20; ; left--)
        {
            port = Server.FreePort();
            var plane = Serve(port, rules, servers);
            if (plane.ListenerFailures.Count == 0) return plane;
            Assert.True(left > 0, string.Join(", ", plane.ListenerFailures));
            plane.Dispose();
        }
    }

    private static DataPlane Serve(int port, ValueList<L4Rule> rules, params (string Host, int Port)[] servers)
    {
        var ports = new ProxyPorts(TimeProvider.System, new ThreadRandom(), new ProcessSockets(), new SystemResolver());
        var plane = DataPlane.Build(ProxySettings.Default(ProxyIdentity.Unknown, ProxySettings.Gateway), ports, new GatewayProxy.FileNames(), new NoLogs(),
            NullLoggerFactory.Instance);
        foreach (var (host, number) in servers)
        {
            var cluster = new Cluster
            {
                Name = ResourceNames.Datagrams(53, host), Type = Cluster.Types.DiscoveryType.Static,
                LoadAssignment = new() { ClusterName = ResourceNames.Datagrams(53, host) }
            };
            cluster.LoadAssignment.Endpoints.Add(new LocalityLbEndpoints
            {
                LbEndpoints =
                {
                    new LbEndpoint { Endpoint = new() { Address = new() { SocketAddress = new() { Address = "127.0.0.1", PortValue = (uint)number } } } }
                }
            });
            Apply(plane, TypeUrls.Cluster, cluster.Name, cluster);
        }
        var listener = Listeners(port, Set("r", rules, 1)).Single();
        Apply(plane, TypeUrls.Listener, listener.Name, listener);
        return plane;
    }

    private static void Apply(DataPlane plane, string type, string name, IMessage message) =>
        Assert.Empty(plane.State.Apply(new(type, [new(name, "1", new Any { TypeUrl = type, Value = message.ToByteString() })], [], "1")));

    private static async Task<int> AskAsync(Socket client, int port)
    {
        var buffer = new byte[64];
        var count = 0;
        await Eventually.TrueAsync(() =>
        {
            client.SendTo("who"u8, new IPEndPoint(IPAddress.Loopback, port));
            if (!client.Poll(TimeSpan.FromSeconds(1), SelectMode.SelectRead)) return false;
            count = client.Receive(buffer);
            return true;
        });
        return int.Parse(Encoding.ASCII.GetString(buffer, 0, count), CultureInfo.InvariantCulture);
    }

    private static void PutService(MeshRig rig, string name, string ip, params (int Number, string Protocol)[] ports) => rig.Writer.Put("c1", new Service
    {
        Metadata = new() { Name = name, Namespace = "shop" },
        Spec = new()
        {
            Type = "ClusterIP", ClusterIP = ip, ClusterIPs = [ip], Selector = { ["app"] = name },
            Ports = [.. ports.Select(port => new Isthmus.Kubernetes.Objects.ServicePort
            {
                Name = $"{port.Protocol.ToLowerInvariant()}-{port.Number}", Port = port.Number, Protocol = port.Protocol,
                TargetPort = JsonValue.Create(port.Number)
            })],
        },
    });

    private sealed class NoLogs : ILogFiles
    {
        public Stream Open(string path) => Stream.Null;
    }

    /// <summary>Answers each datagram with its own port.</summary>
    private sealed class Server : IDisposable
    {
        private readonly Socket _socket = new(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);

        internal Server()
        {
            _socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
            Port = ((IPEndPoint)_socket.LocalEndPoint!).Port;
            _ = ServeAsync();
        }

        internal int Port { get; }

        internal static int FreePort()
        {
            using var server = new Server();
            return server.Port;
        }

        public void Dispose() => _socket.Dispose();

        private async Task ServeAsync()
        {
            var buffer = new byte[64];
            try
            {
                while (true)
                {
                    var got = await _socket.ReceiveFromAsync(buffer, SocketFlags.None, new IPEndPoint(IPAddress.Any, 0));
                    await _socket.SendToAsync(Encoding.ASCII.GetBytes(Port.ToString(CultureInfo.InvariantCulture)), SocketFlags.None, got.RemoteEndPoint);
                }
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
            }
        }
    }
}

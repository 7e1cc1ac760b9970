using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Isthmus.ControlPlane.Push;
using Isthmus.Kubernetes.Objects;
using Isthmus.Proxy;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Transports;
using Isthmus.Rigs.Mesh;
using Isthmus.Testing;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;
using TypeUrls = Isthmus.Proxy.Snapshot.TypeUrls;

namespace Isthmus.Tests.Effects.GatewayApi;

/// <summary>A gateway that serves the UDP listeners of Gateway <c>front</c>, and three servers: Services <c>v1</c> and <c>v2</c> of namespace <c>shop</c>, and
/// <c>far</c> of <c>other</c>. Each answers with its name.</summary>
internal sealed class DatagramGateway : IDisposable
{
    private readonly Dictionary<int, int> _ports = new() { [5300] = FreePort(), [5301] = FreePort() };
    private readonly List<Socket> _servers = [];
    private readonly DataPlane _plane;
    private readonly ProxyFeed _feed;

    internal DatagramGateway(string routes)
    {
        Rig = new("c1");
        Put("front", "shop", "10.96.0.20", 0, 5300, 5301);
        Serve("v1", "shop", "10.96.1.1");
        Serve("v2", "shop", "10.96.1.2");
        Serve("far", "other", "10.96.1.3");
        Rig.Config("""
            apiVersion: gateway.networking.k8s.io/v1
            kind: Gateway
            metadata: {name: front, namespace: shop}
            spec: {gatewayClassName: istio, listeners: [{name: one, port: 5300, protocol: UDP}, {name: two, port: 5301, protocol: UDP}]}
            """);
        _feed = Rig.Router("c1", "front", labels: new() { ["gateway.networking.k8s.io/gateway-name"] = "front" });
        _plane = DataPlane.Build(ProxySettings.Default(ProxyIdentity.Unknown, ProxySettings.Gateway),
            new(TimeProvider.System, new ThreadRandom(), new ProcessSockets(), new SystemResolver()), new GatewayProxy.FileNames(), new NoLogs(),
            NullLoggerFactory.Instance);
        Apply(routes);
    }

    internal MeshRig Rig { get; }

    internal void Apply(string config)
    {
        if (config.Length > 0) Rig.Config(config);
        Rig.Push();
        foreach (var type in (string[])[TypeUrls.Cluster, TypeUrls.Endpoints])
            Assert.Empty(_plane.State.Apply(new(type,
                [.. _feed.Snapshot!.Types[type].All.Select(item => new NamedResource(item.Name, item.Version, item.Body))], [], "1")));
        foreach (var (port, free) in _ports)
        {
            if (MeshRig.Listener(_feed, NameOf(port)) is not { } listener) continue;
            listener.Address.SocketAddress.Address = "127.0.0.1";
            listener.Address.SocketAddress.PortValue = (uint)free;
            Assert.Empty(_plane.State.Apply(new(TypeUrls.Listener,
                [new(listener.Name, "1", new Any { TypeUrl = TypeUrls.Listener, Value = listener.ToByteString() })], [], "1")));
        }
        Assert.Empty(_plane.ListenerFailures);
    }

    /// <summary>Which server answers a datagram to a listener of the Gateway; <c>dropped</c>: none gets it; empty: nobody listens.</summary>
    internal async Task<string> AskAsync(int port)
    {
        if (MeshRig.Listener(_feed, NameOf(port)) is null) return "";
        using var client = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        var (buffer, answer, dropped) = (new byte[64], "", _plane.Report.Udp.Of($"0.0.0.0_{port}").NoRoute);
        await Eventually.TrueAsync(() =>
        {
            client.SendTo("who"u8, new IPEndPoint(IPAddress.Loopback, _ports[port]));
            if (client.Poll(TimeSpan.FromMilliseconds(100), SelectMode.SelectRead)) answer = Encoding.ASCII.GetString(buffer, 0, client.Receive(buffer));
            else if (_plane.Report.Udp.Of($"0.0.0.0_{port}").NoRoute > dropped) answer = "dropped";
            return answer.Length > 0;
        });
        return answer;
    }

    /// <summary>The reason of a condition of a route.</summary>
    internal string Reason(string route, string condition) => Rig.Mesh.RouteStatuses.Items.Values.Single(status => status.Source.Name == route).Parents.Single()
        .Conditions.Single(one => one.Type == condition).Reason;

    public void Dispose()
    {
        _plane.Dispose();
        foreach (var server in _servers) server.Dispose();
        Assert.Equal(0, _plane.FailedTasks);
    }

    private static string NameOf(int port) => $"udp_0.0.0.0_{port}";

    private static int FreePort()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return ((IPEndPoint)socket.LocalEndPoint!).Port;
    }

    private void Serve(string name, string ns, string ip)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        _servers.Add(socket);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        Put(name, ns, ip, ((IPEndPoint)socket.LocalEndPoint!).Port, 53);
        _ = AnswerAsync(socket, Encoding.ASCII.GetBytes(name));
    }

    private static async Task AnswerAsync(Socket socket, byte[] name)
    {
        var buffer = new byte[64];
        try
        {
            while (true)
            {
                var got = await socket.ReceiveFromAsync(buffer, SocketFlags.None, new IPEndPoint(IPAddress.Any, 0));
                await socket.SendToAsync(name, SocketFlags.None, got.RemoteEndPoint);
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // The test is over.
        }
    }

    /// <param name="target">The port of the server on this machine; 0: there is none.</param>
    private void Put(string name, string ns, string ip, int target, params int[] ports)
    {
        Rig.Writer.Put("c1", new Service
        {
            Metadata = new() { Name = name, Namespace = ns },
            Spec = new()
            {
                Type = "ClusterIP", ClusterIP = ip, ClusterIPs = [ip], Selector = { ["app"] = name },
                Ports =
                [
                    .. ports.Select(port => new Isthmus.Kubernetes.Objects.ServicePort
                    {
                        Name = $"udp-{port}", Port = port, Protocol = "UDP", TargetPort = JsonValue.Create(target > 0 ? target : port),
                    }),
                ],
            },
        });
        if (target == 0) return;
        Rig.Writer.Put("c1", new EndpointSlice
        {
            Metadata = new() { Name = $"{name}-1", Namespace = ns, Labels = { ["kubernetes.io/service-name"] = name } },
            Endpoints = [new() { Addresses = ["127.0.0.1"], Conditions = new() { Ready = true }, NodeName = "node" }],
            Ports = { new() { Name = "udp-53", Port = target, Protocol = "UDP" } },
        });
    }

    private sealed class NoLogs : ILogFiles
    {
        public Stream Open(string path) => Stream.Null;
    }
}

using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Proxy;
using Isthmus.Proxy.Admin;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Transports;
using Isthmus.Rigs.Proxy;
using Isthmus.Testing;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.Clusters;
using Isthmus.Wire.Envoy.Endpoints;
using Isthmus.Wire.Envoy.Listeners;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Isthmus.Tests.Proxy.Udp;

/// <summary>A real data plane with one listener for datagrams on the loopback interface.</summary>
internal sealed class UdpProxyRig : IDisposable
{
    internal const string ToUp = """ "cluster": "up" """;

    /// <param name="route">The rest of the filter's configuration, as JSON.</param>
    internal UdpProxyRig(string route = ToUp, string limits = "")
    {
        Port = UdpClient.FreePort();
        var ports = new ProxyPorts(TimeProvider.System, new ThreadRandom(), new ProcessSockets(), new SystemResolver()) { ReadText = _ => null };
        Plane = DataPlane.Build(ProxySettings.Default(ProxyIdentity.Unknown, ProxySettings.Gateway), ports, new NoSecrets(), new NoLogs(),
            NullLoggerFactory.Instance);
        foreach (var name in (string[])["up", "other"])
            Apply(TypeUrls.Cluster, name, WireTypes.Strict.Parse<Cluster>(LoopbackProxy.Cluster(name, more: limits)));
        Endpoints("up");
        Endpoints("other");
        Route(route);
    }

    internal int Port { get; }

    internal DataPlane Plane { get; }

    internal static Listener Listener(int port, string route) => WireTypes.Strict.Parse<Listener>($$$"""
        {"name": "udp", "address": {"socket_address": {"protocol": "UDP", "address": "127.0.0.1", "port_value": {{{port}}} } }, "udp_listener_config": {},
         "listener_filters": [{"name": "envoy.filters.udp_listener.udp_proxy", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.udp.udp_proxy.v3.UdpProxyConfig",
           "stat_prefix": "in", {{{route}}} } }] }
        """);

    internal void Route(string route)
    {
        Apply(TypeUrls.Listener, "udp", Listener(Port, route));
        Assert.Empty(Plane.ListenerFailures);
    }

    internal void Endpoints(string cluster, params int[] ports)
    {
        var assignment = new ClusterLoadAssignment { ClusterName = cluster };
        var group = new LocalityLbEndpoints();
        foreach (var port in ports)
            group.LbEndpoints.Add(new LbEndpoint
            {
                Endpoint = new() { Address = new() { SocketAddress = new() { Address = "127.0.0.1", PortValue = (uint)port } } }
            });
        assignment.Endpoints.Add(group);
        Apply(TypeUrls.Endpoints, cluster, assignment);
    }

    internal void Remove() => Assert.Empty(Plane.State.Apply(new(TypeUrls.Listener, [], ["udp"], "2")));

    internal IReadOnlyList<string> Rejections(Listener listener) =>
        [.. Plane.State.Apply(new(TypeUrls.Listener, [Named(TypeUrls.Listener, "udp", listener)], [], "1")).Select(rejection => rejection.Message)];

    /// <summary>A statistic, as <c>/stats</c> has it.</summary>
    internal long Stat(string name)
    {
        var line = StatsText.Plain(Plane, $"^{name.Replace(".", "\\.", StringComparison.Ordinal)}$").Split('\n', StringSplitOptions.RemoveEmptyEntries);
        return line.Length == 0 ? 0 : long.Parse(line[0].Split(": ")[1], System.Globalization.CultureInfo.InvariantCulture);
    }

    public void Dispose() => Plane.Dispose();

    private void Apply(string type, string name, IMessage message) => Assert.Empty(Plane.State.Apply(new(type, [Named(type, name, message)], [], "1")));

    private static NamedResource Named(string type, string name, IMessage message) =>
        new(name, "1", new Any { TypeUrl = type, Value = message.ToByteString() });

    private sealed class NoLogs : ILogFiles
    {
        public Stream Open(string path) => Stream.Null;
    }
}

/// <summary>A server that answers each datagram with its own port and what it got.</summary>
internal sealed class UdpServer : IDisposable
{
    private readonly Socket _socket = new(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);

    internal UdpServer(int port = 0)
    {
        _socket.Bind(new IPEndPoint(IPAddress.Loopback, port));
        Port = ((IPEndPoint)_socket.LocalEndPoint!).Port;
        Serving = ServeAsync();
    }

    internal int Port { get; }

    /// <summary>Who sent, each once.</summary>
    internal ConcurrentDictionary<EndPoint, byte> Callers { get; } = new();

    private Task Serving { get; }

    public void Dispose() => _socket.Dispose();

    private async Task ServeAsync()
    {
        var buffer = new byte[65536];
        try
        {
            while (true)
            {
                var got = await _socket.ReceiveFromAsync(buffer, SocketFlags.None, new IPEndPoint(IPAddress.Any, 0));
                Callers.TryAdd(got.RemoteEndPoint, 0);
                await _socket.SendToAsync(Encoding.ASCII.GetBytes($"{Port}:{Encoding.ASCII.GetString(buffer, 0, got.ReceivedBytes)}"), SocketFlags.None,
                    got.RemoteEndPoint);
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
        }
    }
}

/// <summary>A client with a port of its own.</summary>
internal sealed class UdpClient : IDisposable
{
    private readonly Socket _socket = new(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
    private readonly int _to;

    internal UdpClient(int to)
    {
        _to = to;
        _socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
    }

    internal int Port => ((IPEndPoint)_socket.LocalEndPoint!).Port;

    internal static int FreePort()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return ((IPEndPoint)socket.LocalEndPoint!).Port;
    }

    internal void Send(string text) => _socket.SendTo(Encoding.ASCII.GetBytes(text), new IPEndPoint(IPAddress.Loopback, _to));

    /// <summary>Sends until an answer comes: datagrams may be lost while the configuration changes.</summary>
    internal async Task<string> AskAsync(string text)
    {
        string? answer = null;
        await Eventually.TrueAsync(() =>
        {
            Send(text);
            // What was sent twice may be answered twice.
            do answer = TryReceive(TimeSpan.FromMilliseconds(500));
            while (answer is not null && !answer.EndsWith($":{text}", StringComparison.Ordinal));
            return answer is not null;
        });
        return answer!;
    }

    /// <summary>The port of the server that answers.</summary>
    internal async Task<int> ServerAsync() => int.Parse((await AskAsync("who")).Split(':')[0], System.Globalization.CultureInfo.InvariantCulture);

    internal string? TryReceive(TimeSpan patience)
    {
        var buffer = new byte[65536];
        return _socket.Poll(patience, SelectMode.SelectRead) ? Encoding.ASCII.GetString(buffer, 0, _socket.Receive(buffer)) : null;
    }

    public void Dispose() => _socket.Dispose();
}

using System.Net;
using System.Net.Sockets;
using System.Text;
using Isthmus.Core.Collections;
using Isthmus.Core.Net;
using Isthmus.Lab.Machine.Linux;
using Isthmus.Lab.Machine.Network;
using Xunit;

namespace Isthmus.Tests.Mesh.Lab;

/// <summary>Clusters that consist only of networks: nodes and Pods without processes, in namespaces that end with the
/// test.</summary>
internal sealed class TestNetwork : IAsyncDisposable
{
    private readonly OuterNetwork _outer = OuterNetwork.Create(null);
    private readonly List<IDisposable> _made = [];

    /// <summary>Skips the test if namespaces cannot be created. Run as root, or under <c>unshare -Urnm</c>.</summary>
    internal static TestNetwork Create()
    {
        try
        {
            NamespaceHandle.CreateNetwork().Dispose();
        }
        catch (LinuxException e)
        {
            Assert.Skip($"no permission to make network namespaces ({e.Message}): run as root or under unshare -Urnm");
        }
        return new TestNetwork();
    }

    internal async Task<TestNode> NodeAsync(int ordinal, string? podRange = null)
    {
        var settings = ClusterSettings.Default($"cluster{ordinal}", ordinal);
        if (podRange is not null) settings = settings with { PodRange = Cidr.Parse(podRange) };
        var node = new TestNode(await NodeNetwork.CreateAsync(_outer, settings, null, TestContext.Current.CancellationToken));
        _made.Add(node);
        return node;
    }

    internal static async Task JoinAsync(params TestNode[] nodes)
    {
        foreach (var node in nodes)
        {
            await node.Network.SetPeersAsync(
                nodes.Where(other => other != node).Select(other => new NodePeer(other.Settings.Address, other.Settings.PodRange)).ToValueList(),
                TestContext.Current.CancellationToken);
        }
    }

    public ValueTask DisposeAsync()
    {
        foreach (var one in _made) one.Dispose();
        _outer.Dispose();
        return ValueTask.CompletedTask;
    }
}

internal sealed class TestNode(NodeNetwork network) : IDisposable
{
    private readonly PodNetwork _pods = NamespaceThread.Run(network.Handle, () => new PodNetwork(network.Settings.Address));
    private readonly List<TestPod> _made = [];

    internal NodeNetwork Network => network;

    internal ClusterSettings Settings => network.Settings;

    internal TestPod Self => new(network.Handle, Settings.Address);

    internal async Task<TestPod> PodAsync(string address)
    {
        var pod = new TestPod(NamespaceHandle.CreateNetwork(), IPAddress.Parse(address));
        await _pods.AttachAsync(pod.Handle, pod.Address, TestContext.Current.CancellationToken);
        _made.Add(pod);
        return pod;
    }

    internal Task DetachAsync(TestPod pod) => _pods.DetachAsync(pod.Address, TestContext.Current.CancellationToken);

    internal Task<IReadOnlyList<IPAddress>> AttachedAsync() => _pods.AttachedAsync(TestContext.Current.CancellationToken);

    public void Dispose()
    {
        foreach (var pod in _made) pod.Dispose();
        _pods.Dispose();
        network.Dispose();
    }
}

/// <summary>A namespace with sockets: servers that answer with their name and the caller they saw, and clients that
/// call.</summary>
internal sealed class TestPod(NamespaceHandle handle, IPAddress address) : IDisposable
{
    private readonly List<IDisposable> _sockets = [];

    internal NamespaceHandle Handle => handle;

    internal IPAddress Address => address;

    /// <summary>Answers every TCP connection with "name caller-address".</summary>
    internal TestPod ServeTcp(int port, string name)
    {
        var listener = NamespaceThread.Run(handle, () =>
        {
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            socket.Bind(new IPEndPoint(IPAddress.Any, port));
            socket.Listen();
            return socket;
        });
        _sockets.Add(listener);
        _ = AnswerAsync();
        return this;

        async Task AnswerAsync()
        {
            try
            {
                while (true)
                {
                    using var caller = await listener.AcceptAsync();
                    await caller.SendAsync(Encoding.ASCII.GetBytes($"{name} {((IPEndPoint)caller.RemoteEndPoint!).Address}"));
                }
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                // The test is over.
            }
        }
    }

    internal TestPod ServeUdp(int port, string name)
    {
        var socket = NamespaceThread.Run(handle, () =>
        {
            var made = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
            made.Bind(new IPEndPoint(address, port));
            return made;
        });
        _sockets.Add(socket);
        _ = AnswerAsync();
        return this;

        async Task AnswerAsync()
        {
            var buffer = new byte[512];
            try
            {
                while (true)
                {
                    var got = await socket.ReceiveFromAsync(buffer, new IPEndPoint(IPAddress.Any, 0));
                    await socket.SendToAsync(Encoding.ASCII.GetBytes(name), got.RemoteEndPoint);
                }
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                // The test is over.
            }
        }
    }

    /// <summary>The server's answer, or the name of the error.</summary>
    /// <param name="seconds">How long an answer may take; short only where none may come.</param>
    internal async Task<string> AskAsync(string server, int port, double seconds = 30)
    {
        using var socket = NamespaceThread.Run(handle, () => new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp));
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        patience.CancelAfter(TimeSpan.FromSeconds(seconds));
        try
        {
            await socket.ConnectAsync(new IPEndPoint(IPAddress.Parse(server), port), patience.Token);
            var buffer = new byte[256];
            var read = await socket.ReceiveAsync(buffer, patience.Token);
            return Encoding.ASCII.GetString(buffer, 0, read);
        }
        catch (SocketException e)
        {
            return e.SocketErrorCode.ToString();
        }
        catch (OperationCanceledException) when (!TestContext.Current.CancellationToken.IsCancellationRequested)
        {
            return "no answer";
        }
    }

    internal Socket UdpClient() => NamespaceThread.Run(handle, () => new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp));

    public void Dispose()
    {
        foreach (var socket in _sockets) socket.Dispose();
        handle.Dispose();
    }
}

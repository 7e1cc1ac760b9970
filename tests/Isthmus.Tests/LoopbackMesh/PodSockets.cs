using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using Isthmus.Core.Names;
using Isthmus.Proxy.Transports;

namespace Isthmus.Tests.LoopbackMesh;

/// <summary>The network of one Pod: its loopback and wildcard addresses are its own address, and connections to the
/// application are handed to the proxy as traffic capture hands them.</summary>
internal sealed class PodSockets(IPAddress own) : ISocketFactory
{
    private readonly ConcurrentDictionary<IPEndPoint, IPEndPoint> _redirected = new();

    public Socket Create(AddressFamily family) => new ProcessSockets().Create(family);

    public IPAddress Source => own;

    public IPEndPoint Place(IPEndPoint address) => new(own, address.Port);

    public IPEndPoint? FindOriginalDestination(Socket accepted) =>
        _redirected.TryRemove((IPEndPoint)accepted.RemoteEndPoint!, out var destination) ? destination : null;

    /// <summary>Passes a connection that was made to a port of the application through the proxy's inbound port.</summary>
    internal async Task RedirectAsync(Socket client, CancellationToken stop)
    {
        using var proxy = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        proxy.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _redirected[(IPEndPoint)proxy.LocalEndPoint!] = (IPEndPoint)client.LocalEndPoint!;
        await proxy.ConnectAsync(new IPEndPoint(own, Ports.Inbound), stop);
        await ByteRelay.RunAsync(client, proxy, stop);
    }
}

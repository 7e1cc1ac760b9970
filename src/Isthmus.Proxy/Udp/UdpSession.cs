using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using Isthmus.Proxy.Clusters;
using Isthmus.Proxy.Loops;

namespace Isthmus.Proxy.Udp;

/// <summary>A client's address and port, as the kernel gives them.</summary>
internal readonly record struct ClientKey(UInt128 Address, ushort Port)
{
    public static ClientKey Of(SocketAddress address)
    {
        var bytes = address.Buffer.Span;
        var port = BinaryPrimitives.ReadUInt16BigEndian(bytes[2..]);
        return address.Family == AddressFamily.InterNetwork
            ? new(BinaryPrimitives.ReadUInt32BigEndian(bytes[4..]), port)
            : new(BinaryPrimitives.ReadUInt128BigEndian(bytes[8..]), port);
    }
}

/// <summary>The datagrams of one client, and the host that answers them. Everything happens on the event loop of the listener.</summary>
/// <param name="upstream">Connected to the host.</param>
internal sealed class UdpSession(ClientKey key, IPEndPoint client, ClusterState cluster, Host host, LoopSocket upstream)
{
    public ClientKey Key => key;

    public IPEndPoint Client => client;

    /// <summary>The client's address for the kernel.</summary>
    public SocketAddress Address { get; } = client.Serialize();

    public ClusterState Cluster => cluster;

    public Host Host => host;

    /// <summary>When a datagram last came or went, as a timestamp.</summary>
    public long LastActive { get; set; }

    public bool IsOver { get; private set; }

    /// <summary>Receives the host's datagrams until the session ends.</summary>
    /// <param name="answered">Takes each.</param>
    /// <param name="failed">The host is not there.</param>
    public async Task ReceiveAsync(Action<UdpSession, ReadOnlyMemory<byte>> answered, Action<UdpSession> failed)
    {
        try
        {
            while (!IsOver)
            {
                await upstream.ReceiveAsync(Memory<byte>.Empty).ConfigureAwait(false);
                if (IsOver) return;
                var buffer = UdpListener.Buffer;
                var count = upstream.TryReceive(buffer);
                if (count < 0) continue;
                // Each read takes one datagram, so another one may be there.
                upstream.MayHaveMore = true;
                answered(this, buffer.AsMemory(0, count));
            }
        }
        catch (SocketException)
        {
            if (!IsOver) failed(this);
        }
        catch (ObjectDisposedException)
        {
            // It ended.
        }
    }

    /// <summary>Sends to the host. What the kernel has no room for is lost, as on any way of a datagram.</summary>
    /// <returns>False: it was not sent.</returns>
    /// <exception cref="SocketException">The host is not there.</exception>
    public bool TrySend(ReadOnlySpan<byte> datagram)
    {
        if (upstream.TrySend(datagram) < 0) return false;
        Interlocked.Add(ref cluster.Counters.BytesSent, datagram.Length);
        return true;
    }

    public void End()
    {
        if (IsOver) return;
        IsOver = true;
        upstream.Close();
        host.End();
        cluster.EndConnection();
    }
}

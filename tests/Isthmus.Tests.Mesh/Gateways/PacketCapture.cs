using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using Isthmus.Lab.Machine.Linux;
using Isthmus.Lab.Machine.Network;

namespace Isthmus.Tests.Mesh.Gateways;

/// <summary>
/// Captures every Ethernet frame on an interface of a lab's node, through a packet socket (packet(7)). tcpdump does not
/// work here: it changes its user at startup, which a user namespace with a single ID forbids.
/// </summary>
internal sealed class PacketCapture : IDisposable
{
    private const int AllProtocols = 0x0003;
    private const int LargestFrame = 128 * 1024;

    private readonly Socket _socket;
    private readonly Thread _reader;
    private readonly List<byte[]> _frames = [];
    private volatile bool _ending;

    private PacketCapture(Socket socket)
    {
        _socket = socket;
        _reader = new(Read) { IsBackground = true, Name = "capture" };
        _reader.Start();
    }

    /// <param name="supervisor">The lab's first process, whose mount namespace contains the names of the networks.</param>
    internal static PacketCapture Start(int supervisor, string cluster, string device)
    {
        using var network = NamespaceHandle.OpenNetwork($"/proc/{supervisor}/root{NamespacePaths.Node(cluster)}");
        return new(NamespaceThread.Run(network, () => Open(device)));
    }

    /// <summary>Ends the capture. It contains everything that passed before this call.</summary>
    internal IReadOnlyList<byte[]> End()
    {
        _ending = true;
        _reader.Join();
        return _frames;
    }

    public void Dispose()
    {
        _ending = true;
        _reader.Join();
        _socket.Dispose();
    }

    private static Socket Open(string device)
    {
        // No protocol yet: until the socket is bound, it would receive from every interface.
        var socket = new Socket(AddressFamily.Packet, SocketType.Raw, ProtocolType.IP);
        socket.ReceiveBufferSize = 4 << 20;
        socket.Bind(new LinkAddress(NetworkInterface.GetAllNetworkInterfaces().Single(one => one.Name == device).GetIPProperties().GetIPv4Properties().Index));
        return socket;
    }

    private void Read()
    {
        var buffer = new byte[LargestFrame];
        while (true)
        {
            // Checked before the read, so that frames that passed before the end are still read.
            var last = _ending;
            while (_socket.Poll(last ? TimeSpan.Zero : TimeSpan.FromMilliseconds(20), SelectMode.SelectRead))
            {
                _frames.Add(buffer[.._socket.Receive(buffer)]);
            }
            if (last) return;
        }
    }

    /// <summary>A <c>sockaddr_ll</c> that names an interface.</summary>
    private sealed class LinkAddress(int index) : EndPoint
    {
        public override AddressFamily AddressFamily => AddressFamily.Packet;

        public override SocketAddress Serialize()
        {
            var address = new SocketAddress(AddressFamily.Packet, 20);
            address[3] = AllProtocols;
            BitConverter.TryWriteBytes(address.Buffer.Span[4..], index);
            return address;
        }
    }
}

using System.Net;
using System.Net.Sockets;

namespace Isthmus.Tests.LoopbackMesh;

/// <summary>A /16 of the loopback network that no other test process uses at the same time. Each Pod has an address of
/// its own in it, so all can use the ports of Istio.</summary>
internal sealed class LoopbackRange : IDisposable
{
    private const int LockPort = 15999, First = 16, Last = 250;

    private readonly Socket _lock;

    private LoopbackRange(byte second, Socket held) => (Second, _lock) = (second, held);

    private byte Second { get; }

    internal static LoopbackRange Reserve()
    {
        for (var second = new Random().Next(First, Last); ; second = second < Last ? second + 1 : First)
        {
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            try
            {
                socket.Bind(new IPEndPoint(Address((byte)second, 0, 1), LockPort));
                return new((byte)second, socket);
            }
            catch (SocketException)
            {
                socket.Dispose();
            }
        }
    }

    internal IPAddress Address(int third, int last) => Address(Second, third, last);

    public void Dispose() => _lock.Dispose();

    private static IPAddress Address(byte second, int third, int last) => new([127, second, (byte)third, (byte)last]);
}

using System.Buffers.Binary;
using System.Net.Sockets;

namespace Isthmus.Proxy.Transports;

/// <summary>What the kernel knows about a connection.</summary>
/// <param name="Unacknowledged">Segments that were sent and that the peer has not acknowledged.</param>
/// <param name="Retransmissions">How often in a row the oldest of them was retransmitted; the wait doubles each time.</param>
/// <param name="LastAck">Time since the peer acknowledged anything.</param>
internal readonly record struct TcpInfo(uint Unacknowledged, int Retransmissions, TimeSpan LastAck)
{
    // linux/tcp.h: TCP_INFO, and fields of struct tcp_info.
    private const int Level = 6, Option = 11, RetransmitsAt = 2, UnackedAt = 24, LastAckAt = 56, Length = 60;

    /// <summary>Null if the socket is closed.</summary>
    public static TcpInfo? Read(Socket socket)
    {
        Span<byte> info = stackalloc byte[Length];
        try
        {
            if (socket.GetRawSocketOption(Level, Option, info) < Length) return null;
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            return null;
        }
        return new(Field(info, UnackedAt), info[RetransmitsAt], TimeSpan.FromMilliseconds(Field(info, LastAckAt)));
    }

    private static uint Field(ReadOnlySpan<byte> info, int at) =>
        BitConverter.IsLittleEndian ? BinaryPrimitives.ReadUInt32LittleEndian(info[at..]) : BinaryPrimitives.ReadUInt32BigEndian(info[at..]);
}

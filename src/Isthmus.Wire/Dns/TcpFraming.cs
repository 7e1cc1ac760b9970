using System.Buffers.Binary;

namespace Isthmus.Wire.Dns;

/// <summary>DNS messages over TCP: two bytes of length come first (RFC 1035, section 4.2.2).</summary>
public static class TcpFraming
{
    public static async ValueTask WriteAsync(Stream stream, ReadOnlyMemory<byte> message, CancellationToken stop)
    {
        var framed = new byte[message.Length + 2];
        BinaryPrimitives.WriteUInt16BigEndian(framed, (ushort)message.Length);
        message.CopyTo(framed.AsMemory(2));
        await stream.WriteAsync(framed, stop).ConfigureAwait(false);
    }

    /// <summary>Null at the end of the stream.</summary>
    public static async ValueTask<byte[]?> ReadAsync(Stream stream, CancellationToken stop)
    {
        var length = new byte[2];
        if (await stream.ReadAtLeastAsync(length, 2, throwOnEndOfStream: false, stop).ConfigureAwait(false) < 2) return null;
        var message = new byte[BinaryPrimitives.ReadUInt16BigEndian(length)];
        return await stream.ReadAtLeastAsync(message, message.Length, throwOnEndOfStream: false, stop).ConfigureAwait(false) == message.Length ? message : null;
    }
}

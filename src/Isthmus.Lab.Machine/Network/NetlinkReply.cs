using System.Buffers.Binary;
using System.Text;

namespace Isthmus.Lab.Machine.Network;

/// <summary>One message of the kernel: its type, the data after the header, and how to iterate over its
/// attributes.</summary>
internal readonly ref struct NetlinkReply(ushort type, ushort flags, uint sequence, ReadOnlySpan<byte> body)
{
    internal const ushort Error = 2, Done = 3;
    private const ushort CappedFlag = 0x100, TextFlag = 0x200;
    private const ushort MessageAttribute = 1;

    internal ushort Type { get; } = type;

    internal ushort Flags { get; } = flags;

    internal uint Sequence { get; } = sequence;

    internal ReadOnlySpan<byte> Body { get; } = body;

    /// <summary>Takes the first message off <paramref name="datagram"/>; false when the rest is not a complete
    /// message.</summary>
    internal static bool TryRead(ref ReadOnlySpan<byte> datagram, out NetlinkReply reply)
    {
        reply = default;
        if (datagram.Length < NetlinkMessage.HeaderSize) return false;
        var length = BinaryPrimitives.ReadInt32LittleEndian(datagram);
        if (length < NetlinkMessage.HeaderSize || length > datagram.Length) return false;
        reply = new NetlinkReply(
            BinaryPrimitives.ReadUInt16LittleEndian(datagram[4..]),
            BinaryPrimitives.ReadUInt16LittleEndian(datagram[6..]),
            BinaryPrimitives.ReadUInt32LittleEndian(datagram[8..]),
            datagram[NetlinkMessage.HeaderSize..length]);
        datagram = datagram[Math.Min(NetlinkMessage.Aligned(length), datagram.Length)..];
        return true;
    }

    /// <summary>The errno of an <see cref="Error"/> message (0: an acknowledgement) and the kernel's explanation, if it gave one.</summary>
    internal (int Errno, string Explanation) ReadError()
    {
        if (Body.Length < 4 + NetlinkMessage.HeaderSize) return (0, "");
        var errno = -BinaryPrimitives.ReadInt32LittleEndian(Body);
        if ((Flags & TextFlag) == 0) return (errno, "");
        // The echoed request comes before the attributes. It is complete unless a flag says that the kernel cut it to the
        // header.
        var echoed = (Flags & CappedFlag) != 0 ? NetlinkMessage.HeaderSize : BinaryPrimitives.ReadInt32LittleEndian(Body[4..]);
        if (echoed < 0 || 4L + echoed > Body.Length) return (errno, "");
        var attributes = Body[Math.Min(4 + NetlinkMessage.Aligned(echoed), Body.Length)..];
        while (TryReadAttribute(ref attributes, out var type, out var value))
        {
            if (type == MessageAttribute) return (errno, Encoding.UTF8.GetString(value.TrimEnd((byte)0)));
        }
        return (errno, "");
    }

    internal static bool TryReadAttribute(ref ReadOnlySpan<byte> attributes, out ushort type, out ReadOnlySpan<byte> value)
    {
        type = 0;
        value = default;
        if (attributes.Length < 4) return false;
        var length = BinaryPrimitives.ReadUInt16LittleEndian(attributes);
        if (length < 4 || length > attributes.Length) return false;
        type = (ushort)(BinaryPrimitives.ReadUInt16LittleEndian(attributes[2..]) & 0x3fff);
        value = attributes[4..length];
        attributes = attributes[Math.Min(NetlinkMessage.Aligned(length), attributes.Length)..];
        return true;
    }
}

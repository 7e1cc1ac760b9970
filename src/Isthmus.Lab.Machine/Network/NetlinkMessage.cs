using System.Buffers.Binary;
using System.Net;
using System.Text;

namespace Isthmus.Lab.Machine.Network;

/// <summary>Builds one netlink request: header, fixed part, attributes. It pads attributes to four bytes; <see
/// cref="Nest"/> closes the nested ones.</summary>
/// <remarks>Formats: netlink(7), rtnetlink(7), linux/if_link.h. Numbers are in host byte order.</remarks>
internal sealed class NetlinkMessage
{
    internal const int HeaderSize = 16;

    internal const ushort NewLink = 16, DeleteLink = 17, GetLink = 18, NewAddress = 20, DeleteAddress = 21, GetAddress = 22;
    internal const ushort NewRoute = 24, DeleteRoute = 25, GetRoute = 26;
    internal const ushort Request = 1, Acknowledge = 4, Dump = 0x300, Replace = 0x100, Exclusive = 0x200, Create = 0x400;
    private const ushort NestedFlag = 0x8000;

    private byte[] _buffer = new byte[256];
    private int _length = HeaderSize;

    internal NetlinkMessage(ushort type, ushort flags)
    {
        BinaryPrimitives.WriteUInt16LittleEndian(_buffer.AsSpan(4), type);
        BinaryPrimitives.WriteUInt16LittleEndian(_buffer.AsSpan(6), (ushort)(flags | Request));
    }

    /// <summary>struct ifinfomsg.</summary>
    internal NetlinkMessage Link(int index, uint flags = 0, uint change = 0)
    {
        var body = Extend(16);
        BinaryPrimitives.WriteInt32LittleEndian(body[4..], index);
        BinaryPrimitives.WriteUInt32LittleEndian(body[8..], flags);
        BinaryPrimitives.WriteUInt32LittleEndian(body[12..], change);
        return this;
    }

    /// <summary>struct ifaddrmsg.</summary>
    internal NetlinkMessage InterfaceAddress(byte family, byte prefixLength, byte scope, int index)
    {
        var body = Extend(8);
        body[0] = family;
        body[1] = prefixLength;
        body[3] = scope;
        BinaryPrimitives.WriteInt32LittleEndian(body[4..], index);
        return this;
    }

    /// <summary>struct rtmsg.</summary>
    internal NetlinkMessage Route(byte family, byte prefixLength, byte table, byte protocol, byte scope, byte type, uint flags)
    {
        var body = Extend(12);
        body[0] = family;
        body[1] = prefixLength;
        body[4] = table;
        body[5] = protocol;
        body[6] = scope;
        body[7] = type;
        BinaryPrimitives.WriteUInt32LittleEndian(body[8..], flags);
        return this;
    }

    internal NetlinkMessage Bytes(ushort type, ReadOnlySpan<byte> value)
    {
        var attribute = Extend(4 + Aligned(value.Length));
        BinaryPrimitives.WriteUInt16LittleEndian(attribute, (ushort)(4 + value.Length));
        BinaryPrimitives.WriteUInt16LittleEndian(attribute[2..], type);
        value.CopyTo(attribute[4..]);
        return this;
    }

    internal NetlinkMessage Text(ushort type, string value) => Bytes(type, Encoding.UTF8.GetBytes(value + "\0"));

    internal NetlinkMessage Number(ushort type, int value)
    {
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteInt32LittleEndian(bytes, value);
        return Bytes(type, bytes);
    }

    internal NetlinkMessage Address(ushort type, IPAddress value) => Bytes(type, value.GetAddressBytes());

    /// <summary>Writes the attributes of <paramref name="content"/> inside an attribute.</summary>
    internal NetlinkMessage Nest(ushort type, Action<NetlinkMessage> content)
    {
        var start = _length;
        Extend(4);
        content(this);
        BinaryPrimitives.WriteUInt16LittleEndian(_buffer.AsSpan(start), (ushort)(_length - start));
        BinaryPrimitives.WriteUInt16LittleEndian(_buffer.AsSpan(start + 2), (ushort)(type | NestedFlag));
        return this;
    }

    /// <summary>The finished message.</summary>
    internal ReadOnlySpan<byte> Finish(uint sequence)
    {
        BinaryPrimitives.WriteInt32LittleEndian(_buffer, _length);
        BinaryPrimitives.WriteUInt32LittleEndian(_buffer.AsSpan(8), sequence);
        return _buffer.AsSpan(0, _length);
    }

    internal static int Aligned(int length) => (length + 3) & ~3;

    private Span<byte> Extend(int count)
    {
        if (_length + count > _buffer.Length) Array.Resize(ref _buffer, Math.Max(_buffer.Length * 2, _length + count));
        var added = _buffer.AsSpan(_length, count);
        added.Clear();
        _length += count;
        return added;
    }
}

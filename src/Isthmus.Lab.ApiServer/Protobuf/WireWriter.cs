using System.Buffers;
using System.Text;

namespace Isthmus.Lab.ApiServer.Protobuf;

/// <summary>Writes one protobuf message, field by field.</summary>
internal sealed class WireWriter
{
    private readonly ArrayBufferWriter<byte> _buffer = new();

    internal ReadOnlySpan<byte> Written => _buffer.WrittenSpan;

    internal byte[] ToArray() => _buffer.WrittenSpan.ToArray();

    /// <summary>Empty texts are left out.</summary>
    internal WireWriter Text(int field, string text)
    {
        if (text.Length > 0) Bytes(field, Encoding.UTF8.GetBytes(text));
        return this;
    }

    internal WireWriter Bytes(int field, ReadOnlySpan<byte> bytes)
    {
        Varint((ulong)((field << 3) | 2));
        Varint((ulong)bytes.Length);
        _buffer.Write(bytes);
        return this;
    }

    internal WireWriter Message(int field, WireWriter message) => Bytes(field, message.Written);

    private void Varint(ulong value)
    {
        var span = _buffer.GetSpan(10);
        var length = 0;
        while (value >= 0x80)
        {
            span[length++] = (byte)(value | 0x80);
            value >>= 7;
        }
        span[length++] = (byte)value;
        _buffer.Advance(length);
    }
}

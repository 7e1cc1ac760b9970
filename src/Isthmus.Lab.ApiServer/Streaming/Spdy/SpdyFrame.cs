using System.Buffers.Binary;

namespace Isthmus.Lab.ApiServer.Streaming.Spdy;

internal enum SpdyFrameType { Data = 0, SynStream = 1, SynReply = 2, RstStream = 3, Settings = 4, Ping = 6, GoAway = 7, Headers = 8, WindowUpdate = 9 }

/// <summary>One frame of SPDY/3.1. A control frame's payload is left as bytes.</summary>
/// <param name="Stream">The stream of a data frame; 0 for control frames, whose payload begins with it.</param>
internal readonly record struct SpdyFrame(SpdyFrameType Type, byte Flags, uint Stream, ReadOnlyMemory<byte> Payload)
{
    internal const int HeaderLength = 8, Version = 3, LongestPayload = 1 << 20;
    internal const byte Fin = 1;

    internal bool IsLast => (Flags & Fin) != 0;

    /// <summary>The number at an offset of a control frame's payload, without its reserved bit.</summary>
    internal uint Number(int offset) => Payload.Length >= offset + 4
        ? BinaryPrimitives.ReadUInt32BigEndian(Payload.Span[offset..]) & 0x7fffffff
        : throw new InvalidDataException($"a {Type} frame is too short");

    /// <summary>Null at the end of the connection.</summary>
    /// <exception cref="InvalidDataException">The frame is not SPDY/3, or too long.</exception>
    internal static async Task<SpdyFrame?> ReadAsync(Stream from, CancellationToken stop)
    {
        var header = new byte[HeaderLength];
        var read = await from.ReadAtLeastAsync(header, HeaderLength, throwOnEndOfStream: false, stop);
        if (read < HeaderLength) return null;
        var (type, flags, stream, length) = ParseHeader(header);
        var payload = new byte[length];
        await from.ReadExactlyAsync(payload, stop);
        return new(type, flags, stream, payload);
    }

    internal static (SpdyFrameType Type, byte Flags, uint Stream, int Length) ParseHeader(ReadOnlySpan<byte> header)
    {
        var first = BinaryPrimitives.ReadUInt32BigEndian(header);
        var length = (int)(BinaryPrimitives.ReadUInt32BigEndian(header[4..]) & 0xffffff);
        if (length > LongestPayload) throw new InvalidDataException($"a SPDY frame of {length} bytes is longer than {LongestPayload}");
        if ((first & 0x80000000) == 0) return (SpdyFrameType.Data, header[4], first, length);
        if (((first >> 16) & 0x7fff) != Version) throw new InvalidDataException($"SPDY version {(first >> 16) & 0x7fff} instead of {Version}");
        return ((SpdyFrameType)(first & 0xffff), header[4], 0, length);
    }

    internal byte[] ToBytes()
    {
        var bytes = new byte[HeaderLength + Payload.Length];
        var first = Type == SpdyFrameType.Data ? Stream : 0x80000000 | Version << 16 | (uint)Type;
        BinaryPrimitives.WriteUInt32BigEndian(bytes, first);
        BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(4), (uint)Flags << 24 | (uint)Payload.Length);
        Payload.CopyTo(bytes.AsMemory(HeaderLength));
        return bytes;
    }

    internal static SpdyFrame Control(SpdyFrameType type, byte flags, params ReadOnlySpan<uint> numbers)
    {
        var payload = new byte[numbers.Length * 4];
        for (var i = 0; i < numbers.Length; i++) BinaryPrimitives.WriteUInt32BigEndian(payload.AsSpan(i * 4), numbers[i]);
        return new(type, flags, 0, payload);
    }
}

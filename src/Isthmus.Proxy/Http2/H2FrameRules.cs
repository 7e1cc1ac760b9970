using System.Buffers.Binary;

namespace Isthmus.Proxy.Http2;

/// <summary>What each frame must satisfy by itself, whatever the state of its connection (RFC 9113 section 6).</summary>
internal static class H2FrameRules
{
    /// <exception cref="H2ConnectionException">The frame has the wrong size or belongs to the wrong kind of stream.</exception>
    public static void Check(H2Frame type, H2Flags flags, int id, ReadOnlySpan<byte> payload)
    {
        switch (type)
        {
            case H2Frame.Data or H2Frame.Headers or H2Frame.Continuation or H2Frame.PushPromise:
                OfStream(type, id);
                break;
            case H2Frame.Priority:
                OfStream(type, id);
                Size(type, payload.Length == 5);
                // RFC 9113 has no priorities; their frames are ignored. RFC 7540 (section 5.3.1) forbids this one: its sender is broken.
                if (DependsOn(payload) == id) throw Broken("a stream that depends on itself");
                break;
            case H2Frame.Reset:
                OfStream(type, id);
                Size(type, payload.Length == 4);
                break;
            case H2Frame.Settings:
                OfConnection(type, id);
                Size(type, flags.HasFlag(H2Flags.Ack) ? payload.IsEmpty : payload.Length % 6 == 0);
                break;
            case H2Frame.Ping:
                OfConnection(type, id);
                Size(type, payload.Length == 8);
                break;
            case H2Frame.GoAway:
                OfConnection(type, id);
                Size(type, payload.Length >= 8);
                break;
            case H2Frame.WindowUpdate:
                Size(type, payload.Length == 4);
                break;
        }
    }

    /// <summary>The header block of a HEADERS frame, without padding and priority.</summary>
    /// <exception cref="H2ConnectionException">They are longer than the frame, or the stream depends on itself.</exception>
    public static ReadOnlySpan<byte> HeaderBlock(H2Flags flags, int id, ReadOnlySpan<byte> payload)
    {
        var block = Unpad(flags, payload);
        if (!flags.HasFlag(H2Flags.Priority)) return block;
        Size(H2Frame.Headers, block.Length >= 5);
        if (DependsOn(block) == id) throw Broken("a stream that depends on itself");
        return block[5..];
    }

    /// <exception cref="H2ConnectionException">The padding is longer than the frame.</exception>
    public static ReadOnlySpan<byte> Unpad(H2Flags flags, ReadOnlySpan<byte> payload)
    {
        if (!flags.HasFlag(H2Flags.Padded)) return payload;
        if (payload.IsEmpty || payload[0] >= payload.Length) throw Broken("more padding than frame");
        return payload[1..^payload[0]];
    }

    private static int DependsOn(ReadOnlySpan<byte> priority) => BinaryPrimitives.ReadInt32BigEndian(priority) & int.MaxValue;

    private static void OfStream(H2Frame type, int id)
    {
        if (id == 0) throw Broken($"{type} frame without a stream");
    }

    private static void OfConnection(H2Frame type, int id)
    {
        if (id != 0) throw Broken($"{type} frame on a stream");
    }

    private static void Size(H2Frame type, bool isRight)
    {
        if (!isRight) throw new H2ConnectionException(H2Error.FrameSize, $"{type} frame of the wrong size");
    }

    private static H2ConnectionException Broken(string what) => new(H2Error.Protocol, what);
}

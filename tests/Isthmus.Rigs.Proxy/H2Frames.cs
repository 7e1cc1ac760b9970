using System.Buffers.Binary;
using System.Text;
using Isthmus.Proxy.Http2;
using Isthmus.Proxy.Messages;

namespace Isthmus.Rigs.Proxy;

/// <summary>A frame as it is on the wire.</summary>
internal sealed record H2Said(H2Frame Type, H2Flags Flags, int Id, byte[] Payload)
{
    /// <summary>The error of a RST_STREAM or GOAWAY frame.</summary>
    internal H2Error Error => (H2Error)BinaryPrimitives.ReadInt32BigEndian(Payload.AsSpan(Type == H2Frame.GoAway ? 4 : 0));

    internal int Number => BinaryPrimitives.ReadInt32BigEndian(Payload);
}

/// <summary>Writes and reads frames of HTTP/2, also ones that break the protocol.</summary>
internal static class H2Frames
{
    internal const H2Flags Whole = H2Flags.EndHeaders | H2Flags.EndStream;

    internal static byte[] Frame(H2Frame type, H2Flags flags, int id, params ReadOnlySpan<byte> payload)
    {
        var frame = new byte[9 + payload.Length];
        BinaryPrimitives.WriteInt32BigEndian(frame, payload.Length << 8);
        frame[3] = (byte)type;
        frame[4] = (byte)flags;
        BinaryPrimitives.WriteInt32BigEndian(frame.AsSpan(5), id);
        payload.CopyTo(frame.AsSpan(9));
        return frame;
    }

    internal static byte[] Settings(params (int Setting, long Value)[] settings)
    {
        var payload = new byte[settings.Length * 6];
        for (var i = 0; i < settings.Length; i++)
        {
            BinaryPrimitives.WriteUInt16BigEndian(payload.AsSpan(i * 6), (ushort)settings[i].Setting);
            BinaryPrimitives.WriteUInt32BigEndian(payload.AsSpan(i * 6 + 2), (uint)settings[i].Value);
        }
        return Frame(H2Frame.Settings, H2Flags.None, 0, payload);
    }

    internal static byte[] WindowUpdate(int id, int more) => Frame(H2Frame.WindowUpdate, H2Flags.None, id, Number(more));

    internal static byte[] Reset(int id, H2Error error = H2Error.Cancel) => Frame(H2Frame.Reset, H2Flags.None, id, Number((int)error));

    internal static byte[] Data(int id, int length, bool isLast = false) =>
        Frame(H2Frame.Data, isLast ? H2Flags.EndStream : H2Flags.None, id, new byte[length]);

    /// <summary>The head of a request for <c>/</c>.</summary>
    internal static byte[] Get(int id, H2Flags flags = Whole, string more = "") =>
        Frame(H2Frame.Headers, flags, id, Block(":method GET|:scheme http|:path /|:authority a" + more));

    internal static byte[] Post(int id, string more = "") =>
        Frame(H2Frame.Headers, H2Flags.EndHeaders, id, Block(":method POST|:scheme http|:path /|:authority a" + more));

    /// <summary>Fields like <c>:method GET|te trailers</c>, encoded.</summary>
    internal static byte[] Block(string fields)
    {
        using var block = new ByteWriter();
        foreach (var field in fields.Split('|'))
        {
            var space = field.IndexOf(' ', StringComparison.Ordinal);
            HpackEncoder.Write(block, Encoding.Latin1.GetBytes(field[..space]), Encoding.Latin1.GetBytes(field[(space + 1)..]));
        }
        return block.Written.ToArray();
    }

    internal static byte[] Number(int value)
    {
        var bytes = new byte[4];
        BinaryPrimitives.WriteInt32BigEndian(bytes, value);
        return bytes;
    }

    internal static List<H2Said> Parse(ReadOnlySpan<byte> bytes)
    {
        var frames = new List<H2Said>();
        while (!bytes.IsEmpty)
        {
            var length = BinaryPrimitives.ReadInt32BigEndian(bytes) >>> 8;
            frames.Add(new((H2Frame)bytes[3], (H2Flags)bytes[4], BinaryPrimitives.ReadInt32BigEndian(bytes[5..]), bytes.Slice(9, length).ToArray()));
            bytes = bytes[(9 + length)..];
        }
        return frames;
    }
}

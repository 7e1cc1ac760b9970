using System.Globalization;
using Isthmus.Proxy.Http2;
using Isthmus.Rigs.Proxy;
using Isthmus.Tests.Proxy.Http;

namespace Isthmus.Tests.Proxy.Envoys;

/// <summary>Reads and writes frames of one stream.</summary>
internal static class FrameReader
{
    internal static async Task<H2Said> ReadAsync(Stream stream)
    {
        var head = new byte[9];
        await stream.ReadExactlyAsync(head);
        var frame = new byte[9 + ((head[0] << 16) | (head[1] << 8) | head[2])];
        head.CopyTo(frame, 0);
        await stream.ReadExactlyAsync(frame.AsMemory(9));
        return H2Frames.Parse(frame)[0];
    }

    /// <summary>The fields of a HEADERS frame, without padding and priority.</summary>
    internal static byte[] BlockOf(H2Said frame)
    {
        var payload = frame.Payload.AsSpan();
        if (((int)frame.Flags & 8) != 0) payload = payload[1..^payload[0]];
        if (((int)frame.Flags & 32) != 0) payload = payload[5..];
        return payload.ToArray();
    }

    /// <summary>Sends a message: fields, then a body and trailers, each after <c>||</c>. It may end with <c>[reset CODE]</c> or <c>[goaway CODE]</c>.</summary>
    internal static async Task SayAsync(Stream stream, int id, string script)
    {
        var end = script.LastIndexOf('[');
        var then = end < 0 ? "" : script[end..].Trim('[', ']');
        var parts = (end < 0 ? script : script[..end]).Split("||");
        var isOpen = then.Length > 0;
        List<byte> said = []; // in one piece: what a proxy has heard must not depend on when it listens
        if (parts[0].Length > 0) said.AddRange(H2Frames.Frame(H2Frame.Headers, H2Flags.EndHeaders | Last(parts.Length == 1), id, H2Frames.Block(parts[0])));
        if (parts.Length > 1) said.AddRange(H2Frames.Frame(H2Frame.Data, Last(parts.Length == 2), id, ProxyCase.Bytes(parts[1])));
        if (parts.Length > 2) said.AddRange(H2Frames.Frame(H2Frame.Headers, H2Flags.EndHeaders | Last(true), id, H2Frames.Block(parts[2])));
        if (then.Split(' ') is [var kind, var code])
        {
            var error = int.Parse(code, CultureInfo.InvariantCulture);
            said.AddRange(kind == "reset" ? H2Frames.Reset(id, (H2Error)error)
                : H2Frames.Frame(H2Frame.GoAway, H2Flags.None, 0, [.. H2Frames.Number(0), .. H2Frames.Number(error)]));
        }
        await stream.WriteAsync(said.ToArray());
        H2Flags Last(bool isLast) => isLast && !isOpen ? H2Flags.EndStream : H2Flags.None;
    }
}

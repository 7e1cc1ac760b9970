using System.Buffers.Binary;
using System.Text;

namespace Isthmus.Lab.ApiServer.Streaming.Spdy;

/// <summary>Header blocks of SPDY/3: names in lower case, values; compressed as one zlib stream for each direction.</summary>
internal sealed class SpdyHeaders
{
    private const int LongestBlock = 64 * 1024, MostHeaders = 256, LongestStored = 65535;

    private readonly Inflater _inflater = new(SpdyDictionary.Bytes);
    private bool _begun;

    /// <exception cref="InvalidDataException">The block is malformed or too long.</exception>
    internal Dictionary<string, string> Decode(ReadOnlySpan<byte> compressed)
    {
        ReadOnlySpan<byte> block = _inflater.Inflate(compressed, LongestBlock);
        var count = ReadLength(ref block);
        if (count > MostHeaders) throw new InvalidDataException($"more than {MostHeaders} headers");
        var headers = new Dictionary<string, string>(StringComparer.Ordinal);
        for (var i = 0; i < count; i++)
        {
            var name = ReadText(ref block).ToLowerInvariant();
            headers[name] = ReadText(ref block);
        }
        return headers;
    }

    /// <summary>Stored blocks only: ours are few and short, and every zlib reads them without the dictionary.</summary>
    internal byte[] Encode(IReadOnlyDictionary<string, string> headers)
    {
        using var block = new MemoryStream();
        WriteLength(block, headers.Count);
        foreach (var (name, value) in headers)
        {
            WriteText(block, name.ToLowerInvariant());
            WriteText(block, value);
        }
        if (block.Length > LongestStored) throw new InvalidDataException("headers are too long");
        using var stream = new MemoryStream();
        if (!_begun) stream.Write([0x78, 0x01]);
        _begun = true;
        var length = (ushort)block.Length;
        Span<byte> head = stackalloc byte[5];
        BinaryPrimitives.WriteUInt16LittleEndian(head[1..], length);
        BinaryPrimitives.WriteUInt16LittleEndian(head[3..], (ushort)~length);
        stream.Write(head);
        block.WriteTo(stream);
        // Go's reader hands out what it has only when it meets a flush.
        stream.Write([0, 0, 0, 0xff, 0xff]);
        return stream.ToArray();
    }

    private static int ReadLength(ref ReadOnlySpan<byte> block)
    {
        if (block.Length < 4) throw new InvalidDataException("a header block ends in the middle");
        var length = BinaryPrimitives.ReadUInt32BigEndian(block);
        block = block[4..];
        return length <= LongestBlock ? (int)length : throw new InvalidDataException("a header is too long");
    }

    private static string ReadText(ref ReadOnlySpan<byte> block)
    {
        var length = ReadLength(ref block);
        if (block.Length < length) throw new InvalidDataException("a header block ends in the middle");
        var text = Encoding.UTF8.GetString(block[..length]);
        block = block[length..];
        return text;
    }

    private static void WriteLength(MemoryStream to, int length)
    {
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteInt32BigEndian(bytes, length);
        to.Write(bytes);
    }

    private static void WriteText(MemoryStream to, string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        WriteLength(to, bytes.Length);
        to.Write(bytes);
    }
}

using System.Text;
using Isthmus.Proxy.Messages;

namespace Isthmus.Proxy.Http2;

/// <summary>The fields that every HPACK peer knows (RFC 7541 appendix A).</summary>
internal static class HpackStaticTable
{
    public const int Count = 61;

    private static readonly (byte[] Name, byte[] Value)[] Fields = Parse(
        ":authority|;:method|GET;:method|POST;:path|/;:path|/index.html;:scheme|http;:scheme|https;:status|200;:status|204;:status|206;:status|304;"
            + ":status|400;:status|404;:status|500;accept-charset|;accept-encoding|gzip, deflate;accept-language|;accept-ranges|;accept|;"
            + "access-control-allow-origin|;age|;allow|;authorization|;cache-control|;content-disposition|;content-encoding|;content-language|;"
            + "content-length|;content-location|;content-range|;content-type|;cookie|;date|;etag|;expect|;expires|;from|;host|;if-match|;"
            + "if-modified-since|;if-none-match|;if-range|;if-unmodified-since|;last-modified|;link|;location|;max-forwards|;proxy-authenticate|;"
            + "proxy-authorization|;range|;referer|;refresh|;retry-after|;server|;set-cookie|;strict-transport-security|;transfer-encoding|;user-agent|;"
            + "vary|;via|;www-authenticate|");

    // The places of the fields whose name has that length.
    private static readonly int[][] ByLength =
        [.. Enumerable.Range(0, Fields.Max(f => f.Name.Length) + 1)
            .Select(length => Enumerable.Range(0, Fields.Length).Where(i => Fields[i].Name.Length == length).ToArray())];

    public static (byte[] Name, byte[] Value) Get(int index) => Fields[index - 1];

    /// <summary>The index of a field of that name, one with that value if there is one; 0 when there is none.</summary>
    public static int Find(ReadOnlySpan<byte> name, ReadOnlySpan<byte> value, out bool hasValue)
    {
        hasValue = false;
        var found = 0;
        foreach (var i in name.Length < ByLength.Length ? ByLength[name.Length] : [])
        {
            if (!name.SequenceEqual(Fields[i].Name)) continue;
            if (value.SequenceEqual(Fields[i].Value))
            {
                hasValue = true;
                return i + 1;
            }
            if (found == 0) found = i + 1;
        }
        return found;
    }

    private static (byte[], byte[])[] Parse(string text) =>
        [.. text.Split(';').Select(f => f.Split('|')).Select(p => (Encoding.ASCII.GetBytes(p[0]), Encoding.ASCII.GetBytes(p[1])))];
}

/// <summary>Takes decoded fields one by one.</summary>
internal delegate void HpackField(ReadOnlySpan<byte> name, ReadOnlySpan<byte> value);

/// <summary>Decodes header blocks of one connection. Each block depends on those before it: one that fails ends the connection.</summary>
internal sealed class HpackDecoder(int maxTableSize, int maxListBytes)
{
    /// <summary>What a field counts beyond its name and value (RFC 7541 section 4.1).</summary>
    public const int EntryOverhead = 32;

    private readonly List<(byte[] Name, byte[] Value)> _table = [];   // the newest is last
    private int _tableSize;
    private readonly int _maxTableSize = maxTableSize;
    private int _tableLimit = maxTableSize;
    private byte[] _scratch = new byte[4096];

    /// <exception cref="H2ConnectionException">The block is not HPACK, or larger than allowed.</exception>
    public void Decode(ReadOnlySpan<byte> block, HpackField take)
    {
        var total = 0;
        var mayResize = true;
        while (!block.IsEmpty)
        {
            var first = block[0];
            if ((first & 0xe0) == 0x20)
            {
                if (!mayResize) throw Broken("a table size update after fields");
                Resize(ReadNumber(ref block, 5));
                continue;
            }
            mayResize = false;
            ReadOnlySpan<byte> name;
            ReadOnlySpan<byte> value;
            if ((first & 0x80) != 0)
            {
                (name, value) = At(ReadNumber(ref block, 7));
            }
            else
            {
                var isIndexed = (first & 0x40) != 0;
                var index = ReadNumber(ref block, isIndexed ? 6 : 4);
                // Both texts may need decoding, one after the other in one scratch buffer.
                var used = 0;
                name = index > 0 ? At(index).Name : ReadText(ref block, ref used);
                value = ReadText(ref block, ref used);
                if (isIndexed) Insert(name.ToArray(), value.ToArray());
            }
            total += name.Length + value.Length + EntryOverhead;
            if (total > maxListBytes) throw new H2ConnectionException(H2Error.EnhanceYourCalm, "header list too large");
            take(name, value);
        }
    }

    private (byte[] Name, byte[] Value) At(int index)
    {
        if (index is > 0 and <= HpackStaticTable.Count) return HpackStaticTable.Get(index);
        var at = _table.Count - (index - HpackStaticTable.Count);
        return index > 0 && at >= 0 ? _table[at] : throw Broken($"no field {index}");
    }

    private void Insert(byte[] name, byte[] value)
    {
        var size = name.Length + value.Length + EntryOverhead;
        _tableSize += size;
        _table.Add((name, value));
        Evict();
    }

    private void Resize(int limit)
    {
        if (limit > _maxTableSize) throw Broken("a table size beyond the limit");
        _tableLimit = limit;
        Evict();
    }

    private void Evict()
    {
        var gone = 0;
        while (_tableSize > _tableLimit)
        {
            var (name, value) = _table[gone++];
            _tableSize -= name.Length + value.Length + EntryOverhead;
        }
        if (gone > 0) _table.RemoveRange(0, gone);
    }

    private static int ReadNumber(scoped ref ReadOnlySpan<byte> block, int prefix)
    {
        var mask = (1 << prefix) - 1;
        var value = block[0] & mask;
        block = block[1..];
        if (value < mask) return value;
        for (var shift = 0; shift <= 21; shift += 7)
        {
            if (block.IsEmpty) throw Broken("a number without its end");
            var b = block[0];
            block = block[1..];
            value += (b & 0x7f) << shift;
            if ((b & 0x80) == 0) return value;
        }
        throw Broken("a number that is too large");
    }

    private ReadOnlySpan<byte> ReadText(scoped ref ReadOnlySpan<byte> block, scoped ref int used)
    {
        if (block.IsEmpty) throw Broken("a field without its text");
        var isHuffman = (block[0] & 0x80) != 0;
        var length = ReadNumber(ref block, 7);
        if (length > block.Length) throw Broken("a text longer than its block");
        var text = block[..length];
        block = block[length..];
        if (!isHuffman) return text;
        // The shortest code has five bits.
        var most = length * 8 / 5 + 1;
        if (used + most > maxListBytes * 2) throw new H2ConnectionException(H2Error.EnhanceYourCalm, "header list too large");
        if (_scratch.Length < used + most) Array.Resize(ref _scratch, Math.Max(_scratch.Length * 2, used + most));
        if (!Huffman.TryDecode(text, _scratch.AsSpan(used, most), out var written)) throw Broken("an invalid Huffman code");
        used += written;
        return _scratch.AsSpan(used - written, written);
    }

    private static H2ConnectionException Broken(string what) => new(H2Error.Compression, what);
}

/// <summary>Fields of HTTP/2: encoded one by one.</summary>
internal readonly struct HpackFields : IFieldEncoding
{
    /// <inheritdoc/>
    public static void Write(ByteWriter into, ReadOnlySpan<byte> name, ReadOnlySpan<byte> value) => HpackEncoder.Write(into, name, value);
}

/// <summary>Encodes fields with the static table only: without state, header blocks may be sent in any order.</summary>
internal static class HpackEncoder
{
    public static void Write(ByteWriter into, ReadOnlySpan<byte> name, ReadOnlySpan<byte> value)
    {
        var index = HpackStaticTable.Find(name, value, out var hasValue);
        if (hasValue)
        {
            WriteNumber(into, 0x80, 7, index);
            return;
        }
        WriteNumber(into, 0x00, 4, index);
        if (index == 0) WriteText(into, name);
        WriteText(into, value);
    }

    /// <param name="value">ASCII, or else UTF-8.</param>
    public static void Write(ByteWriter into, ReadOnlySpan<byte> name, string value)
    {
        Span<byte> small = stackalloc byte[256];
        var bytes = Encoding.UTF8.GetMaxByteCount(value.Length) <= small.Length ? small : new byte[Encoding.UTF8.GetByteCount(value)];
        Write(into, name, bytes[..Encoding.UTF8.GetBytes(value, bytes)]);
    }

    private static void WriteText(ByteWriter into, ReadOnlySpan<byte> text)
    {
        WriteNumber(into, 0, 7, text.Length);
        into.Write(text);
    }

    private static void WriteNumber(ByteWriter into, int flags, int prefix, int value)
    {
        var mask = (1 << prefix) - 1;
        var span = into.Reserve(6);
        if (value < mask)
        {
            span[0] = (byte)(flags | value);
            into.Commit(1);
            return;
        }
        span[0] = (byte)(flags | mask);
        value -= mask;
        var at = 1;
        for (; value >= 0x80; value >>= 7) span[at++] = (byte)(value | 0x80);
        span[at++] = (byte)value;
        into.Commit(at);
    }
}

using System.Buffers.Binary;
using System.Net;
using System.Runtime.CompilerServices;
using System.Text;

namespace Isthmus.Wire.Dns;

public enum DnsSection { Answer = 6, Authority = 8, Additional = 10 }

/// <summary>Writes a message front to back without allocating, with compressed names. Room for the OPT record is kept from
/// the start.</summary>
public ref struct DnsWriter
{
    private const int OptSize = 11;
    private readonly Span<byte> _output;
    private readonly int _limit;
    private readonly DnsHeader _header;
    private readonly Edns? _edns;
    private Offsets _names;
    private int _nameCount;
    private int _offset;

    /// <exception cref="ArgumentException"><paramref name="output"/> is smaller than a header.</exception>
    public DnsWriter(Span<byte> output, DnsHeader header, Edns? edns)
    {
        _edns = edns;
        _limit = output.Length - (edns is null ? 0 : OptSize);
        if (_limit < DnsHeader.Size) throw new ArgumentException("the buffer is smaller than a DNS header", nameof(output));
        _output = output;
        _header = header;
        _offset = DnsHeader.Size;
        output[..DnsHeader.Size].Clear();
    }

    public bool TryQuestion(DnsQuestion question) => TryQuestion(question.Name, question.Type, question.Class);

    public bool TryQuestion(scoped ReadOnlySpan<char> name, DnsType type, ushort @class = DnsQuestion.Internet)
    {
        var start = _offset;
        if (!TryName(name) || !TryUInt16((ushort)type) || !TryUInt16(@class)) return Undo(start);
        Count(4);
        return true;
    }

    /// <summary>False when the record does not fit; then no part of it is written.</summary>
    public bool TryRecord(DnsSection section, DnsRecord record)
    {
        var start = _offset;
        if (!TryHead(record.Name, record.Type, record.Class, record.Ttl, out var length) || !TryContent(record.Content)) return Undo(start);
        BinaryPrimitives.WriteUInt16BigEndian(_output[length..], (ushort)(_offset - length - 2));
        Count((int)section);
        return true;
    }

    /// <summary>An address record, written without allocating an object.</summary>
    public bool TryAddress(scoped ReadOnlySpan<char> name, uint ttl, IPAddress address)
    {
        var start = _offset;
        var type = address.AddressFamily == System.Net.Sockets.AddressFamily.InterNetwork ? DnsType.A : DnsType.AAAA;
        if (!TryHead(name, type, DnsQuestion.Internet, ttl, out var length) || !TryAddress(address)) return Undo(start);
        BinaryPrimitives.WriteUInt16BigEndian(_output[length..], (ushort)(_offset - length - 2));
        Count((int)DnsSection.Answer);
        return true;
    }

    /// <summary>A CNAME record, written without allocating an object.</summary>
    public bool TryAlias(scoped ReadOnlySpan<char> name, uint ttl, scoped ReadOnlySpan<char> target)
    {
        var start = _offset;
        if (!TryHead(name, DnsType.CNAME, DnsQuestion.Internet, ttl, out var length) || !TryName(target)) return Undo(start);
        BinaryPrimitives.WriteUInt16BigEndian(_output[length..], (ushort)(_offset - length - 2));
        Count((int)DnsSection.Answer);
        return true;
    }

    /// <summary>Adds header and OPT record; returns the length of the message.</summary>
    public int Finish(bool truncated)
    {
        var header = truncated ? _header.AsTruncated() : _header;
        BinaryPrimitives.WriteUInt16BigEndian(_output, header.Id);
        BinaryPrimitives.WriteUInt16BigEndian(_output[2..], header.Flags);
        if (_edns is null) return _offset;
        var opt = _output.Slice(_offset, OptSize);
        opt.Clear();
        BinaryPrimitives.WriteUInt16BigEndian(opt[1..], (ushort)DnsType.OPT);
        BinaryPrimitives.WriteUInt16BigEndian(opt[3..], _edns.UdpSize);
        if (_edns.DnssecOk) opt[7] = 0x80;
        Count((int)DnsSection.Additional);
        return _offset + OptSize;
    }

    private bool TryHead(scoped ReadOnlySpan<char> name, DnsType type, ushort @class, uint ttl, out int length)
    {
        length = 0;
        if (!TryName(name) || !TryUInt16((ushort)type) || !TryUInt16(@class) || !TryUInt32(ttl)) return false;
        length = _offset;
        return TryUInt16(0);
    }

    private bool TryContent(DnsContent content) => content switch
    {
        AddressContent { Address: var address } => TryAddress(address),
        NameContent { Target: var target } => TryName(target),
        // No compression in SRV targets (RFC 2782).
        ServiceContent s => TryUInt16(s.Priority) && TryUInt16(s.Weight) && TryUInt16(s.Port) && TryName(s.Target, compress: false),
        MailContent m => TryUInt16(m.Preference) && TryName(m.Exchange),
        TextContent { Texts: var texts } => TryTexts(texts.Items.AsSpan()),
        AuthorityContent a => TryName(a.PrimaryServer) && TryName(a.Mailbox) && TryUInt32(a.Serial) && TryUInt32(a.Refresh)
            && TryUInt32(a.Retry) && TryUInt32(a.Expire) && TryUInt32(a.Minimum),
        RawContent { Bytes: var bytes } => TryBytes(bytes.Items.AsSpan()),
        _ => throw new ArgumentException($"records of type {content.Type} cannot be written", nameof(content)),
    };

    private bool TryAddress(IPAddress address)
    {
        if (!address.TryWriteBytes(_output[_offset.._limit], out var written)) return false;
        _offset += written;
        return true;
    }

    private bool TryTexts(ReadOnlySpan<string> texts)
    {
        foreach (var text in texts)
        {
            if (text.Length > 255) throw new ArgumentException("a text record's part is longer than 255 bytes", nameof(texts));
            if (_offset + 1 + text.Length > _limit) return false;
            _output[_offset] = (byte)text.Length;
            Encoding.Latin1.GetBytes(text, _output[(_offset + 1)..]);
            _offset += 1 + text.Length;
        }
        return true;
    }

    private bool TryBytes(scoped ReadOnlySpan<byte> bytes)
    {
        if (!bytes.TryCopyTo(_output[_offset.._limit])) return false;
        _offset += bytes.Length;
        return true;
    }

    private bool TryName(scoped ReadOnlySpan<char> text, bool compress = true)
    {
        Span<byte> name = stackalloc byte[DnsName.MaxWire + 1];
        var length = DnsName.Write(text, name);
        if (length < 0) throw new ArgumentException($"'{text}' is not a domain name", nameof(text));
        for (var label = 0; ; label += 1 + name[label])
        {
            var rest = name[label..length];
            if (rest[0] == 0) return TryBytes(rest);
            if (compress && Find(rest) is var pointer and >= 0) return TryUInt16((ushort)(0xC000 | pointer));
            var at = _offset;
            if (!TryBytes(rest[..(1 + rest[0])])) return false;
            if (at < 0x4000 && _nameCount < Offsets.Length) _names[_nameCount++] = (ushort)at;
        }
    }

    /// <summary>The offset at which the same labels already appear; -1 when there is none.</summary>
    private readonly int Find(scoped ReadOnlySpan<byte> rest)
    {
        for (var i = 0; i < _nameCount; i++)
            if (StandsAt(_names[i], rest)) return _names[i];
        return -1;
    }

    private readonly bool StandsAt(int at, scoped ReadOnlySpan<byte> rest)
    {
        while (true)
        {
            // The name being written is still incomplete.
            if (at >= _offset) return false;
            var length = _output[at];
            if ((length & 0xC0) == 0xC0)
            {
                at = ((length & 0x3F) << 8) | _output[at + 1];
                continue;
            }
            if (length != rest[0]) return false;
            if (length == 0) return true;
            if (!Ascii.EqualsIgnoreCase(_output.Slice(at + 1, length), rest.Slice(1, length))) return false;
            at += 1 + length;
            rest = rest[(1 + length)..];
        }
    }

    private bool TryUInt16(ushort value)
    {
        if (_offset + 2 > _limit) return false;
        BinaryPrimitives.WriteUInt16BigEndian(_output[_offset..], value);
        _offset += 2;
        return true;
    }

    private bool TryUInt32(uint value)
    {
        if (_offset + 4 > _limit) return false;
        BinaryPrimitives.WriteUInt32BigEndian(_output[_offset..], value);
        _offset += 4;
        return true;
    }

    private readonly void Count(int at) =>
        BinaryPrimitives.WriteUInt16BigEndian(_output[at..], (ushort)(BinaryPrimitives.ReadUInt16BigEndian(_output[at..]) + 1));

    /// <summary>Rolls back to an offset and forgets the names after it.</summary>
    private bool Undo(int start)
    {
        _offset = start;
        while (_nameCount > 0 && _names[_nameCount - 1] >= start) _nameCount--;
        return false;
    }

    [InlineArray(Length)]
    private struct Offsets
    {
        public const int Length = 64;
        private ushort _first;
    }
}

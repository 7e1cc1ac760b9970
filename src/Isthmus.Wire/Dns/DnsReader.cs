using System.Buffers.Binary;
using System.Net;
using System.Text;
using Isthmus.Core.Collections;

namespace Isthmus.Wire.Dns;

/// <summary>Reads the parts of a message, front to back.</summary>
internal ref struct DnsReader(ReadOnlySpan<byte> message)
{
    private readonly ReadOnlySpan<byte> _message = message;
    private int _offset = DnsHeader.Size;

    public bool TryQuestion(out DnsQuestion question)
    {
        question = default;
        if (!TryName(out var name) || !TryUInt16(out var type) || !TryUInt16(out var @class)) return false;
        question = new(name, (DnsType)type, @class);
        return true;
    }

    /// <param name="record">Null for the OPT record, which goes to <paramref name="edns"/>.</param>
    public bool TryRecord(out DnsRecord? record, ref Edns? edns)
    {
        record = null;
        if (!TryName(out var name) || !TryUInt16(out var type) || !TryUInt16(out var @class)) return false;
        if (!TryUInt32(out var ttl) || !TryUInt16(out var length) || _offset + length > _message.Length) return false;
        var end = _offset + length;
        if ((DnsType)type == DnsType.OPT)
        {
            edns ??= new(@class, (ttl & 0x8000) != 0);
            _offset = end;
            return true;
        }
        var content = Content((DnsType)type, end);
        if (content is null || _offset != end) return false;
        record = new(name, ttl, content, @class);
        return true;
    }

    private DnsContent? Content(DnsType type, int end) => type switch
    {
        DnsType.A => Address(end, 4),
        DnsType.AAAA => Address(end, 16),
        DnsType.CNAME or DnsType.NS or DnsType.PTR => TryName(out var name) ? new NameContent(type, name) : null,
        DnsType.SRV => TryUInt16(out var priority) && TryUInt16(out var weight) && TryUInt16(out var port) && TryName(out var target)
            ? new ServiceContent(priority, weight, port, target) : null,
        DnsType.MX => TryUInt16(out var preference) && TryName(out var exchange) ? new MailContent(preference, exchange) : null,
        DnsType.TXT => Texts(end),
        DnsType.SOA => Authority(),
        _ => Raw(type, end),
    };

    private AddressContent? Address(int end, int size)
    {
        if (end - _offset != size) return null;
        var address = new IPAddress(_message.Slice(_offset, size));
        _offset = end;
        return new(address);
    }

    private TextContent? Texts(int end)
    {
        var texts = new List<string>();
        while (_offset < end)
        {
            var length = _message[_offset];
            if (_offset + 1 + length > end) return null;
            texts.Add(Encoding.Latin1.GetString(_message.Slice(_offset + 1, length)));
            _offset += 1 + length;
        }
        return new([.. texts]);
    }

    private AuthorityContent? Authority() =>
        TryName(out var server) && TryName(out var mailbox) && TryUInt32(out var serial) && TryUInt32(out var refresh)
        && TryUInt32(out var retry) && TryUInt32(out var expire) && TryUInt32(out var minimum)
            ? new(server, mailbox, serial, refresh, retry, expire, minimum)
            : null;

    private RawContent Raw(DnsType type, int end)
    {
        ValueList<byte> bytes = [.. _message[_offset..end]];
        _offset = end;
        return new(type, bytes);
    }

    private bool TryName(out string name)
    {
        Span<char> text = stackalloc char[DnsName.MaxText];
        var length = DnsName.Read(_message, ref _offset, text);
        name = length < 0 ? "" : new(text[..length]);
        return length >= 0;
    }

    private bool TryUInt16(out ushort value)
    {
        var fits = _offset + 2 <= _message.Length;
        value = fits ? BinaryPrimitives.ReadUInt16BigEndian(_message[_offset..]) : (ushort)0;
        if (fits) _offset += 2;
        return fits;
    }

    private bool TryUInt32(out uint value)
    {
        var fits = _offset + 4 <= _message.Length;
        value = fits ? BinaryPrimitives.ReadUInt32BigEndian(_message[_offset..]) : 0;
        if (fits) _offset += 4;
        return fits;
    }
}

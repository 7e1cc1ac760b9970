using System.Buffers.Binary;
using Isthmus.Core.Collections;

namespace Isthmus.Wire.Dns;

/// <summary>A whole DNS message (RFC 1035).</summary>
/// <param name="Edns">The OPT record; it is not among the additionals.</param>
public sealed record DnsMessage(
    DnsHeader Header, ValueList<DnsQuestion> Questions, ValueList<DnsRecord> Answers, ValueList<DnsRecord> Authorities,
    ValueList<DnsRecord> Additionals, Edns? Edns = null)
{
    /// <summary>Largest UDP response to clients without EDNS, in bytes (RFC 1035).</summary>
    public const int PlainUdpSize = 512;

    public const int MaxSize = 65535;

    public static DnsMessage Query(ushort id, DnsQuestion question, Edns? edns = null) => new(DnsHeader.Query(id), [question], [], [], [], edns);

    /// <summary>An empty response to this query.</summary>
    public DnsMessage Answer(DnsCode code, bool authoritative = false, bool recursionAvailable = true) =>
        new(Header.Answer(code, authoritative, recursionAvailable), Questions, [], [], [], Edns is null ? null : new Edns(1232));

    /// <summary>Null when the bytes are not a DNS message. Never throws.</summary>
    public static DnsMessage? TryRead(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length is < DnsHeader.Size or > MaxSize) return null;
        var reader = new DnsReader(bytes);
        var questions = new List<DnsQuestion>();
        for (var i = BinaryPrimitives.ReadUInt16BigEndian(bytes[4..]); i > 0; i--)
        {
            if (!reader.TryQuestion(out var question)) return null;
            questions.Add(question);
        }
        Edns? edns = null;
        if (Section(ref reader, bytes[6..], ref edns) is not { } answers
            || Section(ref reader, bytes[8..], ref edns) is not { } authorities
            || Section(ref reader, bytes[10..], ref edns) is not { } additionals) return null;
        return new(DnsHeader.Read(bytes), [.. questions], answers, authorities, additionals, edns);
    }

    /// <summary>Writes the message; what does not fit into <paramref name="limit"/> is left out and the message marked as
    /// truncated.</summary>
    /// <returns>How many bytes were written.</returns>
    /// <exception cref="ArgumentException">A name or text in it cannot be written.</exception>
    public int Write(Span<byte> output, int limit = MaxSize)
    {
        var writer = new DnsWriter(output[..Math.Min(limit, output.Length)], Header, Edns);
        foreach (var question in Questions)
            if (!writer.TryQuestion(question)) throw new ArgumentException($"question '{question.Name}' does not fit");
        foreach (var record in Answers)
            if (!writer.TryRecord(DnsSection.Answer, record)) return writer.Finish(truncated: true);
        foreach (var record in Authorities)
            if (!writer.TryRecord(DnsSection.Authority, record)) return writer.Finish(truncated: true);
        // Additionals are optional: the response is complete without them.
        foreach (var record in Additionals)
            if (!writer.TryRecord(DnsSection.Additional, record)) break;
        return writer.Finish(truncated: false);
    }

    public byte[] ToBytes(int limit = MaxSize)
    {
        var buffer = new byte[limit];
        return buffer[..Write(buffer, limit)];
    }

    private static ValueList<DnsRecord>? Section(ref DnsReader reader, ReadOnlySpan<byte> count, ref Edns? edns)
    {
        var records = new List<DnsRecord>();
        for (var i = BinaryPrimitives.ReadUInt16BigEndian(count); i > 0; i--)
        {
            if (!reader.TryRecord(out var record, ref edns)) return null;
            if (record is not null) records.Add(record);
        }
        return [.. records];
    }
}

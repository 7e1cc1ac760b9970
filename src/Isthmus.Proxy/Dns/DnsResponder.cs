using System.Buffers.Binary;
using System.Net.Sockets;
using Isthmus.Wire.Dns;

namespace Isthmus.Proxy.Dns;

/// <summary>What to do with a query.</summary>
internal enum DnsDecision
{
    /// <summary>The response was written.</summary>
    Answered,
    /// <summary>The upstream servers answer it.</summary>
    Forward,
    /// <summary>Not a query: no response.</summary>
    Drop,
}

/// <summary>Decides about one query from the current table, without allocating.</summary>
internal static class DnsResponder
{
    /// <summary>Seconds; the value of Istio's DNS proxy.</summary>
    public const uint TimeToLive = 30;

    /// <param name="table">Null before the first arrives: until then no name can be answered or denied.</param>
    /// <param name="udp">Over UDP the client limits the response size; over TCP it is not limited.</param>
    /// <param name="length">The length of the response in <paramref name="output"/>.</param>
    public static DnsDecision Answer(ReadOnlySpan<byte> query, NameTables? table, bool udp, Random random, Span<byte> output, out int length)
    {
        length = 0;
        if (query.Length < DnsHeader.Size || DnsHeader.Read(query).IsResponse) return DnsDecision.Drop;
        if (!DnsHeader.IsPlainQuery(query)) return Refuse(query, DnsCode.NotImplemented, output, out length);
        Span<char> text = stackalloc char[DnsName.MaxText];
        var offset = DnsHeader.Size;
        var size = DnsName.Read(query, ref offset, text);
        if (size < 0 || offset + 4 > query.Length) return Refuse(query, DnsCode.FormatError, output, out length);
        var name = text[..size];
        var type = (DnsType)BinaryPrimitives.ReadUInt16BigEndian(query[offset..]);
        var @class = BinaryPrimitives.ReadUInt16BigEndian(query[(offset + 2)..]);
        if (table is null) return Refuse(query, DnsCode.ServerFailure, output, out length);
        if (@class != DnsQuestion.Internet || type is not (DnsType.A or DnsType.AAAA)) return DnsDecision.Forward;
        if (table.Find(name, out var target) is not { } addresses) return DnsDecision.Forward;

        var edns = ReadEdns(query, offset + 4);
        var limit = udp ? Math.Clamp(edns ?? DnsMessage.PlainUdpSize, DnsMessage.PlainUdpSize, 4096) : output.Length;
        var header = DnsHeader.Read(query).Answer(DnsCode.NoError, authoritative: true, recursionAvailable: true);
        var writer = new DnsWriter(output[..Math.Min(limit, output.Length)], header, edns is null ? null : Ours);
        length = Write(ref writer, name, type, target, addresses, random);
        return DnsDecision.Answered;
    }

    private static int Write(ref DnsWriter writer, scoped ReadOnlySpan<char> name, DnsType type, int target, NameAddresses addresses, Random random)
    {
        if (!writer.TryQuestion(name, type)) return writer.Finish(truncated: true);
        var owner = name;
        if (target > 0)
        {
            owner = name[..target];
            if (!writer.TryAlias(name, TimeToLive, owner)) return writer.Finish(truncated: true);
        }
        var all = addresses.Of(type == DnsType.A ? AddressFamily.InterNetwork : AddressFamily.InterNetworkV6);
        // A random start spreads clients that take the first address.
        var first = all.Length > 1 ? random.Next(all.Length) : 0;
        for (var i = 0; i < all.Length; i++)
            if (!writer.TryAddress(owner, TimeToLive, all[(first + i) % all.Length])) return writer.Finish(truncated: true);
        return writer.Finish(truncated: false);
    }

    private static Edns Ours { get; } = new(4096);

    /// <summary>A response with only the question and a code.</summary>
    private static DnsDecision Refuse(ReadOnlySpan<byte> query, DnsCode code, Span<byte> output, out int length)
    {
        var offset = DnsHeader.Size;
        Span<char> text = stackalloc char[DnsName.MaxText];
        var question = DnsHeader.IsPlainQuery(query) && DnsName.Read(query, ref offset, text) >= 0 && offset + 4 <= query.Length;
        length = question ? offset + 4 : DnsHeader.Size;
        query[..length].CopyTo(output);
        output[4..DnsHeader.Size].Clear();
        if (question) output[5] = 1;
        BinaryPrimitives.WriteUInt16BigEndian(output[2..], DnsHeader.Read(query).Answer(code, authoritative: false, recursionAvailable: true).Flags);
        return DnsDecision.Answered;
    }

    /// <summary>The size in the OPT record, if that is the first additional record, where clients put it.</summary>
    private static int? ReadEdns(ReadOnlySpan<byte> query, int offset)
    {
        if (BinaryPrimitives.ReadUInt32BigEndian(query[6..]) != 0 || BinaryPrimitives.ReadUInt16BigEndian(query[10..]) == 0) return null;
        if (offset + 5 > query.Length || query[offset] != 0) return null;
        if ((DnsType)BinaryPrimitives.ReadUInt16BigEndian(query[(offset + 1)..]) != DnsType.OPT) return null;
        return BinaryPrimitives.ReadUInt16BigEndian(query[(offset + 3)..]);
    }
}

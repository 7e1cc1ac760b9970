using System.Formats.Asn1;
using System.Net;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Isthmus.Core.Identity;

namespace Isthmus.Wire.Tls;

/// <summary>The subject alternative names of a certificate (RFC 5280 4.2.1.6), read from bytes that a peer chose.</summary>
public sealed record SubjectNames(IReadOnlyList<string> Uris, IReadOnlyList<string> DnsNames, IReadOnlyList<IPAddress> Addresses)
{
    private const string Oid = "2.5.29.17";
    private static readonly Asn1Tag DnsTag = new(TagClass.ContextSpecific, 2);
    private static readonly Asn1Tag UriTag = new(TagClass.ContextSpecific, 6);
    private static readonly Asn1Tag AddressTag = new(TagClass.ContextSpecific, 7);

    public static SubjectNames None { get; } = new([], [], []);

    /// <summary>The workload identity; null when there is none, or more than one URI (SPIFFE X.509-SVID 2).</summary>
    public SpiffeId? Identity => Uris.Count == 1 && SpiffeId.TryParse(Uris[0], out var id) ? id : null;

    /// <summary>Malformed names count as none, so that checks that require a name fail.</summary>
    public static SubjectNames Of(X509Certificate2 certificate)
    {
        if (certificate.Extensions[Oid] is not { } extension) return None;
        var (uris, names, addresses) = (new List<string>(), new List<string>(), new List<IPAddress>());
        try
        {
            var sequence = new AsnReader(extension.RawData, AsnEncodingRules.DER).ReadSequence();
            while (sequence.HasData)
            {
                var tag = sequence.PeekTag();
                if (tag == UriTag) uris.Add(sequence.ReadCharacterString(UniversalTagNumber.IA5String, UriTag));
                else if (tag == DnsTag) names.Add(sequence.ReadCharacterString(UniversalTagNumber.IA5String, DnsTag));
                else if (tag == AddressTag && sequence.ReadOctetString(AddressTag) is { Length: 4 or 16 } bytes) addresses.Add(new(bytes));
                else if (tag != AddressTag) sequence.ReadEncodedValue();
            }
        }
        catch (Exception e) when (e is AsnContentException or DecoderFallbackException)
        {
            return None;
        }
        return new(uris, names, addresses);
    }

    /// <summary>Parsed by hand: a Uri object would normalise the text.</summary>
    internal X509Extension ToExtension(bool critical)
    {
        var writer = new AsnWriter(AsnEncodingRules.DER);
        using (writer.PushSequence())
        {
            foreach (var uri in Uris) writer.WriteCharacterString(UniversalTagNumber.IA5String, uri, UriTag);
            foreach (var name in DnsNames) writer.WriteCharacterString(UniversalTagNumber.IA5String, name, DnsTag);
            foreach (var address in Addresses) writer.WriteOctetString(address.GetAddressBytes(), AddressTag);
        }
        return new(Oid, writer.Encode(), critical);
    }
}

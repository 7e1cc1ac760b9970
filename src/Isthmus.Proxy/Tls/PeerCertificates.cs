using System.Formats.Asn1;
using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Tcp;

namespace Isthmus.Proxy.Tls;

/// <summary>Reads names from certificates and checks them.</summary>
internal static class PeerCertificates
{
    private const string SubjectAltName = "2.5.29.17";
    private static readonly Asn1Tag DnsTag = new(TagClass.ContextSpecific, 2);
    private static readonly Asn1Tag UriTag = new(TagClass.ContextSpecific, 6);
    private static readonly Asn1Tag AddressTag = new(TagClass.ContextSpecific, 7);

    public static TlsPeer Read(X509Certificate2? certificate, string alpn, string serverName)
    {
        if (certificate is null) return new([], [], "", "", alpn, serverName, "");
        var names = AlternativeNames(certificate);
        return new(Of(NameKind.Uri), Of(NameKind.Dns), certificate.SubjectName.Name, Convert.ToHexStringLower(SHA256.HashData(certificate.RawDataMemory.Span)), alpn, serverName,
            certificate.ExportCertificatePem());

        List<string> Of(NameKind kind) => [.. names.Where(name => name.Kind == kind).Select(name => name.Name)];
    }

    /// <summary>Why the peer's certificate is rejected, as part of Envoy's failure text; null when it is accepted.</summary>
    /// <param name="roots">Those of the settings; null: none.</param>
    /// <param name="expected">The host that the certificate must prove; empty: none.</param>
    public static string? Refusal(TlsSettings settings, RootSecret? roots, string expected, X509Certificate2? certificate, X509Chain? chain, bool untrusted)
    {
        if (certificate is null) return settings.RequirePeer ? "peer_did_not_return_a_certificate" : null;
        if (roots is { HasRevocations: true }) return "verify_cert_failed:_crl_is_not_supported";
        if (settings.Root.Length > 0 && (untrusted || chain is null))
        {
            var status = chain?.ChainStatus.FirstOrDefault(s => s.Status != X509ChainStatusFlags.NoError).Status ?? X509ChainStatusFlags.PartialChain;
            return status switch
            {
                X509ChainStatusFlags.NotTimeValid => "verify_cert_failed:_certificate_has_expired",
                X509ChainStatusFlags.UntrustedRoot => "verify_cert_failed:_self-signed_certificate_in_certificate_chain",
                X509ChainStatusFlags.PartialChain => "verify_cert_failed:_unable_to_get_local_issuer_certificate",
                X509ChainStatusFlags.NotSignatureValid => "verify_cert_failed:_certificate_signature_failure",
                _ => $"verify_cert_failed:_{status}",
            };
        }
        if (!settings.Pins.Allow(certificate)) return "verify_cert_failed:_cert_hash_and_spki";
        if (settings.Peers.Count == 0 && expected.Length == 0) return null;
        var names = AlternativeNames(certificate);
        if (expected.Length > 0 && !names.Any(name => PeerName.Proves(name.Kind, name.Name, expected))) return "verify_cert_failed:_verify_SAN_list";
        return settings.Peers.Count == 0 || names.Any(name => settings.Peers.Any(p => p.IsMatch(name.Kind, name.Name))) ? null : "verify_cert_failed:_SAN_matcher";
    }

    private static List<(NameKind Kind, string Name)> AlternativeNames(X509Certificate2 certificate)
    {
        var names = new List<(NameKind, string)>();
        foreach (var extension in certificate.Extensions)
        {
            if (extension.Oid?.Value != SubjectAltName) continue;
            try
            {
                var list = new AsnReader(extension.RawData, AsnEncodingRules.DER).ReadSequence();
                while (list.HasData)
                {
                    var tag = list.PeekTag();
                    if (tag.HasSameClassAndValue(UriTag)) names.Add((NameKind.Uri, list.ReadCharacterString(UniversalTagNumber.IA5String, UriTag)));
                    else if (tag.HasSameClassAndValue(DnsTag)) names.Add((NameKind.Dns, list.ReadCharacterString(UniversalTagNumber.IA5String, DnsTag)));
                    else if (tag.HasSameClassAndValue(AddressTag))
                    {
                        if (list.ReadOctetString(AddressTag) is { Length: 4 or 16 } address) names.Add((NameKind.Address, new IPAddress(address).ToString()));
                    }
                    else list.ReadEncodedValue();
                }
            }
            catch (AsnContentException)
            {
                // A malformed name list proves no name.
                return [];
            }
        }
        return names;
    }
}

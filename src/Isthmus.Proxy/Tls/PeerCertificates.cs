using System.Formats.Asn1;
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

    public static TlsPeer Read(X509Certificate2? certificate, string alpn, string serverName)
    {
        if (certificate is null) return new([], [], "", "", alpn, serverName, "");
        var (uris, names) = AlternativeNames(certificate);
        return new(uris, names, certificate.SubjectName.Name, Convert.ToHexStringLower(SHA256.HashData(certificate.RawDataMemory.Span)), alpn, serverName,
            certificate.ExportCertificatePem());
    }

    /// <summary>Why the peer's certificate is rejected, as part of Envoy's failure text; null when it is accepted.</summary>
    public static string? Refusal(TlsSettings settings, X509Certificate2? certificate, X509Chain? chain, bool untrusted)
    {
        if (certificate is null) return settings.RequirePeer ? "peer_did_not_return_a_certificate" : null;
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
        if (settings.Peers.Count == 0) return null;
        var (uris, names) = AlternativeNames(certificate);
        return uris.Concat(names).Any(name => settings.Peers.Any(p => p.IsMatch(name))) ? null : "verify_cert_failed:_SAN_matcher";
    }

    private static (List<string> Uris, List<string> DnsNames) AlternativeNames(X509Certificate2 certificate)
    {
        var uris = new List<string>();
        var names = new List<string>();
        foreach (var extension in certificate.Extensions)
        {
            if (extension.Oid?.Value != SubjectAltName) continue;
            try
            {
                var list = new AsnReader(extension.RawData, AsnEncodingRules.DER).ReadSequence();
                while (list.HasData)
                {
                    var tag = list.PeekTag();
                    if (tag.HasSameClassAndValue(UriTag)) uris.Add(list.ReadCharacterString(UniversalTagNumber.IA5String, UriTag));
                    else if (tag.HasSameClassAndValue(DnsTag)) names.Add(list.ReadCharacterString(UniversalTagNumber.IA5String, DnsTag));
                    else list.ReadEncodedValue();
                }
            }
            catch (AsnContentException)
            {
                // A malformed name list proves no name.
                return ([], []);
            }
        }
        return (uris, names);
    }
}

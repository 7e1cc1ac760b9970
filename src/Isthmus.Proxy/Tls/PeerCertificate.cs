using System.Collections.Concurrent;
using System.Formats.Asn1;
using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Isthmus.Proxy.Transports;

namespace Isthmus.Proxy.Tls;

/// <summary>What policies, logs and settings ask about a certificate. Peers come back, so the last ones are remembered.</summary>
internal sealed class PeerCertificate
{
    private const string SubjectAltName = "2.5.29.17";
    private const int MostKnown = 1000;
    private static readonly Asn1Tag DnsTag = new(TagClass.ContextSpecific, 2);
    private static readonly Asn1Tag UriTag = new(TagClass.ContextSpecific, 6);
    private static readonly Asn1Tag AddressTag = new(TagClass.ContextSpecific, 7);
    private static readonly ConcurrentDictionary<string, PeerCertificate> Known = new(StringComparer.Ordinal);

    private readonly List<(NameKind Kind, string Name)> _names = [];
    private readonly IReadOnlyList<string> _uris = [];
    private readonly IReadOnlyList<string> _dnsNames = [];
    private readonly string _subject = "";
    private readonly string _hash = "";
    private readonly string _keyHash = "";
    private readonly string _pem = "";

    private PeerCertificate()
    {
    }

    private PeerCertificate(X509Certificate2 certificate, string hash)
    {
        _names = AlternativeNames(certificate);
        _uris = Of(NameKind.Uri);
        _dnsNames = Of(NameKind.Dns);
        _subject = certificate.SubjectName.Name;
        _hash = hash;
        _keyHash = Convert.ToBase64String(SHA256.HashData(certificate.PublicKey.ExportSubjectPublicKeyInfo()));
        _pem = certificate.ExportCertificatePem();

        string[] Of(NameKind kind) => [.. _names.Where(name => name.Kind == kind).Select(name => name.Name)];
    }

    /// <summary>That of a peer which showed none.</summary>
    public static PeerCertificate None { get; } = new();

    /// <exception cref="CryptographicException">The bytes are not a certificate.</exception>
    public static PeerCertificate Of(byte[] der)
    {
        var hash = Convert.ToHexStringLower(SHA256.HashData(der));
        if (Known.TryGetValue(hash, out var known)) return known;
        using var certificate = X509CertificateLoader.LoadCertificate(der);
        var read = new PeerCertificate(certificate, hash);
        if (Known.Count >= MostKnown) Known.Clear();
        Known[hash] = read;
        return read;
    }

    /// <summary>The peer that proved it.</summary>
    public TlsPeer With(string alpn, string serverName) => new(_uris, _dnsNames, _subject, _hash, alpn, serverName, _pem);

    /// <summary>Why the certificate is refused, although its chain is accepted, as part of Envoy's failure text; null when it is accepted.</summary>
    /// <param name="settings">What its names and hashes must be.</param>
    /// <param name="roots">Those of the settings; null: none.</param>
    /// <param name="expected">The host that the certificate must prove; empty: none.</param>
    public string? Refusal(TlsSettings settings, RootSecret? roots, string expected)
    {
        if (roots is { HasRevocations: true }) return "verify_cert_failed:_crl_is_not_supported";
        if (!settings.Pins.Allow(_hash, _keyHash)) return "verify_cert_failed:_cert_hash_and_spki";
        if (expected.Length > 0 && !_names.Exists(name => PeerName.Proves(name.Kind, name.Name, expected))) return "verify_cert_failed:_verify_SAN_list";
        return settings.Peers.Count == 0 || _names.Exists(name => settings.Peers.Any(peer => peer.IsMatch(name.Kind, name.Name))) ? null : "verify_cert_failed:_SAN_matcher";
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

using System.Buffers;
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
    private const string Spiffe = "spiffe://";
    private const int MostKnown = 1000, MostShown = 8;
    private static readonly SearchValues<char> IdentityCharacters = SearchValues.Create("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_/");
    private static readonly Asn1Tag OtherTag = new(TagClass.ContextSpecific, 0);
    private static readonly Asn1Tag EmailTag = new(TagClass.ContextSpecific, 1);
    private static readonly Asn1Tag DnsTag = new(TagClass.ContextSpecific, 2);
    private static readonly Asn1Tag UriTag = new(TagClass.ContextSpecific, 6);
    private static readonly Asn1Tag AddressTag = new(TagClass.ContextSpecific, 7);
    private static readonly ConcurrentDictionary<Fingerprint, PeerCertificate> Known = new();

    private readonly List<(NameKind Kind, string Name)> _names = [];
    private readonly IReadOnlyList<string> _uris = [];
    private readonly IReadOnlyList<string> _dnsNames = [];
    private readonly string _subject = "";
    private readonly string _hash = "";
    private readonly string _keyHash = "";
    private readonly string _pem = "";
    private readonly bool _hasBadNames;

    private PeerCertificate()
    {
    }

    private PeerCertificate(X509Certificate2 certificate, string hash)
    {
        _names = AlternativeNames(certificate, out _hasBadNames);
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
    public static PeerCertificate Of(ReadOnlySpan<byte> der) => Of(der, Fingerprint.Of(der));

    /// <param name="der">The certificate.</param>
    /// <param name="print">That of the certificate.</param>
    /// <exception cref="CryptographicException">The bytes are not a certificate.</exception>
    internal static PeerCertificate Of(ReadOnlySpan<byte> der, Fingerprint print)
    {
        if (Known.TryGetValue(print, out var known)) return known;
        using var certificate = X509CertificateLoader.LoadCertificate(der);
        var read = new PeerCertificate(certificate, print.ToString());
        if (Known.Count >= MostKnown) Known.Clear();
        Known[print] = read;
        return read;
    }

    /// <summary>The peer that proved it.</summary>
    /// <param name="own">The URIs in the certificate that it was shown; null: none.</param>
    public TlsPeer With(string alpn, string serverName, IReadOnlyList<string>? own = null) =>
        new(_uris, _dnsNames, _subject, _hash, alpn, serverName, _pem) { OwnUris = own ?? [] };

    /// <summary>Why the certificate is refused, although its chain is accepted, as part of Envoy's failure text; null when it is accepted.</summary>
    /// <param name="settings">What its names and hashes must be.</param>
    /// <param name="roots">Those of the settings; null for none.</param>
    /// <param name="expected">The host that the certificate must prove; empty for none.</param>
    public string? Refusal(TlsSettings settings, RootSecret? roots, string expected)
    {
        if (_hasBadNames) return "verify_cert_failed:_malformed_SAN";
        if (settings.IsOfMesh ? !HasOneIdentity : settings.IsServer ? _uris.Count > 1 : _uris.Count > 1 && _uris.Any(IsSpiffe))
            return "verify_cert_failed:_a_peer_has_one_URI_SAN";
        if (roots is { HasRevocations: true }) return "verify_cert_failed:_crl_is_not_supported";
        if (!settings.Pins.Allow(_hash, _keyHash)) return "verify_cert_failed:_cert_hash_and_spki";
        if (expected.Length > 0 && !_names.Exists(name => PeerName.Proves(name.Kind, name.Name, expected)))
            return $"verify_cert_failed:_verify_SAN_list{Shown}";
        return settings.Peers.Count == 0 || _names.Exists(name => settings.Peers.Any(peer => peer.IsMatch(name.Kind, name.Name)))
            ? null
            : $"verify_cert_failed:_SAN_matcher{Shown}";
    }

    /// <summary>The names that it has, for whoever must correct what is expected.</summary>
    private string Shown => $":_it_has_[{string.Join(",", _names.Take(MostShown).Select(name => name.Name.Replace(' ', '_')))}]";

    // What SPIFFE demands of a certificate: otherwise policies, logs and applications might see different callers.
    private bool HasOneIdentity => _uris.Count == 1 && IsSpiffe(_uris[0]) && !_uris[0].AsSpan(Spiffe.Length).ContainsAnyExcept(IdentityCharacters);

    private static bool IsSpiffe(string uri) => uri.StartsWith(Spiffe, StringComparison.OrdinalIgnoreCase);

    /// <param name="certificate">Where the names are.</param>
    /// <param name="isBad">The names can't be read, or have characters that no such name has: others could read them as other names.</param>
    private static List<(NameKind Kind, string Name)> AlternativeNames(X509Certificate2 certificate, out bool isBad)
    {
        var names = new List<(NameKind, string)>();
        isBad = false;
        try
        {
            var lists = certificate.Extensions.Where(extension => extension.Oid?.Value == SubjectAltName).ToList();
            isBad = lists.Count > 1;
            foreach (var extension in lists)
            {
                var list = new AsnReader(extension.RawData, AsnEncodingRules.DER).ReadSequence();
                while (list.HasData) isBad |= !Read(list, names);
            }
        }
        catch (AsnContentException)
        {
            isBad = true;
        }
        return isBad ? [] : names;
    }

    /// <summary>False: the name has characters that it may not have.</summary>
    private static bool Read(AsnReader list, List<(NameKind Kind, string Name)> into)
    {
        var tag = list.PeekTag();
        if (tag.HasSameClassAndValue(UriTag)) return Take(NameKind.Uri, UriTag);
        if (tag.HasSameClassAndValue(DnsTag)) return Take(NameKind.Dns, DnsTag);
        if (tag.HasSameClassAndValue(EmailTag))
            return list.ReadCharacterString(UniversalTagNumber.IA5String, EmailTag) is var email && !email.AsSpan().ContainsAnyExceptInRange(' ', '~');
        if (tag.HasSameClassAndValue(OtherTag)) return IsText(list.ReadSequence(OtherTag));
        if (!tag.HasSameClassAndValue(AddressTag)) list.ReadEncodedValue();
        else if (list.ReadOctetString(AddressTag) is { Length: 4 or 16 } address) into.Add((NameKind.Address, new IPAddress(address).ToString()));
        return true;

        bool Take(NameKind kind, Asn1Tag of)
        {
            var name = list.ReadCharacterString(UniversalTagNumber.IA5String, of);
            into.Add((kind, name));
            return name.Length > 0 && !name.AsSpan().ContainsAnyExceptInRange('!', '~');
        }
    }

    /// <summary>Whether another name, an identifier and its value, has no control characters if it is text.</summary>
    private static bool IsText(AsnReader name)
    {
        name.ReadObjectIdentifier();
        var value = name.ReadSequence(new Asn1Tag(TagClass.ContextSpecific, 0));
        var tag = value.PeekTag();
        if (tag.TagClass != TagClass.Universal) return true;
        return (UniversalTagNumber)tag.TagValue is not (UniversalTagNumber.UTF8String or UniversalTagNumber.IA5String or UniversalTagNumber.PrintableString
            or UniversalTagNumber.VisibleString
            or UniversalTagNumber.T61String or UniversalTagNumber.BMPString)
            || !value.ReadCharacterString((UniversalTagNumber)tag.TagValue).Any(char.IsControl);
    }
}

using System.Text.RegularExpressions;
using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;

namespace Isthmus.Mesh.Config;

/// <summary>TLS of a gateway's server. What proxies cannot do is refused, and a stored server that demands it is closed.</summary>
internal static partial class ServerTlsReader
{
    public static ServerTls Read(Field tls)
    {
        var read = new ServerTls(ModeOf(tls["mode"].Text))
        {
            HttpsRedirect = tls["httpsRedirect"].Flag ?? false,
            Files = Files(tls).ToValueList(),
            CaCertificates = tls["caCertificates"].Text,
            Credentials = Credentials(tls).ToValueList(),
            SubjectAltNames = tls["subjectAltNames"].Texts,
            KeyPins = tls["verifyCertificateSpki"].Texts,
            CertificatePins = tls["verifyCertificateHash"].Texts,
        };
        if (!read.Terminates)
        {
            WarnOfUnused(tls);
            return read;
        }
        read = read with { Limits = TlsLimitsReader.Read(tls) };
        CheckCertificates(tls, read);
        CheckPins(tls, read.Mode);
        RefuseRevocations(tls["caCrl"]);
        // One by one: each closes its own errors.
        var isBlocked = false;
        // Without an old minimum, the one of proxies applies.
        tls["minProtocolVersion"].CloseIfWrong();
        // The suites that are known apply.
        tls["cipherSuites"].CloseIfWrong();
        foreach (var name in (string[])["verifyCertificateSpki", "verifyCertificateHash", "caCrl", "maxProtocolVersion", "caCertCredentialName"])
            isBlocked |= tls[name].CloseIfWrong();
        return read with { IsBlocked = isBlocked };
    }

    /// <summary>Whoever names a list means that certificates in it are not valid any more.</summary>
    public static void RefuseRevocations(Field list)
    {
        if (list.Text.Length > 0)
            list.Error($"certificate revocation lists are not supported: \"{list.Text}\" would have no effect",
                "remove caCrl, and replace a CA or certificate that must not be trusted any more");
    }

    private static ServerTlsMode ModeOf(string name) => name switch
    {
        "SIMPLE" => ServerTlsMode.Simple,
        "MUTUAL" => ServerTlsMode.Mutual,
        "AUTO_PASSTHROUGH" => ServerTlsMode.AutoPassthrough,
        "ISTIO_MUTUAL" => ServerTlsMode.IstioMutual,
        "OPTIONAL_MUTUAL" => ServerTlsMode.OptionalMutual,
        _ => ServerTlsMode.Passthrough,
    };

    private static void WarnOfUnused(Field tls)
    {
        foreach (var name in (string[])["verifyCertificateSpki", "verifyCertificateHash", "caCrl", "minProtocolVersion", "maxProtocolVersion", "cipherSuites"])
            if (tls[name].Exists)
                tls[name]
                    .Idle("the gateway passes TLS through, and the client's handshake is with the server behind it",
                        "remove the field, or terminate TLS at the gateway");
    }

    private static IEnumerable<CertificateFiles> Files(Field tls) =>
        (tls["serverCertificate"].Text.Length + tls["privateKey"].Text.Length > 0 ? [(tls, "")] : (IEnumerable<(Field Pair, string Field)>)[])
            .Concat(tls["tlsCertificates"].Items.Select((pair, index) => (Pair: pair, Field: $"tlsCertificates[{index}].")))
            .Select(one => new CertificateFiles(one.Pair["serverCertificate"].Text, one.Pair["privateKey"].Text, one.Field));

    private static IEnumerable<NamedCredential> Credentials(Field tls)
    {
        if (tls["credentialName"].Text is { Length: > 0 } name) yield return new(name, "credentialName");
        foreach (var (index, item) in tls["credentialNames"].Items.Index())
        {
            if (item.Text.Length == 0) item.Error("must not be empty", "remove it, or name a Secret");
            yield return new(item.Text, $"credentialNames[{index}]");
        }
    }

    private static void CheckCertificates(Field tls, ServerTls read)
    {
        var mode = tls["mode"].Text;
        if (tls["caCertCredentialName"].Exists)
            tls["caCertCredentialName"]
                .Error("a Secret of its own for the CA is not supported",
                    "remove the field; put the CA into ca.crt of the (first) Secret of the certificate, or into a Secret of the same name with -cacert");
        if (read.Mode == ServerTlsMode.IstioMutual)
        {
            if (!read.Credentials.IsEmpty || !read.Files.IsEmpty || read.CaCertificates.Length > 0)
                tls.Error("ISTIO_MUTUAL TLS cannot have certificates of its own: the proxy's are used");
            return;
        }
        RefuseSecondSource(tls);
        if (!read.Credentials.IsEmpty) return;
        foreach (var pair in tls["tlsCertificates"].Items.DefaultIfEmpty(tls))
        {
            if (pair["serverCertificate"].Text.Length == 0)
                pair["serverCertificate"].Error($"{mode} TLS requires a server certificate", "set credentialName, or serverCertificate and privateKey");
            if (pair["privateKey"].Text.Length == 0) pair["privateKey"].Error($"{mode} TLS requires a private key");
        }
        if (read.ChecksClients && read.CaCertificates.Length == 0) tls["caCertificates"].Error($"{mode} TLS requires a client CA bundle");
    }

    /// <summary>Lists of certificates cannot be combined with anything else. A credentialName replaces the files of a server, as ever.</summary>
    private static void RefuseSecondSource(Field tls)
    {
        Field[] sources = [tls["credentialName"], tls["serverCertificate"], tls["credentialNames"], tls["tlsCertificates"]];
        var given = sources.Where(source => source.Text.Length > 0 || source.Items.Any()).ToList();
        foreach (var list in sources[2..].Where(list => list.Items.Any() && given.Count > 1))
            list.Error("only one of credentialName, credentialNames, serverCertificate with privateKey, and tlsCertificates may be set",
                "put all certificates into one of the lists");
    }

    private static void CheckPins(Field tls, ServerTlsMode mode)
    {
        var (keys, certificates) = (tls["verifyCertificateSpki"], tls["verifyCertificateHash"]);
        foreach (var pin in keys.Items)
        {
            if (!IsKeyPin(pin.Text))
                pin.Error($"\"{pin.Text}\" is not a SHA-256 hash in Base64",
                    "write the Base64 of the SHA-256 of the public key (DER, SubjectPublicKeyInfo): 44 characters");
        }
        foreach (var pin in certificates.Items)
        {
            if (!CertificatePin().IsMatch(pin.Text))
                pin.Error($"\"{pin.Text}\" is not a SHA-256 hash in hexadecimal",
                    "write the SHA-256 of the certificate (DER): 64 hexadecimal digits, with or without colons between the bytes");
        }
        if (mode != ServerTlsMode.Simple) return;
        foreach (var pins in (Field[])[keys, certificates])
            if (pins.Items.Any()) pins.Error("SIMPLE TLS does not ask clients for certificates, so none can be verified", "use MUTUAL, or remove the field");
    }

    private static bool IsKeyPin(string text)
    {
        Span<byte> bytes = stackalloc byte[33];
        return text.Length == 44 && Convert.TryFromBase64String(text, bytes, out var length) && length == 32;
    }

    [GeneratedRegex("^(?:[0-9a-fA-F]{64}|[0-9a-fA-F]{2}(?::[0-9a-fA-F]{2}){31})\\z")]
    private static partial Regex CertificatePin();
}

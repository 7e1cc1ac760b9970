using System.Security.Authentication;
using Isthmus.Wire.Tls;

namespace Isthmus.Proxy.Tls;

/// <summary>The choice between several certificates of one server, as Envoy makes it.</summary>
internal static class ServerCertificates
{
    /// <summary>
    /// Of those for the client's server name, if there are any, the first with an ECDSA key that the client can verify; otherwise the first
    /// without one. Null when none is available.
    /// </summary>
    public static CertificateSecret? Choose(TlsSettings settings, in ConnectionFacts client, ISecretSource secrets)
    {
        if (settings.Certificates.Count < 2) return secrets.FindCertificate(settings.Certificate);
        var own = settings.Certificates.Select(secrets.FindCertificate).OfType<CertificateSecret>().ToList();
        var name = client.ServerName;
        if (name.Length > 0
            && own.FindAll(certificate => certificate.Self.DnsNames.Any(known => PeerName.Proves(NameKind.Dns, known, name))) is { Count: > 0 } named)
            own = named;
        var is13 = client.Ecdsa.Offers13 && settings.Protocols.HasFlag(SslProtocols.Tls13);
        var curves = is13 ? client.Ecdsa.In13 : settings.HasEcdsaSuites ? client.Ecdsa.In12 : EcdsaCurves.None;
        return own.Find(certificate => (certificate.Curve & curves) != 0) ?? own.Find(certificate => certificate.Curve == EcdsaCurves.None)
            ?? own.FirstOrDefault();
    }
}

using System.Security.Cryptography.X509Certificates;

namespace Isthmus.Wire.Tls;

/// <summary>The chain that <c>SslStream</c> builds of a peer's certificates.</summary>
public static class PeerChain
{
    /// <summary>
    /// For connections whose peer is judged by other code than the handshake. Without a policy, the runtime would build the chain against the
    /// machine's trust store, which it reads once in each process and copies for each connection: a few hundred certificates.
    /// </summary>
    public static X509ChainPolicy Unjudged() => new()
    {
        TrustMode = X509ChainTrustMode.CustomRootTrust,
        RevocationMode = X509RevocationMode.NoCheck,
        DisableCertificateDownloads = true,
    };
}

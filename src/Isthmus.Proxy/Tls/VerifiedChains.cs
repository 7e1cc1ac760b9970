using System.Collections.Concurrent;
using System.Runtime.Versioning;

namespace Isthmus.Proxy.Tls;

/// <summary>
/// Verifies the chains of peers, each once: peers come back with the same certificates. A chain is remembered until the first of its
/// certificates expires. One object serves one set of roots and one side of connections (purpose).
/// </summary>
[SupportedOSPlatform("linux")]
internal sealed class VerifiedChains
{
    private const int Most = 1000;

    private readonly ConcurrentDictionary<Fingerprint, OpenSsl.CertificateHandle> _known = new();

    /// <summary>How many chains OpenSSL has verified.</summary>
    internal int Verified { get; private set; }

    /// <param name="verification">What OpenSSL asks to verify (X509_STORE_CTX).</param>
    /// <param name="sent">The fingerprint of the certificates that the peer sent; null: they are verified each time.</param>
    internal bool Verify(nint verification, Fingerprint? sent)
    {
        if (sent is not { } print) return OpenSslChains.X509_verify_cert(verification) == 1;
        if (_known.TryGetValue(print, out var first) && !OpenSslChains.HasExpired(first)) return true;
        if (OpenSslChains.X509_verify_cert(verification) != 1) return false;
        Verified++;
        // Handles that others still ask are freed with their last reference.
        if (_known.Count >= Most) _known.Clear();
        _known[print] = OpenSslChains.FirstToExpire(verification);
        return true;
    }
}

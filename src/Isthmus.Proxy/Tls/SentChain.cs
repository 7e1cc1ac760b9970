using System.Runtime.Versioning;

namespace Isthmus.Proxy.Tls;

/// <summary>The certificates that a peer sent, encoded once for all who ask about them during the handshake.</summary>
[SupportedOSPlatform("linux")]
internal readonly ref struct SentChain
{
    /// <summary>Longer chains have no fingerprint.</summary>
    internal const int MostBytes = 8 * 1024;

    /// <param name="verification">What OpenSSL asks to verify (X509_STORE_CTX).</param>
    /// <param name="room">Where to encode them, <see cref="MostBytes"/> long.</param>
    internal SentChain(nint verification, Span<byte> room)
    {
        var length = OpenSslChains.EncodeSent(verification, room, out var leafLength);
        Leaf = length > 0 ? room[..leafLength] : OpenSsl.Encode(OpenSslChains.X509_STORE_CTX_get0_cert(verification));
        LeafPrint = Fingerprint.Of(Leaf);
        if (length > 0) Print = length == leafLength ? LeafPrint : Fingerprint.Of(room[..length]);
    }

    /// <summary>The peer's own certificate as DER.</summary>
    internal ReadOnlySpan<byte> Leaf { get; }

    internal Fingerprint LeafPrint { get; }

    /// <summary>That of all certificates; null for a chain that is too long.</summary>
    internal Fingerprint? Print { get; }
}

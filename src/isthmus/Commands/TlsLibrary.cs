using System.Security.Cryptography;

namespace Isthmus.Commands;

/// <summary>The library whose version decides what handshakes of this program's proxies cost.</summary>
internal static class TlsLibrary
{
    /// <summary>For example <c>OpenSSL 3.5.9</c>; null on systems without OpenSSL.</summary>
    internal static string? Name
    {
        get
        {
            if (!OperatingSystem.IsLinux()) return null;
            // OPENSSL_VERSION_NUMBER(3): 0xMNN00PP0.
            var number = SafeEvpPKeyHandle.OpenSslVersion;
            return $"OpenSSL {number >> 28}.{(number >> 20) & 0xFF}.{(number >> 4) & 0xFF}";
        }
    }
}

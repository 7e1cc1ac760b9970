using System.Security.Cryptography;

namespace Isthmus.Commands;

/// <summary>The library whose version decides what handshakes of this program's proxies cost.</summary>
internal static class TlsLibrary
{
    /// <summary>The version of OpenSSL; null on systems without OpenSSL.</summary>
    internal static Version? Version
    {
        get
        {
            if (!OperatingSystem.IsLinux()) return null;
            // OPENSSL_VERSION_NUMBER(3): 0xMNN00PP0.
            var number = SafeEvpPKeyHandle.OpenSslVersion;
            return new((int)(number >> 28), (int)((number >> 20) & 0xFF), (int)((number >> 4) & 0xFF));
        }
    }

    /// <summary>For example <c>OpenSSL 3.5.9</c>; null on systems without OpenSSL.</summary>
    internal static string? Name => Version is { } version ? $"OpenSSL {version}" : null;
}

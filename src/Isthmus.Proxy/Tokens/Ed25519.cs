using System.Runtime.InteropServices;
using System.Runtime.Versioning;

namespace Isthmus.Proxy.Tokens;

/// <summary>Signatures of Ed25519 (RFC 8032). .NET does not have them, so OpenSSL verifies them, which .NET uses on Linux as well.</summary>
[SupportedOSPlatform("linux")]
internal static partial class Ed25519
{
    public const int KeySize = 32;

    private const string Library = "libcrypto.so.3";
    private const int KeyType = 1087; // EVP_PKEY_ED25519
    private const int Success = 1;

    /// <summary>Whether the owner of the public key signed the message.</summary>
    public static bool Verify(ReadOnlySpan<byte> key, ReadOnlySpan<byte> message, ReadOnlySpan<byte> signature)
    {
        var owner = EVP_PKEY_new_raw_public_key(KeyType, 0, key, (nuint)key.Length);
        var context = EVP_MD_CTX_new();
        try
        {
            return owner != 0 && context != 0 && EVP_DigestVerifyInit(context, 0, 0, 0, owner) == Success
                && EVP_DigestVerify(context, signature, (nuint)signature.Length, message, (nuint)message.Length) == Success;
        }
        finally
        {
            EVP_MD_CTX_free(context);
            EVP_PKEY_free(owner);
            // Each thread has a list of errors, which the next user of OpenSSL would find.
            ERR_clear_error();
        }
    }

    [LibraryImport(Library)] private static partial nint EVP_PKEY_new_raw_public_key(int type, nint engine, ReadOnlySpan<byte> key, nuint length);

    [LibraryImport(Library)] private static partial void EVP_PKEY_free(nint key);

    [LibraryImport(Library)] private static partial nint EVP_MD_CTX_new();

    [LibraryImport(Library)] private static partial void EVP_MD_CTX_free(nint context);

    [LibraryImport(Library)] private static partial int EVP_DigestVerifyInit(nint context, nint keyContext, nint digest, nint engine, nint key);

    [LibraryImport(Library)]
    private static partial int EVP_DigestVerify(nint context, ReadOnlySpan<byte> signature, nuint signatureLength, ReadOnlySpan<byte> message,
        nuint messageLength);

    [LibraryImport(Library)] private static partial void ERR_clear_error();
}

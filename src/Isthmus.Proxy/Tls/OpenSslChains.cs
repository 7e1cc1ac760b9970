using System.Runtime.InteropServices;
using System.Runtime.Versioning;

namespace Isthmus.Proxy.Tls;

/// <summary>The calls of OpenSSL 3 about the chain of certificates that a peer has sent, while it is verified (X509_STORE_CTX).</summary>
[SupportedOSPlatform("linux")]
internal static unsafe partial class OpenSslChains
{
    /// <summary>What a verification callback reports for a certificate that the program itself refuses (X509_V_ERR_APPLICATION_VERIFICATION).</summary>
    internal const int RefusedByProgram = 50;

    /// <summary>Why a chain was not verified, in words.</summary>
    internal static string VerificationError(int code) => Marshal.PtrToStringUTF8(X509_verify_cert_error_string(code)) ?? $"error {code}";

    /// <summary>Whether the certificate has expired.</summary>
    internal static bool HasExpired(OpenSsl.CertificateHandle certificate) =>
        OpenSsl.WithPointer(certificate, static pointer => OpenSsl.X509_cmp_current_time(OpenSsl.X509_get0_notAfter(pointer)) <= 0);

    /// <summary>The certificate of a verified chain that expires first.</summary>
    internal static OpenSsl.CertificateHandle FirstToExpire(nint verification)
    {
        var chain = X509_STORE_CTX_get0_chain(verification);
        var first = OPENSSL_sk_value(chain, 0);
        for (var i = 1; i < OPENSSL_sk_num(chain); i++)
        {
            var other = OPENSSL_sk_value(chain, i);
            if (ASN1_TIME_compare(OpenSsl.X509_get0_notAfter(other), OpenSsl.X509_get0_notAfter(first)) == -1) first = other;
        }
        _ = X509_up_ref(first);
        return OpenSsl.CertificateHandle.Own(first);
    }

    /// <summary>Writes the certificates that the peer sent, one after another, as DER; 0 if they need more room.</summary>
    /// <param name="leafLength">How long the first one is, the peer's own.</param>
    internal static int EncodeSent(nint verification, Span<byte> into, out int leafLength)
    {
        var sent = X509_STORE_CTX_get0_untrusted(verification);
        var end = 0;
        leafLength = 0;
        if (OPENSSL_sk_value(sent, 0) != X509_STORE_CTX_get0_cert(verification)) return 0;
        for (var i = 0; i < OPENSSL_sk_num(sent); i++)
        {
            var certificate = OPENSSL_sk_value(sent, i);
            var length = OpenSsl.i2d_X509(certificate, null);
            if (length <= 0 || length > into.Length - end) return 0;
            fixed (byte* start = into[end..])
            {
                var at = start;
                end += OpenSsl.i2d_X509(certificate, &at);
            }
            if (i == 0) leafLength = end;
        }
        return end;
    }

    [LibraryImport(OpenSsl.Crypto)] internal static partial int X509_verify_cert(nint verification);

    [LibraryImport(OpenSsl.Crypto)] internal static partial int X509_STORE_CTX_get_error(nint verification);

    [LibraryImport(OpenSsl.Crypto)] internal static partial void X509_STORE_CTX_set_error(nint verification, int error);

    [LibraryImport(OpenSsl.Crypto)] internal static partial nint X509_STORE_CTX_get0_cert(nint verification);

    [LibraryImport(OpenSsl.Crypto)] private static partial nint X509_STORE_CTX_get0_chain(nint verification);

    [LibraryImport(OpenSsl.Crypto)] private static partial nint X509_STORE_CTX_get0_untrusted(nint verification);

    [LibraryImport(OpenSsl.Crypto)] private static partial nint X509_verify_cert_error_string(nint code);

    [LibraryImport(OpenSsl.Crypto)] private static partial int X509_up_ref(nint certificate);

    [LibraryImport(OpenSsl.Crypto)] private static partial int OPENSSL_sk_num(nint stack);

    [LibraryImport(OpenSsl.Crypto)] private static partial nint OPENSSL_sk_value(nint stack, int index);

    [LibraryImport(OpenSsl.Crypto)] private static partial int ASN1_TIME_compare(nint one, nint other);
}

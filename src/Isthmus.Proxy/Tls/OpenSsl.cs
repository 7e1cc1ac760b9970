using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using Microsoft.Win32.SafeHandles;

namespace Isthmus.Proxy.Tls;

/// <summary>
/// The calls of OpenSSL 3 that TLS on an event loop needs, under the names of its manual pages (section 3), and the handles that own its
/// objects. Callers keep OpenSSL's rules; TLS calls it nowhere else, but for chains of certificates (<see cref="OpenSslChains"/>).
/// </summary>
[SupportedOSPlatform("linux")]
internal static unsafe partial class OpenSsl
{
    internal const int ErrorSsl = 1, ErrorWantRead = 2, ErrorWantWrite = 3, ErrorZeroReturn = 6;
    internal const int VerifyPeer = 1, FailIfNoPeerCertificate = 2;
    internal const int AlpnAccepted = 0, AlpnNotAcknowledged = 3;

    internal const int Tls12 = 0x0303, Tls13 = 0x0304;
    internal const nint ClientSessionsByCallback = 0x301, ServerSessions = 2;
    internal const ulong IgnoreUnexpectedEof = 1UL << 7, NoTicket = 1UL << 14, CipherServerPreference = 1UL << 22, NoRenegotiation = 1UL << 30;
    internal const ulong NoCompressedCertificates = 3UL << 32;     // sent and received; before OpenSSL 3.2 without effect
    internal const nint EnablePartialWrite = 1, AcceptMovingWriteBuffer = 2, AutoRetry = 4, NoAutoChain = 8, ReleaseBuffers = 0x10;
    internal const int BioRead = 1, BioWrite = 2, BioShouldRetry = 8, BioAllRetryFlags = 0xF;
    internal const int SentAndReceivedShutdown = 3;
    internal const int BioEnd = 2, BioFlush = 11;

    internal const string Crypto = "libcrypto.so.3";
    private const string Ssl = "libssl.so.3";
    private const int CtrlMode = 33, CtrlReadAhead = 41, CtrlSessionCacheSize = 42, CtrlSessionCacheMode = 44, CtrlHostName = 55, CtrlChainCertificate = 89;
    private const int CtrlVerifyStore = 106, CtrlLeastVersion = 123, CtrlMostVersion = 124;

    /// <summary>Owns an object of OpenSSL.</summary>
    internal abstract class Handle() : SafeHandleZeroOrMinusOneIsInvalid(ownsHandle: true)
    {
        private protected abstract void Free(nint owned);

        protected override bool ReleaseHandle()
        {
            Free(handle);
            return true;
        }
    }

    /// <summary>SSL_CTX</summary>
    internal sealed class ContextHandle : Handle
    {
        private protected override void Free(nint owned) => SSL_CTX_free(owned);
    }

    /// <summary>SSL</summary>
    internal sealed class ConnectionHandle : Handle
    {
        private protected override void Free(nint owned) => SSL_free(owned);
    }

    /// <summary>X509</summary>
    internal sealed class CertificateHandle : Handle
    {
        /// <param name="certificate">A certificate with a reference for the handle.</param>
        internal static CertificateHandle Own(nint certificate)
        {
            var owned = new CertificateHandle();
            owned.SetHandle(certificate);
            return owned;
        }

        private protected override void Free(nint owned) => X509_free(owned);
    }

    /// <summary>EVP_PKEY</summary>
    internal sealed class KeyHandle : Handle
    {
        private protected override void Free(nint owned) => EVP_PKEY_free(owned);
    }

    /// <summary>X509_STORE</summary>
    internal sealed class StoreHandle : Handle
    {
        private protected override void Free(nint owned) => X509_STORE_free(owned);
    }

    /// <summary>SSL_SESSION</summary>
    internal sealed class SessionHandle : Handle
    {
        /// <param name="session">A session of which OpenSSL gave up a reference.</param>
        internal static SessionHandle Own(nint session)
        {
            var owned = new SessionHandle();
            owned.SetHandle(session);
            return owned;
        }

        private protected override void Free(nint owned) => SSL_SESSION_free(owned);
    }

    internal static nint SetMode(ContextHandle context, nint mode) => SSL_CTX_ctrl(context, CtrlMode, mode, null);

    internal static nint SetReadAhead(ContextHandle context) => SSL_CTX_ctrl(context, CtrlReadAhead, 1, null);

    internal static nint SetSessionCacheMode(ContextHandle context, nint mode) => SSL_CTX_ctrl(context, CtrlSessionCacheMode, mode, null);

    /// <summary>The most sessions that a server keeps.</summary>
    internal static nint SetSessionCacheSize(ContextHandle context, nint most) => SSL_CTX_ctrl(context, CtrlSessionCacheSize, most, null);

    internal static bool SetVersions(ContextHandle context, int least, int most) =>
        SSL_CTX_ctrl(context, CtrlLeastVersion, least, null) == 1 && SSL_CTX_ctrl(context, CtrlMostVersion, most, null) == 1;

    /// <summary>Adds a certificate to those that follow the own one.</summary>
    internal static bool AddChainCertificate(ContextHandle context, CertificateHandle certificate) =>
        WithPointer(certificate, pointer => SSL_CTX_ctrl(context, CtrlChainCertificate, 1, (void*)pointer) == 1);

    internal static bool SetVerifyStore(ContextHandle context, StoreHandle store) =>
        WithPointer(store, pointer => SSL_CTX_ctrl(context, CtrlVerifyStore, 1, (void*)pointer) == 1);

    internal static bool SetHostName(ConnectionHandle connection, string name)
    {
        var bytes = new byte[name.Length + 1];
        System.Text.Encoding.ASCII.GetBytes(name, bytes);
        fixed (byte* start = bytes) return SSL_ctrl(connection, CtrlHostName, 0, start) == 1;
    }

    /// <summary>The oldest error of this thread in words, without the rest; empty if there is none.</summary>
    internal static string TakeReason()
    {
        var code = ERR_get_error();
        ERR_clear_error();
        return code == 0 ? "" : Marshal.PtrToStringUTF8(ERR_reason_error_string(code)) ?? $"error {code:X}";
    }

    /// <summary>Lets a session that a server has just kept end no later than the certificate of its client.</summary>
    internal static void EndWithPeer(nint connection, nint session)
    {
        if (SSL_SESSION_get0_peer(session) is not (not 0 and var peer)) return;
        int days, seconds;
        var isKnown = ASN1_TIME_diff(&days, &seconds, 0, X509_get0_notAfter(peer)) == 1;
        var left = isKnown ? (days * 86_400L) + seconds : 0;
        if (left <= 0) _ = SSL_CTX_remove_session(SSL_get_SSL_CTX(connection), session);
        else if (left < SSL_SESSION_get_timeout(session)) _ = SSL_SESSION_set_timeout(session, (nint)left);
    }

    // Whether the certificate of the session's peer has expired.
    private static bool HasExpiredPeer(nint session) =>
        SSL_SESSION_get0_peer(session) is not 0 and var peer && X509_cmp_current_time(X509_get0_notAfter(peer)) <= 0;

    /// <summary>Whether a client may offer the session: it can be resumed, and its peer's certificate is still valid.</summary>
    internal static bool IsUsable(SessionHandle session) =>
        WithPointer(session, static pointer => SSL_SESSION_is_resumable(pointer) == 1 && !HasExpiredPeer(pointer));

    /// <summary>Sessions of TLS 1.3 are for one connection, which others cannot link to the one before.</summary>
    internal static bool IsForSingleUse(SessionHandle session) => WithPointer(session, static pointer => SSL_SESSION_get_protocol_version(pointer) >= Tls13);

    /// <summary>A certificate as DER.</summary>
    internal static byte[] Encode(nint certificate)
    {
        var der = new byte[i2d_X509(certificate, null)];
        fixed (byte* start = der)
        {
            var end = start;
            _ = i2d_X509(certificate, &end);
        }
        return der;
    }

    /// <summary>The peer's certificate as DER; null without one.</summary>
    internal static byte[]? EncodePeer(ConnectionHandle connection)
    {
        var certificate = SSL_get1_peer_certificate(connection);
        if (certificate == 0) return null;
        try
        {
            return Encode(certificate);
        }
        finally
        {
            X509_free(certificate);
        }
    }

    /// <summary>Invalid if the bytes are not a certificate.</summary>
    internal static CertificateHandle DecodeCertificate(ReadOnlySpan<byte> der)
    {
        fixed (byte* start = der)
        {
            var at = start;
            return d2i_X509(0, &at, der.Length);
        }
    }

    /// <summary>A private key in any form that OpenSSL knows; invalid if it is not one.</summary>
    internal static KeyHandle DecodeKey(ReadOnlySpan<byte> der)
    {
        fixed (byte* start = der)
        {
            var at = start;
            return d2i_AutoPrivateKey(0, &at, der.Length);
        }
    }

    /// <summary>A source and sink (BIO) that calls the given functions, for a connection that owns it from then on.</summary>
    internal static void SetBio(ConnectionHandle connection, nint method)
    {
        var bio = BIO_new(method);
        if (bio == 0) throw new OutOfMemoryException("OpenSSL has no memory for a connection");
        BIO_set_init(bio, 1);
        SSL_set_bio(connection, bio, bio);
    }

    internal static nint CreateBioMethod(delegate* unmanaged<nint, byte*, int, int> read, delegate* unmanaged<nint, byte*, int, int> write,
        delegate* unmanaged<nint, int, nint, nint, nint> control)
    {
        // BIO_TYPE_SOURCE_SINK with an index of its own.
        var method = BIO_meth_new(BIO_get_new_index() | 0x0400, "event loop");
        _ = BIO_meth_set_read(method, (nint)read);
        _ = BIO_meth_set_write(method, (nint)write);
        _ = BIO_meth_set_ctrl(method, (nint)control);
        return method;
    }

    internal static bool WithPointer(Handle handle, Func<nint, bool> action)
    {
        var held = false;
        handle.DangerousAddRef(ref held);
        try
        {
            return action(handle.DangerousGetHandle());
        }
        finally
        {
            handle.DangerousRelease();
        }
    }

    [LibraryImport(Ssl)] internal static partial nint TLS_server_method();

    [LibraryImport(Ssl)] internal static partial nint TLS_client_method();

    [LibraryImport(Ssl)] internal static partial ContextHandle SSL_CTX_new(nint method);

    [LibraryImport(Ssl)] private static partial void SSL_CTX_free(nint context);

    [LibraryImport(Ssl)] private static partial nint SSL_CTX_ctrl(ContextHandle context, int command, nint number, void* argument);

    [LibraryImport(Ssl)] internal static partial ulong SSL_CTX_set_options(ContextHandle context, ulong options);

    [LibraryImport(Ssl, StringMarshalling = StringMarshalling.Utf8)] internal static partial int SSL_CTX_set_cipher_list(ContextHandle context, string names);

    [LibraryImport(Ssl, StringMarshalling = StringMarshalling.Utf8)] internal static partial int SSL_CTX_set_ciphersuites(ContextHandle context, string names);

    [LibraryImport(Ssl)] internal static partial int SSL_CTX_set_num_tickets(ContextHandle context, nuint count);

    [LibraryImport(Ssl)] internal static partial void SSL_CTX_set_verify(ContextHandle context, int mode, nint callback);

    [LibraryImport(Ssl)]
    internal static partial void SSL_CTX_set_cert_verify_callback(ContextHandle context, delegate* unmanaged<nint, nint, int> callback, nint argument);

    [LibraryImport(Ssl)]
    internal static partial void SSL_CTX_set_alpn_select_cb(ContextHandle context, delegate* unmanaged<nint, byte**, byte*, byte*, uint, nint, int> callback,
        nint argument);

    [LibraryImport(Ssl)] internal static partial int SSL_CTX_use_certificate(ContextHandle context, CertificateHandle certificate);

    [LibraryImport(Ssl)] internal static partial int SSL_CTX_use_PrivateKey(ContextHandle context, KeyHandle key);

    [LibraryImport(Ssl)] internal static partial ConnectionHandle SSL_new(ContextHandle context);

    [LibraryImport(Ssl)] private static partial void SSL_free(nint connection);

    [LibraryImport(Ssl)] private static partial nint SSL_ctrl(ConnectionHandle connection, int command, nint number, void* argument);

    [LibraryImport(Ssl)] private static partial void SSL_set_bio(ConnectionHandle connection, nint source, nint sink);

    [LibraryImport(Ssl)] internal static partial int SSL_set_alpn_protos(ConnectionHandle connection, byte* protocols, uint length);

    [LibraryImport(Ssl)] internal static partial void SSL_set_accept_state(ConnectionHandle connection);

    [LibraryImport(Ssl)] internal static partial void SSL_set_connect_state(ConnectionHandle connection);

    [LibraryImport(Ssl)] internal static partial int SSL_do_handshake(ConnectionHandle connection);

    [LibraryImport(Ssl)] internal static partial int SSL_read(ConnectionHandle connection, byte* into, int length);

    [LibraryImport(Ssl)] internal static partial int SSL_write(ConnectionHandle connection, byte* bytes, int length);

    [LibraryImport(Ssl)] internal static partial int SSL_shutdown(ConnectionHandle connection);

    [LibraryImport(Ssl)] internal static partial void SSL_set_shutdown(ConnectionHandle connection, int mode);

    [LibraryImport(Ssl)] internal static partial int SSL_has_pending(ConnectionHandle connection);

    [LibraryImport(Ssl)] internal static partial int SSL_get_error(ConnectionHandle connection, int result);

    [LibraryImport(Ssl)] internal static partial void SSL_get0_alpn_selected(ConnectionHandle connection, byte** protocol, uint* length);

    [LibraryImport(Ssl)] private static partial nint SSL_get1_peer_certificate(ConnectionHandle connection);

    [LibraryImport(Ssl)] internal static partial int SSL_version(ConnectionHandle connection);

    [LibraryImport(Ssl)] internal static partial int SSL_session_reused(ConnectionHandle connection);

    [LibraryImport(Ssl)] internal static partial int SSL_set_session(ConnectionHandle connection, SessionHandle session);

    [LibraryImport(Ssl)] private static partial void SSL_SESSION_free(nint session);

    [LibraryImport(Ssl)] private static partial int SSL_SESSION_is_resumable(nint session);

    [LibraryImport(Ssl)] private static partial int SSL_SESSION_get_protocol_version(nint session);

    [LibraryImport(Ssl)] private static partial nint SSL_SESSION_get0_peer(nint session);

    [LibraryImport(Ssl)] internal static partial int SSL_CTX_set_session_id_context(ContextHandle context, byte* id, uint length);

    [LibraryImport(Ssl)] internal static partial void SSL_CTX_sess_set_new_cb(ContextHandle context, delegate* unmanaged<nint, nint, int> callback);

    [LibraryImport(Ssl)] private static partial int SSL_CTX_remove_session(nint context, nint session);

    [LibraryImport(Ssl)] private static partial nint SSL_get_SSL_CTX(nint connection);

    [LibraryImport(Ssl)] private static partial nint SSL_SESSION_get_timeout(nint session);

    [LibraryImport(Ssl)] private static partial nint SSL_SESSION_set_timeout(nint session, nint seconds);

    [LibraryImport(Crypto)] private static partial int ASN1_TIME_diff(int* days, int* seconds, nint from, nint to);

    [LibraryImport(Crypto)] internal static partial nint X509_get0_notAfter(nint certificate);

    [LibraryImport(Crypto)] internal static partial int X509_cmp_current_time(nint time);

    [LibraryImport(Crypto)] internal static partial StoreHandle X509_STORE_new();

    [LibraryImport(Crypto)] private static partial void X509_STORE_free(nint store);

    [LibraryImport(Crypto)] internal static partial int X509_STORE_add_cert(StoreHandle store, CertificateHandle certificate);

    [LibraryImport(Crypto)] private static partial CertificateHandle d2i_X509(nint into, byte** der, nint length);

    [LibraryImport(Crypto)] internal static partial int i2d_X509(nint certificate, byte** into);

    [LibraryImport(Crypto)] private static partial void X509_free(nint certificate);

    [LibraryImport(Crypto)] private static partial KeyHandle d2i_AutoPrivateKey(nint into, byte** der, nint length);

    [LibraryImport(Crypto)] private static partial void EVP_PKEY_free(nint key);

    [LibraryImport(Crypto)] internal static partial void ERR_clear_error();

    [LibraryImport(Crypto)] private static partial nuint ERR_get_error();

    [LibraryImport(Crypto)] private static partial nint ERR_reason_error_string(nuint code);

    [LibraryImport(Crypto)] private static partial int BIO_get_new_index();

    [LibraryImport(Crypto, StringMarshalling = StringMarshalling.Utf8)] private static partial nint BIO_meth_new(int type, string name);

    [LibraryImport(Crypto)] private static partial int BIO_meth_set_read(nint method, nint read);

    [LibraryImport(Crypto)] private static partial int BIO_meth_set_write(nint method, nint write);

    [LibraryImport(Crypto)] private static partial int BIO_meth_set_ctrl(nint method, nint control);

    [LibraryImport(Crypto)] private static partial nint BIO_new(nint method);

    [LibraryImport(Crypto)] private static partial void BIO_set_init(nint bio, int isReady);

    [LibraryImport(Crypto), SuppressGCTransition] internal static partial void BIO_set_flags(nint bio, int flags);

    [LibraryImport(Crypto), SuppressGCTransition] internal static partial void BIO_clear_flags(nint bio, int flags);
}

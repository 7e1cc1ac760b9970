using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Runtime.Versioning;
using System.Security.Authentication;
using System.Security.Cryptography;

namespace Isthmus.Proxy.Tls;

/// <summary>
/// What connections with the same certificate, roots and limits share (SSL_CTX). Names, pins and protocols of a single connection are not
/// part of it, so that the clusters of a mesh, which differ in nothing else, have one.
/// </summary>
[SupportedOSPlatform("linux")]
internal sealed class TlsContext
{
    private static readonly ConditionalWeakTable<object, ConcurrentDictionary<Key, TlsContext>> Known = [];
    private static readonly ConditionalWeakTable<RootSecret, OpenSsl.StoreHandle> Stores = [];
    private static readonly object NoSecret = new();

    // A session with a client's certificate takes some 6 KB, without one 0.5 KB.
    private const int MostSessions = 4096, MostSessionsWithPeer = 256;

    // Those of TLS 1.3, in the order of Envoy. The first is the cheapest for a handshake: processors have instructions for its hash.
    private const string Suites = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";

    private TlsContext(Key key) => Handle = Create(key);

    internal OpenSsl.ContextHandle Handle { get; }

    /// <summary>The chains of peers that were verified with the roots of this context, for its side.</summary>
    internal VerifiedChains Chains { get; } = new();

    private readonly record struct Key(bool IsServer, SslProtocols Protocols, string Ciphers, bool AsksPeer, bool RequiresPeer, CertificateSecret? Own,
        RootSecret? Roots);

    /// <param name="settings">What the context is for.</param>
    /// <param name="own">The certificate to present; null for none.</param>
    /// <param name="roots">What the peer's certificate must chain to; null: it need not.</param>
    /// <param name="isServer">Which side of the connections it is for.</param>
    internal static TlsContext For(TlsSettings settings, CertificateSecret? own, RootSecret? roots, bool isServer)
    {
        var asks = !isServer || settings.RequirePeer || roots is not null;
        var key = new Key(isServer, settings.Protocols, settings.Ciphers, asks, isServer && settings.RequirePeer, own, roots);
        // The contexts of a secret go when it does.
        return Known.GetOrCreateValue((object?)own ?? roots ?? NoSecret).GetOrAdd(key, static key => new(key));
    }

    private static unsafe OpenSsl.ContextHandle Create(Key key)
    {
        var context = OpenSsl.SSL_CTX_new(key.IsServer ? OpenSsl.TLS_server_method() : OpenSsl.TLS_client_method());
        Require(!context.IsInvalid, "context");
        Require(
            OpenSsl.SetVersions(context, key.Protocols.HasFlag(SslProtocols.Tls12) ? OpenSsl.Tls12 : OpenSsl.Tls13,
                key.Protocols.HasFlag(SslProtocols.Tls13) ? OpenSsl.Tls13 : OpenSsl.Tls12),
            "protocol versions");
        // Compressing its certificate takes a client a fifth of its handshake, and saves some hundred bytes.
        OpenSsl.SSL_CTX_set_options(context, OpenSsl.IgnoreUnexpectedEof | OpenSsl.CipherServerPreference | OpenSsl.NoRenegotiation
            | OpenSsl.NoCompressedCertificates | (key.IsServer ? OpenSsl.NoTicket : 0));
        // An idle connection holds no buffers; one read of the socket takes all records that have arrived. The chain to send is that of the
        // secret: OpenSSL does not look for one in each handshake.
        OpenSsl.SetMode(context,
            OpenSsl.EnablePartialWrite | OpenSsl.AcceptMovingWriteBuffer | OpenSsl.AutoRetry | OpenSsl.NoAutoChain | OpenSsl.ReleaseBuffers);
        OpenSsl.SetReadAhead(context);
        OpenSsl.SetSessionCacheMode(context, key.IsServer ? OpenSsl.ServerSessions : OpenSsl.ClientSessionsByCallback);
        if (key.IsServer) AllowResumption(context, key.AsksPeer);
        else OpenSsl.SSL_CTX_sess_set_new_cb(context, &TlsConnection.KeepSession);
        Require(OpenSsl.SSL_CTX_set_ciphersuites(context, Suites) == 1, "cipher suites of TLS 1.3");
        if (key.Ciphers.Length > 0) Require(OpenSsl.SSL_CTX_set_cipher_list(context, key.Ciphers) == 1, "cipher suites");
        if (key.Own is not null) Present(context, key.Own);
        if (key.Roots is not null) Require(OpenSsl.SetVerifyStore(context, Stores.GetValue(key.Roots, CreateStore)), "roots");
        if (key.AsksPeer)
        {
            OpenSsl.SSL_CTX_set_verify(context, OpenSsl.VerifyPeer | (key.RequiresPeer ? OpenSsl.FailIfNoPeerCertificate : 0), 0);
            OpenSsl.SSL_CTX_set_cert_verify_callback(context, &TlsConnection.Verify, 0);
        }
        if (key.IsServer) OpenSsl.SSL_CTX_set_alpn_select_cb(context, &TlsConnection.SelectProtocol, 0);
        return context;
    }

    // The context keeps the sessions, and clients get only their names. A ticket with the whole session, the client's certificate included,
    // costs more to write and to read than all else of a resumed handshake. Whoever resumes a session was verified with the same roots, by a
    // server with the same certificate and the same rule for clients.
    private static unsafe void AllowResumption(OpenSsl.ContextHandle context, bool hasPeers)
    {
        fixed (byte* id = "isthmus"u8) Require(OpenSsl.SSL_CTX_set_session_id_context(context, id, 7) == 1, "session context");
        Require(OpenSsl.SSL_CTX_set_num_tickets(context, 1) == 1, "tickets");
        OpenSsl.SetSessionCacheSize(context, hasPeers ? MostSessionsWithPeer : MostSessions);
        OpenSsl.SSL_CTX_sess_set_new_cb(context, &TlsConnection.LimitSession);
    }

    private static void Present(OpenSsl.ContextHandle context, CertificateSecret own)
    {
        using (var leaf = OpenSsl.DecodeCertificate(own.Leaf.RawDataMemory.Span))
            Require(!leaf.IsInvalid && OpenSsl.SSL_CTX_use_certificate(context, leaf) == 1, $"certificate of secret {own.Name}");
        foreach (var each in own.Intermediates)
        {
            using var certificate = OpenSsl.DecodeCertificate(each.RawDataMemory.Span);
            Require(!certificate.IsInvalid && OpenSsl.AddChainCertificate(context, certificate), $"chain of secret {own.Name}");
        }
        var der = own.ExportKey();
        using (var key = OpenSsl.DecodeKey(der)) Require(!key.IsInvalid && OpenSsl.SSL_CTX_use_PrivateKey(context, key) == 1, $"key of secret {own.Name}");
        CryptographicOperations.ZeroMemory(der);
    }

    private static OpenSsl.StoreHandle CreateStore(RootSecret roots)
    {
        var store = OpenSsl.X509_STORE_new();
        foreach (var root in roots.Roots)
        {
            using var certificate = OpenSsl.DecodeCertificate(root.RawDataMemory.Span);
            Require(!certificate.IsInvalid && OpenSsl.X509_STORE_add_cert(store, certificate) == 1, $"roots of secret {roots.Name}");
        }
        return store;
    }

    /// <exception cref="AuthenticationException">OpenSSL refused.</exception>
    internal static void Require(bool isDone, string what)
    {
        if (!isDone) throw new AuthenticationException($"OpenSSL refuses the {what}: {OpenSsl.TakeReason()}");
    }
}

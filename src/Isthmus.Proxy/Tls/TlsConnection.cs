using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using System.Text;
using Isthmus.Proxy.Transports;

namespace Isthmus.Proxy.Tls;

/// <summary>
/// One TLS connection of OpenSSL. Its calls never wait: they say what the bytes below must be ready for before they are repeated.
/// It may be used on several threads, which then take turns.
/// </summary>
[SupportedOSPlatform("linux")]
internal sealed unsafe class TlsConnection : IDisposable
{
    /// <summary>Results of calls that have to be repeated when the bytes below can be read or written.</summary>
    internal const int NeedsRead = -1, NeedsWrite = -2;

    private static readonly nint BytesMethod = OpenSsl.CreateBioMethod(&ReadBytes, &WriteBytes, &Control);

    // OpenSSL calls back on the thread that called it.
    [ThreadStatic] private static TlsConnection? _active;

    private readonly OpenSsl.ConnectionHandle _ssl;
    private readonly GatheredBytes _bytes;
    private readonly TlsSettings _settings;
    private readonly RootSecret? _roots;
    private readonly string _expected;
    private readonly string? _protocol;
    private readonly TlsContext _context;
    private ClientSessions? _sessions;
    private ClientSessions.Server _server;
    private PeerCertificate? _peer;
    private Exception? _failure;
    private string? _refusal;
    private bool _hasEnded;     // the bytes of the peer, with or without TLS's own end

    /// <param name="context">What it shares with others.</param>
    /// <param name="bytes">What it reads and writes.</param>
    /// <param name="settings">Names and pins that the peer's certificate must have.</param>
    /// <param name="roots">Those of the context.</param>
    /// <param name="expected">The host that the certificate must prove; empty for none.</param>
    /// <param name="protocol">Server side: the protocol to select; null for none.</param>
    private TlsConnection(TlsContext context, INonBlocking bytes, TlsSettings settings, RootSecret? roots, string expected, string? protocol)
    {
        _ssl = OpenSsl.SSL_new(context.Handle);
        TlsContext.Require(!_ssl.IsInvalid, "connection");
        OpenSsl.SetBio(_ssl, BytesMethod);
        (_context, _bytes, _settings, _roots, _expected, _protocol) = (context, new(bytes), settings, roots, expected, protocol);
    }

    /// <summary>The client's side of a connection.</summary>
    internal static TlsConnection Client(INonBlocking bytes, EndPoint? remote, TlsSettings settings, CertificateSecret? own, RootSecret? roots,
        (string Sni, string Expected) names, IReadOnlyList<string> alpn)
    {
        var connection = new TlsConnection(TlsContext.For(settings, own, roots, isServer: false), bytes, settings, roots, names.Expected, null);
        OpenSsl.SSL_set_connect_state(connection._ssl);
        connection.OfferSession(new(remote, names.Sni, names.Expected));
        if (names.Sni.Length > 0) TlsContext.Require(OpenSsl.SetHostName(connection._ssl, names.Sni), "server name");
        if (alpn.Count > 0)
        {
            var offer = new byte[alpn.Sum(protocol => protocol.Length + 1)];
            var end = 0;
            foreach (var protocol in alpn)
            {
                offer[end++] = (byte)protocol.Length;
                end += Encoding.ASCII.GetBytes(protocol, offer.AsSpan(end));
            }
            fixed (byte* start = offer) TlsContext.Require(OpenSsl.SSL_set_alpn_protos(connection._ssl, start, (uint)offer.Length) == 0,
                "application protocols");
        }
        return connection;
    }

    /// <summary>The server's side of a connection.</summary>
    /// <param name="protocol">The application protocol to select; null for none.</param>
    internal static TlsConnection Server(INonBlocking bytes, TlsSettings settings, CertificateSecret own, RootSecret? roots, string? protocol)
    {
        var connection = new TlsConnection(TlsContext.For(settings, own, roots, isServer: true), bytes, settings, roots, "", protocol) { IsServer = true };
        OpenSsl.SSL_set_accept_state(connection._ssl);
        return connection;
    }

    private bool IsServer { get; init; }

    /// <summary>Bytes were received that nobody has read, perhaps of a record that is not complete.</summary>
    internal bool HasPending
    {
        get
        {
            lock (_ssl) return !_ssl.IsClosed && (_bytes.HasUnread || OpenSsl.SSL_has_pending(_ssl) != 0);
        }
    }

    /// <summary>Continues the handshake: 1 when it is complete.</summary>
    /// <exception cref="TransportException">It failed.</exception>
    internal int Handshake()
    {
        lock (_ssl)
        {
            Enter();
            var done = OpenSsl.SSL_do_handshake(_ssl);
            // A server of TLS 1.3 ends its handshake with sessions to resume. Clients do not wait for them, so they go with its first bytes.
            var isSent = (done == 1 && IsServer && OpenSsl.SSL_version(_ssl) == OpenSsl.Tls13) || TryFlush();
            var needs = done == 1 ? 1 : Outcome(done);
            if (_failure is TransportException lost) throw lost;
            if (needs == 0) throw new TransportException(TransportFailure.Reset, "the peer closed the connection during the TLS handshake");
            if (!isSent) return NeedsWrite;
            if (needs != 1) return needs;
            _bytes.Complete();
            CheckResumed();
            return 1;
        }
    }

    /// <summary>Whether the handshake resumed a session.</summary>
    internal bool IsResumed { get; private set; }

    /// <summary>The peer, after the handshake.</summary>
    /// <param name="serverName">The name that the client asked for.</param>
    /// <param name="own">The URIs in the certificate that the peer was shown; null: none.</param>
    internal TlsPeer Peer(string serverName, IReadOnlyList<string>? own)
    {
        lock (_ssl)
        {
            Enter();
            byte* protocol;
            uint length;
            OpenSsl.SSL_get0_alpn_selected(_ssl, &protocol, &length);
            return (_peer ?? PeerCertificate.None).With(Encoding.ASCII.GetString(new ReadOnlySpan<byte>(protocol, (int)length)), serverName, own);
        }
    }

    /// <summary>Reads bytes that have arrived; 0 at the end of the peer's stream.</summary>
    /// <exception cref="TransportException">The connection failed or was closed.</exception>
    internal int Read(Span<byte> into)
    {
        lock (_ssl)
        {
            Enter();
            int count;
            fixed (byte* start = into) count = OpenSsl.SSL_read(_ssl, start, into.Length);
            return count > 0 ? count : Outcome(count);
        }
    }

    /// <summary>Sends some of the bytes, at least one.</summary>
    /// <exception cref="TransportException">The connection failed or was closed.</exception>
    internal int Write(ReadOnlySpan<byte> bytes)
    {
        lock (_ssl)
        {
            Enter();
            int count;
            fixed (byte* start = bytes) count = OpenSsl.SSL_write(_ssl, start, bytes.Length);
            if (count > 0) return count;
            var needs = Outcome(count);
            return needs == 0 ? throw new TransportException(TransportFailure.Reset, "closed by the peer") : needs;
        }
    }

    /// <summary>What is written from now on waits for <see cref="Flush"/>, so that it goes out together.</summary>
    internal void Gather()
    {
        lock (_ssl) _bytes.Gather();
    }

    /// <summary>Sends what was gathered: 1 when it was sent.</summary>
    /// <exception cref="TransportException">The connection failed or was closed.</exception>
    internal int Flush()
    {
        lock (_ssl)
        {
            Enter();
            return _bytes.TryFlush() ? 1 : NeedsWrite;
        }
    }

    /// <summary>Says that no more will be sent: 1 when it was sent.</summary>
    /// <exception cref="TransportException">The connection failed or was closed.</exception>
    internal int CloseWrite()
    {
        lock (_ssl)
        {
            Enter();
            var done = OpenSsl.SSL_shutdown(_ssl);
            return done >= 0 ? 1 : Outcome(done);
        }
    }

    public void Dispose()
    {
        lock (_ssl)
        {
            if (_ssl.IsClosed) return;
            // Otherwise OpenSSL takes the end for an attack, and marks the session as one that must not be resumed.
            OpenSsl.SSL_set_shutdown(_ssl, OpenSsl.SentAndReceivedShutdown);
            _ssl.Dispose();
            _bytes.Dispose();
        }
    }

    /// <summary>Called by OpenSSL: whether the peer's certificate is accepted.</summary>
    [UnmanagedCallersOnly]
    internal static int Verify(nint verification, nint argument)
    {
        var connection = _active!;
        try
        {
            var sent = new SentChain(verification, stackalloc byte[SentChain.MostBytes]);
            if (connection._roots is not null && !connection._context.Chains.Verify(verification, sent.Print))
            {
                connection._refusal =
                    $"verify_cert_failed:_{OpenSslChains.VerificationError(OpenSslChains.X509_STORE_CTX_get_error(verification)).Replace(' ', '_')}";
                return 0;
            }
            connection._peer = PeerCertificate.Of(sent.Leaf, sent.LeafPrint);
            connection._refusal = connection._peer.Refusal(connection._settings, connection._roots, connection._expected);
        }
#pragma warning disable CA1031 // No exception may cross OpenSSL.
        catch (Exception e)
#pragma warning restore CA1031
        {
            connection._failure = e;
            connection._refusal = "verify_cert_failed:_internal_error";
        }
        OpenSslChains.X509_STORE_CTX_set_error(verification, connection._refusal is null ? 0 : OpenSslChains.RefusedByProgram);
        return connection._refusal is null ? 1 : 0;
    }

    /// <summary>Called by OpenSSL: the server's side has kept a session that its client may resume. 0 leaves the reference.</summary>
    [UnmanagedCallersOnly]
    internal static int LimitSession(nint ssl, nint session)
    {
        OpenSsl.EndWithPeer(ssl, session);
        return 0;
    }

    /// <summary>Called by OpenSSL: a server sent a session that can be resumed. 1 takes the reference.</summary>
    [UnmanagedCallersOnly]
    internal static int KeepSession(nint ssl, nint session)
    {
        if (_active is not { _sessions: { } sessions } connection) return 0;
        sessions.Keep(connection._context, connection._server, OpenSsl.SessionHandle.Own(session));
        return 1;
    }

    /// <summary>Called by OpenSSL: which of the client's application protocols is used.</summary>
    [UnmanagedCallersOnly]
    internal static int SelectProtocol(nint ssl, byte** selected, byte* selectedLength, byte* offered, uint offeredLength, nint argument)
    {
        if (_active?._protocol is not { } wanted) return OpenSsl.AlpnNotAcknowledged;
        for (uint at = 0; at < offeredLength && at + 1 + offered[at] <= offeredLength; at += 1u + offered[at])
        {
            if (!Ascii.Equals(new ReadOnlySpan<byte>(offered + at + 1, offered[at]), wanted)) continue;
            *selected = offered + at + 1;
            *selectedLength = offered[at];
            return OpenSsl.AlpnAccepted;
        }
        return OpenSsl.AlpnNotAcknowledged;
    }

    [UnmanagedCallersOnly]
    private static int ReadBytes(nint bio, byte* into, int length) => Move(bio, new(into, length), isRead: true);

    [UnmanagedCallersOnly]
    private static int WriteBytes(nint bio, byte* bytes, int length) => Move(bio, new(bytes, length), isRead: false);

    private static int Move(nint bio, Span<byte> bytes, bool isRead)
    {
        var connection = _active!;
        OpenSsl.BIO_clear_flags(bio, OpenSsl.BioAllRetryFlags);
        try
        {
            var count = isRead ? connection._bytes.TryRead(bytes) : connection._bytes.TryWrite(bytes);
            if (count < 0) OpenSsl.BIO_set_flags(bio, (isRead ? OpenSsl.BioRead : OpenSsl.BioWrite) | OpenSsl.BioShouldRetry);
            if (isRead) connection._hasEnded = count == 0;
            return count;
        }
#pragma warning disable CA1031 // No exception may cross OpenSSL.
        catch (Exception e)
#pragma warning restore CA1031
        {
            connection._failure = e;
            return -1;
        }
        finally
        {
            // The bytes below may be those of another TLS connection.
            _active = connection;
        }
    }

    [UnmanagedCallersOnly]
    private static nint Control(nint bio, int command, nint number, nint argument) => command switch
    {
        // Nothing is held back.
        OpenSsl.BioFlush => 1,
        OpenSsl.BioEnd => _active!._hasEnded ? 1 : 0,
        _ => 0,
    };

    private bool TryFlush()
    {
        try
        {
            return _bytes.TryFlush();
        }
        catch (TransportException e)
        {
            // OpenSSL may know a better reason.
            _failure = e;
            return true;
        }
    }

    private void OfferSession(ClientSessions.Server server)
    {
        _sessions = ClientSessions.Of(_settings);
        _server = server;
        _sessions.Offer(_context, server, _ssl);
    }

    // The session tells who the peer is. Whether that peer is accepted is asked again.
    private void CheckResumed()
    {
        IsResumed = OpenSsl.SSL_session_reused(_ssl) == 1;
        if (!IsResumed || OpenSsl.EncodePeer(_ssl) is not { } certificate) return;
        _peer = PeerCertificate.Of(certificate);
        _refusal = _peer.Refusal(_settings, _roots, _expected);
        if (_refusal is not null) throw Refused(_refusal);
    }

    private static TransportException Refused(string why, Exception? cause = null) =>
        new(TransportFailure.Tls, $"TLS_error:|268435581:SSL_routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:{why}:TLS_error_end", cause);

    private void Enter()
    {
        if (_ssl.IsClosed) throw new TransportException(TransportFailure.Aborted, "closed");
        _active = this;
        OpenSsl.ERR_clear_error();
    }

    /// <summary>What a call that did not succeed needs; 0: the peer's stream has ended.</summary>
    private int Outcome(int result)
    {
        switch (OpenSsl.SSL_get_error(_ssl, result))
        {
            case OpenSsl.ErrorWantRead: return NeedsRead;
            case OpenSsl.ErrorWantWrite: return NeedsWrite;
            case OpenSsl.ErrorZeroReturn: return 0;
            default:
                if (_refusal is { } why) throw Refused(why, _failure);
                if (_failure is TransportException transport) throw transport;
                if (_failure is SocketException or ObjectDisposedException) throw TransportException.FromSocket(_failure);
                var reason = OpenSsl.TakeReason();
                throw reason.Length == 0
                    ? new TransportException(TransportFailure.Reset, "closed by the peer", _failure)
                    : new TransportException(TransportFailure.Tls, $"TLS_error:|{reason.Replace(' ', '_')}:TLS_error_end", _failure);
        }
    }
}

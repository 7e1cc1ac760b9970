using System.Net;
using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Tcp;

namespace Isthmus.Proxy.Tls;

/// <summary>TLS on a socket, as client or server.</summary>
internal sealed class TlsTransport : Transport
{
    private readonly SocketTransport _inner;
    private readonly SslStream _stream;

    private TlsTransport(SocketTransport inner, SslStream stream, TlsPeer peer)
    {
        _inner = inner;
        _stream = stream;
        Peer = peer;
    }

    public override EndPoint? Local => _inner.Local;

    public override EndPoint? Remote => _inner.Remote;

    public override TlsPeer Peer { get; }

    public override Loops.EventLoop EventLoop => _inner.EventLoop;

    public override bool IsQuiet => _inner.IsQuiet;

    public override Action? Suspected { get => _inner.Suspected; set => _inner.Suspected = value; }

    /// <summary>Handshakes as client.</summary>
    /// <param name="authority">The host of the request that the connection is for; empty when there is none.</param>
    /// <exception cref="TransportException">The server refused, has the wrong identity, or closed.</exception>
    public static ValueTask<TlsTransport> ConnectAsync(
        SocketTransport socket, TlsSettings settings, string authority, IReadOnlyList<string> alpn, ISecretSource secrets, TimeSpan timeout, TimeProvider time)
    {
        string? refusal = null;
        var (sni, expected) = settings.NamesFor(authority);
        var roots = Roots(settings, secrets);
        var options = new SslClientAuthenticationOptions
        {
            TargetHost = sni,
            EnabledSslProtocols = settings.Protocols,
            CipherSuitesPolicy = settings.Suites,
            AllowTlsResume = false,
            AllowRenegotiation = false,
            CertificateRevocationCheckMode = X509RevocationMode.NoCheck,
            RemoteCertificateValidationCallback = (_, certificate, chain, errors) =>
                (refusal = PeerCertificates.Refusal(settings, roots, expected, certificate as X509Certificate2, chain, IsUntrusted(errors))) is null,
        };
        if (alpn.Count > 0) options.ApplicationProtocols = [.. alpn.Select(p => new SslApplicationProtocol(p))];
        if (settings.Certificate.Length > 0)
        {
            var own = secrets.FindCertificate(settings.Certificate) ?? throw Missing(settings.Certificate);
            options.ClientCertificateContext = own.Context;
        }
        options.CertificateChainPolicy = roots?.Policy();
        return HandshakeAsync(socket, (stream, stop) => stream.AuthenticateAsClientAsync(options, stop), () => refusal, sni, timeout, time);
    }

    /// <summary>Handshakes as server, for a client whose ClientHello was already read.</summary>
    /// <param name="alpn">What <see cref="ChooseAlpn"/> chose from its offer; null: nothing.</param>
    /// <param name="client">What else the ClientHello revealed.</param>
    /// <exception cref="TransportException">The client refused, has the wrong identity, or closed.</exception>
    public static ValueTask<TlsTransport> AcceptAsync(
        SocketTransport socket, TlsSettings settings, string? alpn, ConnectionFacts client, ISecretSource secrets, TimeSpan timeout, TimeProvider time)
    {
        string? refusal = null;
        var own = ServerCertificates.Choose(settings, client, secrets) ?? throw Missing(settings.Certificate);
        var roots = Roots(settings, secrets);
        var options = new SslServerAuthenticationOptions
        {
            ServerCertificateContext = own.Context,
            EnabledSslProtocols = settings.Protocols,
            CipherSuitesPolicy = settings.Suites,
            ClientCertificateRequired = settings.RequirePeer || settings.Root.Length > 0,
            AllowTlsResume = false,
            AllowRenegotiation = false,
            CertificateRevocationCheckMode = X509RevocationMode.NoCheck,
            RemoteCertificateValidationCallback = (_, certificate, chain, errors) =>
                (refusal = PeerCertificates.Refusal(settings, roots, "", certificate as X509Certificate2, chain, IsUntrusted(errors))) is null,
        };
        // A list without a common protocol fails the handshake here, where Envoy goes on without ALPN.
        if (alpn is not null) options.ApplicationProtocols = [new SslApplicationProtocol(alpn)];
        options.CertificateChainPolicy = roots?.Policy();
        return HandshakeAsync(socket, (stream, stop) => stream.AuthenticateAsServerAsync(options, stop), () => refusal, client.ServerName, timeout, time);
    }

    /// <summary>The protocol that a server with that list selects; null when it selects none.</summary>
    internal static string? ChooseAlpn(IReadOnlyList<string> served, IReadOnlyList<string> offered)
    {
        foreach (var protocol in served)
            if (offered.Contains(protocol)) return protocol;
        return null;
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> into)
    {
        try
        {
            return await _stream.ReadAsync(into).ConfigureAwait(false);
        }
        catch (Exception e) when (IsFailure(e))
        {
            throw Translate(e);
        }
    }

    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> bytes)
    {
        try
        {
            await _stream.WriteAsync(bytes).ConfigureAwait(false);
        }
        catch (Exception e) when (IsFailure(e))
        {
            throw Translate(e);
        }
    }

    public override async ValueTask CloseWriteAsync()
    {
        try
        {
            await _stream.ShutdownAsync().ConfigureAwait(false);
        }
        catch (Exception e) when (IsFailure(e))
        {
            throw Translate(e);
        }
        await _inner.CloseWriteAsync().ConfigureAwait(false);
    }

    public override void Abort(bool reset = false) => _inner.Abort(reset);

    private static bool IsUntrusted(SslPolicyErrors errors) => (errors & ~SslPolicyErrors.RemoteCertificateNameMismatch) != 0;

    private static async ValueTask<TlsTransport> HandshakeAsync(
        SocketTransport socket, Func<SslStream, CancellationToken, Task> handshake, Func<string?> refusal, string serverName, TimeSpan timeout, TimeProvider time)
    {
        var stream = new SslStream(new TransportStream(socket), leaveInnerStreamOpen: true);
        using var limit = new CancellationTokenSource(timeout, time);
        // The token alone would leave the pending read behind: closing the socket ends it.
        using var abort = limit.Token.UnsafeRegister(static s => ((SocketTransport)s!).Abort(), socket);
        try
        {
            await handshake(stream, limit.Token).ConfigureAwait(false);
        }
        catch (Exception e) when (IsFailure(e) || e is OperationCanceledException)
        {
            if (limit.IsCancellationRequested) throw new TransportException(TransportFailure.TimedOut, "TLS handshake timeout", e);
            throw refusal() is { } why
                ? new TransportException(TransportFailure.Tls, $"TLS_error:|268435581:SSL_routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:{why}:TLS_error_end", e)
                : Translate(e);
        }
        var alpn = stream.NegotiatedApplicationProtocol.ToString();
        return new(socket, stream, PeerCertificates.Read(stream.RemoteCertificate as X509Certificate2, alpn, serverName));
    }

    private static bool IsFailure(Exception e) => e is IOException or AuthenticationException or ObjectDisposedException or InvalidOperationException;

    private static TransportException Translate(Exception e)
    {
        for (var inner = e; inner is not null; inner = inner.InnerException)
            if (inner is TransportException transport) return transport;
        if (e is ObjectDisposedException or InvalidOperationException) return new(TransportFailure.Aborted, "closed", e);
        var text = (e.InnerException ?? e).Message;
        // OpenSSL's reason is the part after the last colon of its error line; a peer's alert is named there.
        var reason = text.Contains("error:", StringComparison.Ordinal) ? text[(text.LastIndexOf(':') + 1)..] : text;
        return e is AuthenticationException || text.Contains("SSL", StringComparison.Ordinal) || text.Contains("alert", StringComparison.OrdinalIgnoreCase)
            ? new(TransportFailure.Tls, $"TLS_error:|{reason.Trim().TrimEnd('.').Replace(' ', '_')}:TLS_error_end", e)
            : new(TransportFailure.Reset, text, e);
    }

    private static RootSecret? Roots(TlsSettings settings, ISecretSource secrets) =>
        settings.Root.Length == 0 ? null : secrets.FindRoots(settings.Root) ?? throw Missing(settings.Root);

    private static TransportException Missing(string secret) =>
        new(TransportFailure.Tls, $"TLS_error:_Secret_is_not_supplied_by_SDS:_{secret}");
}

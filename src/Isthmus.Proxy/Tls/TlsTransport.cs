using System.Net;
using System.Runtime.CompilerServices;
using System.Security.Authentication;
using Isthmus.Proxy.Loops;
using Isthmus.Proxy.Transports;

namespace Isthmus.Proxy.Tls;

// The event loops refuse other systems than Linux.
#pragma warning disable CA1416

/// <summary>TLS on another transport, as client or server, on that one's event loop. OpenSSL reads and writes a socket itself; the bytes of other
/// transports pass through buffers.</summary>
internal sealed class TlsTransport : Transport
{
    private readonly Transport _inner;
    private readonly INonBlocking _bytes;
    private readonly TlsConnection _tls;

    private TlsTransport(Transport inner, INonBlocking bytes, TlsConnection tls, TlsPeer peer)
    {
        _inner = inner;
        _bytes = bytes;
        _tls = tls;
        Peer = peer;
    }

    public override EndPoint? Local => _inner.Local;

    public override EndPoint? Remote => _inner.Remote;

    public override TlsPeer Peer { get; }

    /// <summary>Whether the handshake resumed an earlier session.</summary>
    internal bool IsResumed => _tls.IsResumed;

    public override EventLoop? EventLoop => _inner.EventLoop;

    public override bool IsQuiet => _bytes.IsQuiet && !_tls.HasPending;

    public override Action? Suspected { get => _inner.Suspected; set => _inner.Suspected = value; }

    /// <summary>Handshakes as client.</summary>
    /// <param name="authority">The host of the request that the connection is for; empty when there is none.</param>
    /// <exception cref="TransportException">The server refused, has the wrong identity, or closed.</exception>
    public static ValueTask<TlsTransport> ConnectAsync(
        Transport inner, TlsSettings settings, string authority, IReadOnlyList<string> alpn, ISecretSource secrets, TimeSpan timeout, TimeProvider time)
    {
        var names = settings.NamesFor(authority);
        var own = settings.Certificate.Length == 0 ? null : secrets.FindCertificate(settings.Certificate) ?? throw Missing(settings.Certificate);
        var bytes = BufferedBytes.Of(inner);
        return HandshakeAsync(inner, bytes, Begin(() => TlsConnection.Client(bytes, inner.Remote, settings, own, Roots(settings, secrets), names, alpn)),
            (names.Sni, null), timeout, time);
    }

    /// <summary>Handshakes as server, for a client whose ClientHello was already read.</summary>
    /// <param name="alpn">What <see cref="ChooseAlpn"/> chose from its offer; null for nothing.</param>
    /// <param name="client">What else the ClientHello revealed.</param>
    /// <exception cref="TransportException">The client refused, has the wrong identity, or closed.</exception>
    public static ValueTask<TlsTransport> AcceptAsync(
        Transport inner, TlsSettings settings, string? alpn, ConnectionFacts client, ISecretSource secrets, TimeSpan timeout, TimeProvider time)
    {
        var own = ServerCertificates.Choose(settings, client, secrets) ?? throw Missing(settings.Certificate);
        var bytes = BufferedBytes.Of(inner);
        return HandshakeAsync(inner, bytes, Begin(() => TlsConnection.Server(bytes, settings, own, Roots(settings, secrets), alpn)),
            (client.ServerName, own.Self.Uris), timeout, time);
    }

    /// <summary>The protocol that a server with that list selects; null when it selects none, and goes on without ALPN.</summary>
    internal static string? ChooseAlpn(IReadOnlyList<string> served, IReadOnlyList<string> offered)
    {
        foreach (var protocol in served)
            if (offered.Contains(protocol)) return protocol;
        return null;
    }

    public override ValueTask<int> ReadAsync(Memory<byte> into)
    {
        if (into.IsEmpty) return _tls.HasPending ? default : _bytes.WaitToReadAsync();
        try
        {
            var count = _tls.Read(into.Span);
            return count >= 0 ? new(count) : ReadLaterAsync(count, into);
        }
        catch (TransportException e)
        {
            return ValueTask.FromException<int>(e);
        }
    }

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> bytes)
    {
        try
        {
            while (!bytes.IsEmpty)
            {
                var count = _tls.Write(bytes.Span);
                if (count < 0) return WriteLaterAsync(count, bytes);
                bytes = bytes[count..];
            }
            return default;
        }
        catch (TransportException e)
        {
            return ValueTask.FromException(e);
        }
    }

    [AsyncMethodBuilder(typeof(PooledMethodBuilder))]
    public override async ValueTask WriteLastAsync(ReadOnlyMemory<byte> bytes)
    {
        _tls.Gather();
        await WriteAsync(bytes).ConfigureAwait(false);
        for (var needs = _tls.CloseWrite(); needs < 0; needs = _tls.CloseWrite()) await WaitAsync(_bytes, needs).ConfigureAwait(false);
        for (var needs = _tls.Flush(); needs < 0; needs = _tls.Flush()) await WaitAsync(_bytes, needs).ConfigureAwait(false);
        if (_inner is not SocketTransport) await _bytes.CloseWriteAsync().ConfigureAwait(false);
    }

    [AsyncMethodBuilder(typeof(PooledMethodBuilder))]
    public override async ValueTask CloseWriteAsync()
    {
        for (var needs = _tls.CloseWrite(); needs < 0; needs = _tls.CloseWrite()) await WaitAsync(_bytes, needs).ConfigureAwait(false);
        await _bytes.CloseWriteAsync().ConfigureAwait(false);
    }

    public override void Abort(bool reset = false)
    {
        _inner.Abort(reset);
        _tls.Dispose();
    }

    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    private static async ValueTask<TlsTransport> HandshakeAsync(Transport inner, INonBlocking bytes, TlsConnection tls,
        (string ServerName, IReadOnlyList<string>? Own) shown, TimeSpan timeout, TimeProvider time)
    {
        var isLate = false;
        try
        {
            var limit = time.CreateTimer(_ =>
            {
                isLate = true;
                inner.Abort();
            }, null, timeout, Timeout.InfiniteTimeSpan);
            await using (limit.ConfigureAwait(false))
                for (var needs = tls.Handshake(); needs < 0; needs = tls.Handshake()) await WaitAsync(bytes, needs).ConfigureAwait(false);
            return new(inner, bytes, tls, tls.Peer(shown.ServerName, shown.Own));
        }
        catch (TransportException e)
        {
            tls.Dispose();
            throw isLate ? new TransportException(TransportFailure.TimedOut, "TLS handshake timeout", e) : e;
        }
    }

    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    private async ValueTask<int> ReadLaterAsync(int needs, Memory<byte> into)
    {
        int count;
        do
        {
            await WaitAsync(_bytes, needs).ConfigureAwait(false);
            count = needs = _tls.Read(into.Span);
        }
        while (count < 0);
        return count;
    }

    [AsyncMethodBuilder(typeof(PooledMethodBuilder))]
    private async ValueTask WriteLaterAsync(int needs, ReadOnlyMemory<byte> bytes)
    {
        while (true)
        {
            await WaitAsync(_bytes, needs).ConfigureAwait(false);
            do
            {
                needs = _tls.Write(bytes.Span);
                if (needs > 0) bytes = bytes[needs..];
            }
            while (needs > 0 && !bytes.IsEmpty);
            if (bytes.IsEmpty) return;
        }
    }

    [AsyncMethodBuilder(typeof(PooledMethodBuilder))]
    private static async ValueTask WaitAsync(INonBlocking bytes, int needs)
    {
        if (needs == TlsConnection.NeedsRead) await bytes.WaitToReadAsync().ConfigureAwait(false);
        else await bytes.WaitToWriteAsync().ConfigureAwait(false);
    }

    private static TlsConnection Begin(Func<TlsConnection> create)
    {
        try
        {
            return create();
        }
        catch (AuthenticationException e)
        {
            throw new TransportException(TransportFailure.Tls, $"TLS_error:|{e.Message.Replace(' ', '_')}:TLS_error_end", e);
        }
    }

    private static RootSecret? Roots(TlsSettings settings, ISecretSource secrets) =>
        settings.Inline is { } inline ? inline.Roots : settings.Root.Length == 0 ? null : secrets.FindRoots(settings.Root) ?? throw Missing(settings.Root);

    private static TransportException Missing(string secret) =>
        new(TransportFailure.Tls, $"TLS_error:_Secret_is_not_supplied_by_SDS:_{secret}");
}

using System.Net;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using Isthmus.Proxy.Loops;

namespace Isthmus.Proxy.Transports;

/// <summary>
/// One byte stream in both directions: a socket, a stream of HTTP/2, TLS on either. A read and a write may overlap, two reads or two writes may not.
/// The hot path has no cancellation tokens: to end a transport early, call <see cref="Abort"/>; pending calls then fail.
/// </summary>
internal abstract class Transport
{
    public abstract EndPoint? Local { get; }

    public abstract EndPoint? Remote { get; }

    /// <summary>Where pending calls complete; null: on the thread pool.</summary>
    public virtual EventLoop? EventLoop => null;

    /// <summary>The result of the TLS handshake; null on a plain transport.</summary>
    public virtual TlsPeer? Peer => null;

    /// <summary>Reads what is there; 0 at the end of the peer's stream. With an empty buffer it waits until there is something to read, and
    /// takes nothing: an idle connection should hold no memory for what has not arrived.</summary>
    /// <exception cref="TransportException">The peer reset, or the transport was aborted.</exception>
    public abstract ValueTask<int> ReadAsync(Memory<byte> into);

    /// <summary>Sends what the protocol puts before the first byte, if anything. May be called once, before any write.</summary>
    /// <exception cref="TransportException">The peer reset, or the transport was aborted.</exception>
    public virtual ValueTask BeginWriteAsync() => default;

    /// <exception cref="TransportException">The peer reset, or the transport was aborted.</exception>
    public abstract ValueTask WriteAsync(ReadOnlyMemory<byte> bytes);

    /// <summary>Sends the last bytes, and what the protocol puts after them, before the caller closes the transport with <see cref="Abort"/>.</summary>
    /// <exception cref="TransportException">The peer reset, or the transport was aborted.</exception>
    [AsyncMethodBuilder(typeof(PooledMethodBuilder))]
    public virtual async ValueTask WriteLastAsync(ReadOnlyMemory<byte> bytes)
    {
        await WriteAsync(bytes).ConfigureAwait(false);
        await CloseWriteAsync().ConfigureAwait(false);
    }

    /// <summary>Ends the sending direction and leaves the other open.</summary>
    /// <exception cref="TransportException">The peer reset, or the transport was aborted.</exception>
    public abstract ValueTask CloseWriteAsync();

    /// <summary>True when nothing has arrived and the peer has not closed: the connection may be used for another request.</summary>
    public abstract bool IsQuiet { get; }

    /// <summary>
    /// Notified once when the peer no longer acknowledges what is sent to it (<see cref="SilenceWatch"/>), on the watch's thread. The
    /// transport continues regardless.
    /// </summary>
    public virtual Action? Suspected { get; set; }

    /// <summary>Closes at once, with a reset when <paramref name="reset"/>. May be called at any time and more than once.</summary>
    public abstract void Abort(bool reset = false);
}

/// <summary>What the other side of a TLS connection proved and agreed to.</summary>
/// <param name="Uris">URI names of its certificate, the SPIFFE identity first.</param>
/// <param name="Alpn">Empty when none was negotiated.</param>
/// <param name="Sha256">Hex digest of its certificate, lower case; empty without one.</param>
internal sealed record TlsPeer(
    IReadOnlyList<string> Uris, IReadOnlyList<string> DnsNames, string Subject, string Sha256, string Alpn, string ServerName, string Pem)
{
    public string Identity => Uris.Count > 0 ? Uris[0] : "";

    /// <summary>The URIs in the certificate that this side has shown as a server.</summary>
    public IReadOnlyList<string> OwnUris { get; init; } = [];
}

/// <summary>The other side, or the network between, ended a byte stream.</summary>
internal sealed class TransportException(TransportFailure failure, string detail, Exception? cause = null) : IOException(detail, cause)
{
    public TransportFailure Failure { get; } = failure;

    /// <param name="e">What a call on a socket throws when the connection failed or was closed.</param>
    public static TransportException FromSocket(Exception e) => e is SocketException failed ? From(failed) : new(TransportFailure.Aborted, "closed", e);

    public static TransportException From(SocketException e) => new(
        e.SocketErrorCode switch
        {
            SocketError.ConnectionReset or SocketError.Shutdown or SocketError.ConnectionAborted => TransportFailure.Reset,
            SocketError.OperationAborted or SocketError.Interrupted => TransportFailure.Aborted,
            SocketError.ConnectionRefused => TransportFailure.Refused,
            SocketError.TimedOut => TransportFailure.TimedOut,
            _ => TransportFailure.Unreachable,
        },
        e.Message, e);
}

internal enum TransportFailure { Reset, Aborted, Refused, TimedOut, Unreachable, Tls }

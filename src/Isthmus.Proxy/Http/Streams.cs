using System.Net;
using Isthmus.Proxy.Tcp;

namespace Isthmus.Proxy.Http;

/// <summary>The client's side of one exchange, whatever the version of HTTP.</summary>
internal abstract class DownstreamStream
{
    public RequestHead Request { get; } = new();

    /// <summary>Fields that followed the request's body.</summary>
    public abstract HeaderBlock RequestTrailers { get; }

    /// <summary>All of the request was read.</summary>
    public abstract bool IsRequestComplete { get; }

    /// <summary>The head of the answer has been given to the connection: it cannot be replaced any more.</summary>
    public bool IsResponseStarted { get; protected set; }

    /// <summary>After this answer the connection ends. Takes effect when set before the head of the answer is sent.</summary>
    public bool MustClose { get; set; }

    public long BytesReceived { get; protected set; }

    public long BytesSent { get; protected set; }

    /// <summary>Told when the client leaves before it has the whole answer; null: nobody who could do something about it.</summary>
    public abstract IWaiting? Waiting { get; set; }

    /// <summary>The next piece of the request's body, valid until the next call; empty at the end.</summary>
    /// <exception cref="TransportException">The client is gone.</exception>
    /// <exception cref="HttpMessageException">The client broke the protocol.</exception>
    public abstract ValueTask<ReadOnlyMemory<byte>> ReadBodyAsync();

    /// <summary>Takes the head of the answer; it is sent at the latest with <see cref="FlushAsync"/>.</summary>
    public abstract ValueTask SendHeadAsync(ResponseHead head);

    public abstract ValueTask SendBodyAsync(ReadOnlyMemory<byte> piece);

    /// <summary>Ends the answer and sends everything.</summary>
    public abstract ValueTask EndAsync(HeaderBlock? trailers);

    public abstract ValueTask FlushAsync();

    /// <summary>Cuts the answer short so that the client notices.</summary>
    public abstract void Reset();

    /// <summary>After the answer: makes the client stop sending a body that nobody wants, until <paramref name="reading"/> has ended.</summary>
    public abstract ValueTask AbandonRequestAsync(Task reading, TimeProvider time);

    /// <summary>Gives up HTTP: the transport and the bytes read beyond the request. Null when the version has no such thing.</summary>
    public abstract (Transport Transport, ReadOnlyMemory<byte> Extra)? TakeOver();
}

/// <summary>Who waits for an answer, and can ask elsewhere or give up.</summary>
internal interface IWaiting
{
    /// <summary>The host does not seem to hear what is sent to it; called on any thread.</summary>
    void OnSuspected(UpstreamStream of);

    /// <summary>Nobody is there any more to take the answer; called on any thread.</summary>
    void OnClientLeft();
}

/// <summary>The host's side of one exchange, whatever the version of HTTP.</summary>
internal abstract class UpstreamStream
{
    public abstract EndPoint? Local { get; }

    public abstract TlsPeer? Peer { get; }

    /// <summary>The connection carried requests before: it may have been closed by the host in this very moment.</summary>
    public abstract bool IsReused { get; }

    public abstract HeaderBlock ResponseTrailers { get; }

    /// <summary>Told when the connection is suspected (<see cref="Transport.Suspected"/>); null: nobody who could do something about it.</summary>
    public IWaiting? Waiting { get; set; }

    /// <summary>Reading more of the answer would have to wait.</summary>
    public abstract bool WouldBlock { get; }

    public abstract ValueTask SendHeadAsync(RequestHead head);

    public abstract ValueTask SendBodyAsync(ReadOnlyMemory<byte> piece);

    /// <summary>Ends the request and sends everything.</summary>
    public abstract ValueTask EndAsync(HeaderBlock? trailers);

    /// <summary>Sends what was taken so far, for a body that takes its time.</summary>
    public abstract ValueTask FlushAsync();

    /// <summary>Waits for the head of the final answer.</summary>
    /// <exception cref="TransportException">The connection ended before.</exception>
    /// <exception cref="HttpMessageException">The host broke the protocol.</exception>
    public abstract ValueTask ReceiveHeadAsync(ResponseHead into);

    /// <summary>The next piece of the answer's body, valid until the next call; empty at the end.</summary>
    public abstract ValueTask<ReadOnlyMemory<byte>> ReceiveBodyAsync();

    /// <summary>Ends the exchange; the connection is kept for another when both sides are done and allow it.</summary>
    public abstract void Release();

    /// <summary>Ends the exchange at once, from any thread; pending calls fail.</summary>
    public abstract void Abort();

    /// <summary>Gives up HTTP: the transport and the bytes read beyond the answer's head.</summary>
    public abstract (Transport Transport, ReadOnlyMemory<byte> Extra)? TakeOver();
}

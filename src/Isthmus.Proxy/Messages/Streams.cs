using System.Net;
using System.Runtime.CompilerServices;
using Isthmus.Proxy.Loops;
using Isthmus.Proxy.Transports;

namespace Isthmus.Proxy.Messages;

/// <summary>The client side of one exchange, for any version of HTTP.</summary>
internal abstract class DownstreamStream
{
    public RequestHead Request { get; } = new();

    /// <summary>The trailers of the request.</summary>
    public abstract HeaderBlock RequestTrailers { get; }

    /// <summary>The whole request was read.</summary>
    public abstract bool IsRequestComplete { get; }

    /// <summary>The client can no longer get the response.</summary>
    public virtual bool HasClientLeft => true;

    /// <summary>The length of a body of unknown length once all of it has arrived; -1 before.</summary>
    public virtual long ArrivedLength => -1;

    /// <summary>The head of the response was handed to the connection: it can no longer be replaced.</summary>
    public bool IsResponseStarted { get; protected set; }

    /// <summary>The connection ends after this response. Takes effect when set before the head of the response is sent.</summary>
    public bool MustClose { get; set; }

    public long BytesReceived { get; private set; }

    public long BytesSent { get; private set; }

    private MessageCounter _requestMessages, _responseMessages;

    /// <summary>Whether the messages of the bodies are counted: both are of a gRPC call.</summary>
    public bool CountsMessages { get; set; }

    public long RequestMessages => _requestMessages.Count;

    public long ResponseMessages => _responseMessages.Count;

    /// <summary>The server decides whether the client may send its body, which waits until then.</summary>
    public bool AsksServer { get; private set; }

    /// <summary>The client waits to be told to send its body, and nobody else tells it.</summary>
    protected bool OwesContinue { get; private set; }

    /// <summary>Leaves it to the server to tell the client whether to send its body. The request passes on what the client expects.</summary>
    public void AskServer() => (AsksServer, OwesContinue) = (true, false);

    /// <summary>Tells the client to send its body.</summary>
    /// <exception cref="TransportException">The client is gone.</exception>
    public abstract ValueTask ContinueAsync();

    /// <summary>Tells a client that waits to send its body, because it is read now: the next hop is not asked any more.</summary>
    protected ValueTask PayContinueAsync()
    {
        OwesContinue = Request.ExpectsContinue = false;
        return ContinueAsync();
    }

    /// <summary>Begins with the request whose head was read.</summary>
    protected void BeginRequest()
    {
        AsksServer = false;
        OwesContinue = Request.ExpectsContinue && Request.Body != BodyKind.None;
    }

    protected void BeginCounts()
    {
        BytesReceived = BytesSent = 0;
        CountsMessages = false;
        _requestMessages = _responseMessages = default;
    }

    protected void CountReceived(ReadOnlySpan<byte> piece)
    {
        BytesReceived += piece.Length;
        if (CountsMessages) _requestMessages.Read(piece);
    }

    protected void CountSent(ReadOnlySpan<byte> piece)
    {
        BytesSent += piece.Length;
        if (CountsMessages) _responseMessages.Read(piece);
    }

    /// <summary>Notified when the client leaves before it has the whole response. Null if nothing can be done then.</summary>
    public abstract IWaiting? Waiting { get; set; }

    /// <summary>The next piece of the request body, valid until the next call; empty at the end.</summary>
    /// <exception cref="TransportException">The client is gone.</exception>
    /// <exception cref="HttpMessageException">The client broke the protocol.</exception>
    public abstract ValueTask<ReadOnlyMemory<byte>> ReadBodyAsync();

    /// <summary>Accepts the head of the response; it is sent with <see cref="FlushAsync"/> at the latest.</summary>
    public abstract ValueTask SendHeadAsync(ResponseHead head);

    public abstract ValueTask SendBodyAsync(ReadOnlyMemory<byte> piece);

    /// <summary>Ends the response and sends everything.</summary>
    public abstract ValueTask EndAsync(HeaderBlock? trailers);

    public abstract ValueTask FlushAsync();

    /// <summary>Cuts the response short so that the client notices.</summary>
    public abstract void Reset();

    /// <summary>After the response: makes the client stop sending an unwanted body, until <paramref name="reading"/> has ended.</summary>
    public abstract ValueTask AbandonRequestAsync(Task reading, TimeProvider time);

    /// <summary>After the head of a response that agrees to a tunnel: its bytes, beginning with those read beyond the request.</summary>
    public abstract Transport TakeOver();

    /// <summary>What a tunnel has carried.</summary>
    public void CountTunnel(long received, long sent) => (BytesReceived, BytesSent) = (BytesReceived + received, BytesSent + sent);
}

/// <summary>Waits for a response, and can retry elsewhere or give up.</summary>
internal interface IWaiting
{
    /// <summary>The host no longer acknowledges what is sent to it; called on any thread.</summary>
    void OnSuspected(UpstreamStream of);

    /// <summary>The client that waits for the response is gone; called on any thread.</summary>
    void OnClientLeft();

    /// <summary>Another second has passed; called on the watch's thread.</summary>
    void OnSecond();
}

/// <summary>The upstream side of one exchange, for any version of HTTP.</summary>
internal abstract class UpstreamStream
{
    public abstract EndPoint? Local { get; }

    public abstract TlsPeer? Peer { get; }

    /// <summary>The connection carried requests before: the host may be closing it right now.</summary>
    public abstract bool IsReused { get; }

    public abstract HeaderBlock ResponseTrailers { get; }

    /// <summary>Notified when the connection is suspected (<see cref="Transport.Suspected"/>). Null if nothing can be done then.</summary>
    public IWaiting? Waiting { get; set; }

    /// <summary>Reading more of the response would block.</summary>
    public abstract bool WouldBlock { get; }

    public abstract ValueTask SendHeadAsync(RequestHead head);

    public abstract ValueTask SendBodyAsync(ReadOnlyMemory<byte> piece);

    /// <summary>Ends the request and sends everything.</summary>
    public abstract ValueTask EndAsync(HeaderBlock? trailers);

    /// <summary>Sends what was accepted so far, for a slow body.</summary>
    public abstract ValueTask FlushAsync();

    /// <summary>Waits for the head of the final response, or once for <c>100 Continue</c> if the request expects it.</summary>
    /// <exception cref="TransportException">The connection ended first.</exception>
    /// <exception cref="HttpMessageException">The host broke the protocol.</exception>
    public abstract ValueTask ReceiveHeadAsync(ResponseHead into);

    /// <summary>The next piece of the response body, valid until the next call; empty at the end.</summary>
    public abstract ValueTask<ReadOnlyMemory<byte>> ReceiveBodyAsync();

    /// <summary>Reads the rest of an unused response if it has already arrived, so that the connection can be kept.</summary>
    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    public async ValueTask<bool> TryDrainAsync()
    {
        try
        {
            while (!WouldBlock)
                if ((await ReceiveBodyAsync().ConfigureAwait(false)).IsEmpty) return true;
        }
        catch (Exception e) when (e is TransportException or HttpMessageException)
        {
            // The response is dropped either way.
        }
        return false;
    }

    /// <summary>Ends the exchange; the connection is kept for reuse when both sides are done and allow it.</summary>
    public abstract void Release();

    /// <summary>Ends the exchange at once, from any thread; pending calls fail.</summary>
    public abstract void Abort();

    /// <summary>After a response that agrees to a tunnel: its bytes, beginning with those read beyond the head.</summary>
    public abstract Transport TakeOver();
}

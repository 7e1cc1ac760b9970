using System.Runtime.CompilerServices;
using Isthmus.Proxy.Loops;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Transports;

namespace Isthmus.Proxy.Http;

/// <summary>
/// The body of a request to the upstream. A small one is read completely before anything is sent, so that it can be sent again to another
/// host; a larger one, or one of unknown length, streams and is sent once.
/// </summary>
internal sealed class RequestBody : IDisposable
{
    private const int MaxBuffered = 64 * 1024;

    private readonly DownstreamStream _from;
    private readonly ByteWriter _buffer = new();
    private Task _pump = Task.CompletedTask;

    private RequestBody(DownstreamStream from, bool isStreaming)
    {
        _from = from;
        IsStreaming = isStreaming;
    }

    /// <summary>There is more of it than was read, so it can be sent only once.</summary>
    public bool IsStreaming { get; private set; }

    /// <summary>Why reading the body from the client failed; null if it did not.</summary>
    public Exception? Failure { get; private set; }

    public bool IsPumping => !_pump.IsCompleted;

    public ReadOnlyMemory<byte> Buffered => _buffer.Written;

    /// <summary>A body of which nothing is read yet.</summary>
    public static RequestBody Begin(DownstreamStream from) => new(from, isStreaming: true);

    /// <summary>Reads until so many bytes have arrived, or all.</summary>
    /// <exception cref="TransportException">The client is gone.</exception>
    /// <exception cref="HttpMessageException">The client broke the protocol.</exception>
    [AsyncMethodBuilder(typeof(PooledMethodBuilder))]
    public async ValueTask ReadAheadAsync(long bytes)
    {
        while (IsStreaming && _buffer.Length < bytes)
        {
            var piece = await _from.ReadBodyAsync().ConfigureAwait(false);
            if (piece.IsEmpty) IsStreaming = false;
            else _buffer.Write(piece.Span);
        }
    }

    /// <summary>Reads the body when it is small.</summary>
    /// <param name="begun">The body, if something was read before.</param>
    /// <exception cref="TransportException">The client is gone.</exception>
    /// <exception cref="HttpMessageException">The client broke the protocol.</exception>
    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    public static async ValueTask<RequestBody?> TakeAsync(DownstreamStream from, RequestBody? begun)
    {
        var request = from.Request;
        if (request.Body == BodyKind.None) return null;
        var body = begun ?? new(from, isStreaming: true);
        var length = request.Body == BodyKind.Length ? request.ContentLength : from.ArrivedLength;
        if (length is >= 0 and <= MaxBuffered) await body.ReadAheadAsync(long.MaxValue).ConfigureAwait(false);
        return body;
    }

    /// <summary>Reads the body when it is small, unless a time limit ends that: then the read goes on until its stream is aborted.</summary>
    /// <exception cref="TransportException">The client is gone.</exception>
    /// <exception cref="HttpMessageException">The client broke the protocol.</exception>
    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    public static async ValueTask<(RequestBody? Body, Task? Late)> TakeInTimeAsync(DownstreamStream from, RequestLimits limits, RequestBody? begun)
    {
        var taking = TakeAsync(from, begun);
        if (taking.IsCompleted || !limits.LimitReading) return (await taking.ConfigureAwait(false), null);
        var reading = taking.AsTask();
        await Task.WhenAny(reading, limits.Expired).ConfigureAwait(false);
        return reading.IsCompleted ? (await reading.ConfigureAwait(false), null) : (null, DropAsync(reading));
    }

    // Nobody wants the body any more.
    private static async Task DropAsync(Task<RequestBody?> reading)
    {
        try
        {
            (await reading.ConfigureAwait(false))?.Dispose();
        }
        catch (Exception e) when (e is TransportException or HttpMessageException)
        {
            // It ends like that when its stream is aborted.
        }
    }

    /// <summary>Sends the body, or starts to.</summary>
    /// <exception cref="TransportException">The host is gone.</exception>
    [AsyncMethodBuilder(typeof(PooledMethodBuilder))]
    public async ValueTask SendAsync(UpstreamStream to)
    {
        if (!IsStreaming)
        {
            await to.SendBodyAsync(_buffer.Written).ConfigureAwait(false);
            await to.EndAsync(Trailers).ConfigureAwait(false);
            return;
        }
        await to.SendBodyAsync(_buffer.Written).ConfigureAwait(false);
        await to.FlushAsync().ConfigureAwait(false);
        _pump = PumpAsync(to);
    }

    /// <summary>Waits until copying has stopped. Both ends must be complete or aborted.</summary>
    public Task FinishAsync() => _pump;

    public void Dispose() => _buffer.Dispose();

    private HeaderBlock? Trailers => _from.RequestTrailers.Count > 0 ? _from.RequestTrailers : null;

    private async Task PumpAsync(UpstreamStream to)
    {
        while (true)
        {
            ReadOnlyMemory<byte> piece;
            try
            {
                piece = await _from.ReadBodyAsync().ConfigureAwait(false);
            }
            catch (Exception e) when (e is TransportException or HttpMessageException)
            {
                Failure = e;
                to.Abort();
                return;
            }
            try
            {
                if (piece.IsEmpty)
                {
                    await to.EndAsync(Trailers).ConfigureAwait(false);
                    return;
                }
                await to.SendBodyAsync(piece).ConfigureAwait(false);
                await to.FlushAsync().ConfigureAwait(false);
            }
            catch (TransportException)
            {
                // Code that waits for the response sees the failure too, or an early response.
                return;
            }
        }
    }
}

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
    private Handover? _handover;    // of a body that waits for the word of the server
    private volatile bool _hasBegun;
    private volatile bool _isStreaming;

    private RequestBody(DownstreamStream from, bool isStreaming)
    {
        _from = from;
        IsStreaming = isStreaming;
    }

    /// <summary>There is more of it than was read, so it can be sent only once.</summary>
    public bool IsStreaming
    {
        get => _isStreaming;
        private set => _isStreaming = value;
    }

    /// <summary>Another host can get all of it.</summary>
    public bool IsIntact => !_isStreaming || !_hasBegun;

    /// <summary>The client has not sent any of it: it waits for the word of the server.</summary>
    private bool IsWaiting => _from.AsksServer && _isStreaming && !_hasBegun;

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
        if (length is >= 0 and <= MaxBuffered && !from.AsksServer) await body.ReadAheadAsync(long.MaxValue).ConfigureAwait(false);
        return body;
    }

    /// <summary>Reads the body when it is small, unless a time limit ends that: then the read goes on until its stream is aborted.</summary>
    /// <param name="mayAsk">A client that waits may be left to the server.</param>
    /// <exception cref="TransportException">The client is gone.</exception>
    /// <exception cref="HttpMessageException">The client broke the protocol.</exception>
    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    public static async ValueTask<(RequestBody? Body, Task? Late)> TakeInTimeAsync(DownstreamStream from, RequestLimits limits, RequestBody? begun, bool mayAsk)
    {
        // A body that is copied to others, or was read for an authorizer, has to come in any case.
        if (mayAsk && begun is null && from.Request is { ExpectsContinue: true, Upgrade: "" }) from.AskServer();
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
        if (_from.AsksServer)
        {
            (_handover ??= new()).Offer(to);
            if (_pump.IsCompleted) _pump = PumpWaitingAsync();
            return;
        }
        _hasBegun = true;
        _pump = PumpAsync(to);
    }

    /// <summary>Takes the body back from an attempt that has ended; false when a part of it is gone.</summary>
    public bool TryTakeBack() => IsIntact && (_handover is null || _handover.TryTakeBack() || !_isStreaming);

    /// <summary>Waits until an attempt that has ended does not copy any more.</summary>
    public Task StopAsync() => IsWaiting ? Task.CompletedTask : _pump;

    /// <summary>Waits until copying has stopped. Both ends must be complete or aborted.</summary>
    public Task FinishAsync()
    {
        _handover?.End();
        return _pump;
    }

    public void Dispose() => _buffer.Dispose();

    private HeaderBlock? Trailers => _from.RequestTrailers.Count > 0 ? _from.RequestTrailers : null;

    // A body that could have been read before it was sent is kept, so that another host can still get it.
    private bool IsKept => _from.AsksServer && _from.Request.Body == BodyKind.Length && _from.Request.ContentLength <= MaxBuffered;

    // The client sends when it has heard from the server, or when it is tired of waiting.
    private async Task PumpWaitingAsync()
    {
        var first = await ReadAsync().ConfigureAwait(false);
        if (await _handover!.TakeAsync().ConfigureAwait(false) is not { } to) return;
        _hasBegun = true;
        // Another host need not be asked any more.
        _from.Request.ExpectsContinue = false;
        await CopyAsync(first, to).ConfigureAwait(false);
    }

    private async Task PumpAsync(UpstreamStream to) => await CopyAsync(await ReadAsync().ConfigureAwait(false), to).ConfigureAwait(false);

    /// <summary>The next piece; null if the client does not send it.</summary>
    private async Task<ReadOnlyMemory<byte>?> ReadAsync()
    {
        try
        {
            return await _from.ReadBodyAsync().ConfigureAwait(false);
        }
        catch (Exception e) when (e is TransportException or HttpMessageException)
        {
            Failure = e;
            return null;
        }
    }

    private async Task CopyAsync(ReadOnlyMemory<byte>? piece, UpstreamStream to)
    {
        try
        {
            for (; piece is { IsEmpty: false } some; piece = await ReadAsync().ConfigureAwait(false))
            {
                if (IsKept) _buffer.Write(some.Span);
                await to.SendBodyAsync(some).ConfigureAwait(false);
                await to.FlushAsync().ConfigureAwait(false);
            }
            if (piece is not null)
            {
                if (IsKept) IsStreaming = false;
                await to.EndAsync(Trailers).ConfigureAwait(false);
                return;
            }
        }
        catch (TransportException)
        {
            // Code that waits for the response sees the failure too, or an early response.
            return;
        }
        to.Abort();
    }

    /// <summary>Who gets a body that a client holds back: the attempt at the moment when it comes.</summary>
    private sealed class Handover
    {
        private readonly Lock _lock = new();    // guards everything
        private UpstreamStream? _to;            // null between attempts
        private TaskCompletionSource? _next;    // while the body has come and waits for an attempt
        private bool _isTaken;
        private bool _isOver;

        public void Offer(UpstreamStream to)
        {
            lock (_lock)
            {
                _to = to;
                _next?.TrySetResult();
            }
        }

        public bool TryTakeBack()
        {
            lock (_lock)
            {
                _to = null;
                return !_isTaken;
            }
        }

        public void End()
        {
            lock (_lock)
            {
                _isOver = true;
                _next?.TrySetResult();
            }
        }

        /// <summary>The attempt that gets the body; null: none will.</summary>
        public async Task<UpstreamStream?> TakeAsync()
        {
            while (true)
            {
                Task next;
                lock (_lock)
                {
                    if (_isOver) return null;
                    if (_to is not null)
                    {
                        _isTaken = true;
                        return _to;
                    }
                    _next = new(TaskCreationOptions.RunContinuationsAsynchronously);
                    next = _next.Task;
                }
                await next.ConfigureAwait(false);
            }
        }
    }
}

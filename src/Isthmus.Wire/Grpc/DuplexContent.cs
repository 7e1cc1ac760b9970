using System.Net;
using System.Net.Http.Headers;

namespace Isthmus.Wire.Grpc;

/// <summary>A request body that callers write while the response is already being read.</summary>
internal sealed class DuplexContent : HttpContent
{
    private readonly TaskCompletionSource<Stream> _opened = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _finished = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly SemaphoreSlim _turn = new(1);
    private bool _closed;

    public DuplexContent() => Headers.ContentType = new MediaTypeHeaderValue(GrpcText.ContentType);

    /// <summary>Completes once the connection is established; fails if it never will be.</summary>
    public Task Opened => _opened.Task;

    public void Finish() => _finished.TrySetResult();

    /// <summary>Fails the writers when the request could not be sent at all.</summary>
    public void Fail(Exception cause)
    {
        _opened.TrySetException(cause);
        _ = _opened.Task.Exception;
        _finished.TrySetResult();
    }

    /// <summary>Writes and flushes; call it after the stream is opened.</summary>
    /// <exception cref="IOException">The server has ended the call.</exception>
    public async ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken stop)
    {
        var stream = await _opened.Task.WaitAsync(stop).ConfigureAwait(false);
        await _turn.WaitAsync(stop).ConfigureAwait(false);
        try
        {
            if (_closed) throw new IOException("the server has ended the call");
            await stream.WriteAsync(bytes, stop).ConfigureAwait(false);
            await stream.FlushAsync(stop).ConfigureAwait(false);
        }
        finally
        {
            _turn.Release();
        }
    }

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) =>
        SerializeToStreamAsync(stream, context, CancellationToken.None);

    protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
    {
        try
        {
            await stream.FlushAsync(cancellationToken).ConfigureAwait(false);
            _opened.TrySetResult(stream);
            await _finished.Task.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            Fail(e);
            throw;
        }
        finally
        {
            // HttpClient tears the stream down once this method returns, and a late write would find it half disposed.
            await _turn.WaitAsync(CancellationToken.None).ConfigureAwait(false);
            _closed = true;
            _turn.Release();
        }
    }

    protected override bool TryComputeLength(out long length)
    {
        length = -1;
        return false;
    }
}

using System.Net;
using System.Net.Http.Headers;

namespace Isthmus.Wire.Grpc;

/// <summary>A request body that others write to while the response is already being read.</summary>
internal sealed class DuplexContent : HttpContent
{
    private readonly TaskCompletionSource<Stream> _opened = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _finished = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public DuplexContent() => Headers.ContentType = new MediaTypeHeaderValue(GrpcText.ContentType);

    /// <summary>The stream to write to, once the connection stands.</summary>
    public Task<Stream> Opened => _opened.Task;

    public void Finish() => _finished.TrySetResult();

    /// <summary>Lets writers fail when the request could not be sent at all.</summary>
    public void Fail(Exception cause)
    {
        _opened.TrySetException(cause);
        _ = _opened.Task.Exception;
        _finished.TrySetResult();
    }

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) =>
        SerializeToStreamAsync(stream, context, CancellationToken.None);

    protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
    {
        await stream.FlushAsync(cancellationToken).ConfigureAwait(false);
        _opened.TrySetResult(stream);
        await _finished.Task.WaitAsync(cancellationToken).ConfigureAwait(false);
    }

    protected override bool TryComputeLength(out long length)
    {
        length = -1;
        return false;
    }
}

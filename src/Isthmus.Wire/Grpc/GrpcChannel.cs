using System.Buffers;
using System.Globalization;
using System.IO.Pipelines;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Security;
using Google.Protobuf;

namespace Isthmus.Wire.Grpc;

/// <summary>How a channel reaches its server.</summary>
/// <param name="Address"><c>https://host:port</c>, or <c>http://host:port</c> for plain HTTP/2.</param>
public sealed record GrpcChannelSettings(Uri Address)
{
    /// <summary>Used with <c>https</c>; the ALPN is set by the channel.</summary>
    public SslClientAuthenticationOptions? Tls { get; init; }

    /// <summary>Opens the transport under TLS; null means a plain TCP connection.</summary>
    public Func<DnsEndPoint, CancellationToken, ValueTask<Stream>>? Connect { get; init; }

    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>How long a connection with open calls may be silent before it is probed. Servers may close connections that
    /// probe too often.</summary>
    public TimeSpan KeepAlive { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>The largest message accepted, in bytes.</summary>
    public int MaxMessage { get; init; } = GrpcFraming.DefaultMaxMessage;
}

/// <summary>Metadata and time limit of one call.</summary>
public sealed record GrpcCallOptions
{
    public IReadOnlyList<KeyValuePair<string, string>> Headers { get; init; } = [];

    public TimeSpan? Timeout { get; init; }
}

/// <summary>The client side: one HTTP/2 connection (opened when needed) to one server.</summary>
public sealed class GrpcChannel : IDisposable
{
    private readonly GrpcChannelSettings _settings;
    private readonly HttpMessageInvoker _http;

    public GrpcChannel(GrpcChannelSettings settings)
    {
        _settings = settings;
        var handler = new SocketsHttpHandler
        {
            UseProxy = false,
            UseCookies = false,
            AllowAutoRedirect = false,
            ActivityHeadersPropagator = null,
            ConnectTimeout = settings.ConnectTimeout,
            EnableMultipleHttp2Connections = true,
            PooledConnectionIdleTimeout = TimeSpan.FromMinutes(5),
            KeepAlivePingDelay = settings.KeepAlive,
            KeepAlivePingTimeout = TimeSpan.FromSeconds(10),
            KeepAlivePingPolicy = HttpKeepAlivePingPolicy.WithActiveRequests,
        };
        if (settings.Tls is not null) handler.SslOptions = settings.Tls;
        if (settings.Connect is { } connect) handler.ConnectCallback = (context, stop) => connect(context.DnsEndPoint, stop);
        _http = new(handler);
    }

    /// <exception cref="GrpcException">The call failed, or never started.</exception>
    public async Task<TResponse> UnaryAsync<TRequest, TResponse>(
        GrpcMethod<TRequest, TResponse> method, TRequest request, GrpcCallOptions options, CancellationToken stop)
        where TRequest : class, IMessage<TRequest>
        where TResponse : class, IMessage<TResponse>
    {
        await using var call = Open(method, options, stop);
        await call.WriteAsync(request, stop).ConfigureAwait(false);
        call.Complete();
        var response = await call.ReadAsync(stop).ConfigureAwait(false)
            ?? throw new GrpcException(GrpcCode.Internal, $"{method.Path}: the server ended the call without a response");
        if (await call.ReadAsync(stop).ConfigureAwait(false) is not null)
            throw new GrpcException(GrpcCode.Internal, $"{method.Path}: the server sent more than one response");
        return response;
    }

    /// <summary>Opens a call with streams both ways. Returns at once; failures surface when it is used.</summary>
    public GrpcDuplex<TRequest, TResponse> Open<TRequest, TResponse>(
        GrpcMethod<TRequest, TResponse> method, GrpcCallOptions options, CancellationToken stop)
        where TRequest : class, IMessage<TRequest>
        where TResponse : class, IMessage<TResponse>
    {
        var content = new DuplexContent();
        var request = new HttpRequestMessage(HttpMethod.Post, new Uri(_settings.Address, method.Path))
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = content,
        };
        request.Headers.TE.Add(new TransferCodingWithQualityHeaderValue("trailers"));
        request.Headers.TryAddWithoutValidation("user-agent", "isthmus-grpc");
        if (options.Timeout is { } timeout) request.Headers.TryAddWithoutValidation(GrpcText.Timeout, GrpcText.FormatTimeout(timeout));
        foreach (var (name, value) in options.Headers) request.Headers.TryAddWithoutValidation(name, value);
        return new(_http, request, content, method.Responses, _settings.MaxMessage, options.Timeout, stop);
    }

    public void Dispose() => _http.Dispose();
}

/// <summary>An open call: one reader and one writer may use it at the same time.</summary>
public sealed class GrpcDuplex<TRequest, TResponse> : IAsyncDisposable
    where TRequest : class, IMessage<TRequest>
    where TResponse : class, IMessage<TResponse>
{
    /// <summary>How long the end of a call may come after its request stream broke.</summary>
    private static readonly TimeSpan EndPatience = TimeSpan.FromSeconds(5);

    private readonly HttpRequestMessage _request;
    private readonly DuplexContent _content;
    private readonly Func<ReadOnlySequence<byte>, TResponse> _parse;
    private readonly int _maxMessage;
    private readonly TimeSpan? _timeout;
    private readonly CancellationTokenSource _stop;
    private readonly Task<HttpResponseMessage> _response;
    private readonly ArrayBufferWriter<byte> _frame = new(512);
    private readonly SemaphoreSlim _reading = new(1);
    private PipeReader? _reader;

    internal GrpcDuplex(
        HttpMessageInvoker http, HttpRequestMessage request, DuplexContent content, MessageParser<TResponse> parser,
        int maxMessage, TimeSpan? timeout, CancellationToken stop)
    {
        (_request, _content, _parse, _maxMessage, _timeout) = (request, content, parser.ParseFrom, maxMessage, timeout);
        _stop = CancellationTokenSource.CreateLinkedTokenSource(stop);
        if (timeout is { } span) _stop.CancelAfter(span);
        _response = SendAsync(http);
    }

    /// <exception cref="GrpcException">The call has ended.</exception>
    public async ValueTask WriteAsync(TRequest message, CancellationToken stop)
    {
        try
        {
            await OpenedAsync(stop).ConfigureAwait(false);
            _frame.ResetWrittenCount();
            GrpcFraming.Write(_frame, message);
            await _content.WriteAsync(_frame.WrittenMemory, stop).ConfigureAwait(false);
        }
        catch (Exception e) when (IsTransport(e, stop))
        {
            // The response's status is a better error than the broken request stream.
            if (await StatusAsync(stop).ConfigureAwait(false) is { } known) throw known;
            // So is the failure of the connection, which only cancels the request stream.
            throw Translate(_response.Exception?.InnerException ?? e);
        }
    }

    /// <summary>Signals that no more requests follow.</summary>
    public void Complete() => _content.Finish();

    /// <summary>The next response; null when the call ended with OK.</summary>
    /// <exception cref="GrpcException">The call ended otherwise.</exception>
    public async ValueTask<TResponse?> ReadAsync(CancellationToken stop)
    {
        await _reading.WaitAsync(stop).ConfigureAwait(false);
        try
        {
            var response = await _response.WaitAsync(stop).ConfigureAwait(false);
            if (_reader is null)
            {
                if (StatusOf(response, response.Headers) is { } early) return early.Code == GrpcCode.Ok ? null : throw early;
                if (HeadProblem(response) is { } problem) throw problem;
            }
            if (await GrpcFraming.ReadAsync(await ReaderAsync(response, stop).ConfigureAwait(false), _parse, _maxMessage, null, stop)
                .ConfigureAwait(false) is { } message)
                return message;
            var end = StatusOf(response, response.TrailingHeaders)
                ?? new GrpcException(GrpcCode.Unknown, "the server ended the call without a status");
            return end.Code == GrpcCode.Ok ? null : throw end;
        }
        catch (Exception e) when (IsTransport(e, stop))
        {
            throw Translate(e);
        }
        finally
        {
            _reading.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        _content.Fail(new OperationCanceledException("the call has ended"));
        await _stop.CancelAsync().ConfigureAwait(false);
        try
        {
            using var response = await _response.ConfigureAwait(false);
            if (_reader is not null) await _reader.CompleteAsync().ConfigureAwait(false);
        }
        // The caller has already seen the failure or ignores it.
        catch (Exception e) when (e is HttpRequestException or OperationCanceledException or IOException)
        {
        }
        _request.Dispose();
        _reading.Dispose();
        _stop.Dispose();
    }

    private async Task<HttpResponseMessage> SendAsync(HttpMessageInvoker http)
    {
        try
        {
            return await http.SendAsync(_request, _stop.Token).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            _content.Fail(e);
            throw;
        }
    }

    /// <summary>A server may answer before the request stream is opened. That is the end of the call only if the head of the answer says so: most servers
    /// send theirs at once, and wait for the first request.</summary>
    private async Task OpenedAsync(CancellationToken stop)
    {
        await Task.WhenAny(_content.Opened, _response).WaitAsync(stop).ConfigureAwait(false);
        if (!_content.Opened.IsCompleted && EndOf(await _response.WaitAsync(stop).ConfigureAwait(false)) is { } end) throw end;
        await _content.Opened.WaitAsync(stop).ConfigureAwait(false);
    }

    /// <summary>A server may answer before it has read everything: the request stream breaks, and the answer comes a moment
    /// later. Its status is behind its messages, which are left to whoever reads them.</summary>
    private async Task<GrpcException?> StatusAsync(CancellationToken stop)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(stop);
        patience.CancelAfter(EndPatience);
        try
        {
            var response = await _response.WaitAsync(stop).ConfigureAwait(false);
            if (EndOf(response) is { } known) return known;
            await _reading.WaitAsync(patience.Token).ConfigureAwait(false);
            try
            {
                await ReachEndAsync(await ReaderAsync(response, patience.Token).ConfigureAwait(false), patience.Token).ConfigureAwait(false);
            }
            finally
            {
                _reading.Release();
            }
            return StatusOf(response, response.TrailingHeaders);
        }
        catch (Exception e) when (IsTransport(e, stop))
        {
            return null;
        }
    }

    private async ValueTask<PipeReader> ReaderAsync(HttpResponseMessage response, CancellationToken stop) =>
        _reader ??= PipeReader.Create(await response.Content.ReadAsStreamAsync(stop).ConfigureAwait(false));

    private async ValueTask ReachEndAsync(PipeReader reader, CancellationToken stop)
    {
        for (var length = 0; ;)
        {
            var read = await reader.ReadAtLeastAsync(length + 1, stop).ConfigureAwait(false);
            length = (int)read.Buffer.Length;
            // Nothing counts as examined: whoever reads the messages would wait for more bytes otherwise, with a whole message there.
            reader.AdvanceTo(read.Buffer.Start);
            if (read.IsCompleted || length > _maxMessage) return;
        }
    }

    private bool IsTransport(Exception e, CancellationToken stop) =>
        !stop.IsCancellationRequested
            && e is HttpRequestException or IOException or OperationCanceledException or InvalidOperationException or ObjectDisposedException;

    private GrpcException Translate(Exception e) => e switch
    {
        // A passed deadline can also surface as a failed write.
        _ when _timeout is { } timeout && _stop.IsCancellationRequested =>
            new(GrpcCode.DeadlineExceeded, string.Create(CultureInfo.InvariantCulture, $"no answer within {timeout.TotalSeconds} s"), e),
        OperationCanceledException when _stop.IsCancellationRequested => new(GrpcCode.Cancelled, "the call was cancelled", e),
        _ => new(GrpcCode.Unavailable, $"{_request.RequestUri?.GetLeftPart(UriPartial.Authority)}: {Innermost(e)}", e),
    };

    private static string Innermost(Exception e) =>
        e.InnerException is { } inner && inner.Message != e.Message ? $"{e.Message} {Innermost(inner)}" : e.Message;

    /// <summary>How the call ended, as far as it is known without reading.</summary>
    private static GrpcException? EndOf(HttpResponseMessage response) =>
        StatusOf(response, response.Headers) ?? StatusOf(response, response.TrailingHeaders) ?? HeadProblem(response);

    private static GrpcException? HeadProblem(HttpResponseMessage response)
    {
        if (response.StatusCode != HttpStatusCode.OK)
            return new(GrpcText.FromHttpStatus((int)response.StatusCode), $"the server answered with HTTP status {(int)response.StatusCode}");
        var type = response.Content.Headers.ContentType?.MediaType;
        return type is not null && type.StartsWith(GrpcText.ContentType, StringComparison.OrdinalIgnoreCase)
            ? null
            : new(GrpcCode.Unknown, $"the server answered with content type '{type}', which is not gRPC");
    }

    private static GrpcException? StatusOf(HttpResponseMessage response, HttpResponseHeaders headers)
    {
        if (!headers.TryGetValues(GrpcText.Status, out var values)) return null;
        var code = int.TryParse(values.First(), NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number is >= 0 and <= 16
            ? (GrpcCode)number
            : GrpcCode.Unknown;
        var text = headers.TryGetValues(GrpcText.Message, out var messages) ? GrpcText.DecodeMessage(messages.First()) : "";
        return new(code, text.Length > 0 || code == GrpcCode.Ok ? text : $"HTTP status {(int)response.StatusCode}, no message");
    }
}

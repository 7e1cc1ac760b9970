using System.Buffers;
using System.Globalization;
using System.IO.Pipelines;
using Google.Protobuf;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Isthmus.Wire.Grpc;

/// <summary>gRPC methods as endpoints of a Kestrel server whose listener speaks HTTP/2.</summary>
public static partial class GrpcServer
{
    private static readonly TimeSpan LongestEnd = TimeSpan.FromSeconds(1);

    /// <summary>One request, one response.</summary>
    public static IEndpointConventionBuilder MapUnary<TRequest, TResponse>(
        this IEndpointRouteBuilder endpoints, GrpcMethod<TRequest, TResponse> method,
        Func<GrpcCall, TRequest, Task<TResponse>> handler, int maxMessage = GrpcFraming.DefaultMaxMessage)
        where TRequest : class, IMessage<TRequest>
        where TResponse : class, IMessage<TResponse> =>
        endpoints.MapPost(method.Path, (RequestDelegate)(http => RunAsync(http, async call =>
        {
            var reader = new GrpcReader<TRequest>(http.Request.BodyReader, method.Requests, maxMessage);
            var request = await reader.ReadAsync(call.Stop).ConfigureAwait(false)
                ?? throw new GrpcException(GrpcCode.InvalidArgument, $"{method.Path}: the request message is missing");
            var response = await handler(call, request).ConfigureAwait(false);
            await new GrpcWriter<TResponse>(http.Response.BodyWriter).WriteAsync(response, call.Stop).ConfigureAwait(false);
        })));

    /// <summary>Requests and responses flow independently; the call ends when the handler does.</summary>
    public static IEndpointConventionBuilder MapDuplex<TRequest, TResponse>(
        this IEndpointRouteBuilder endpoints, GrpcMethod<TRequest, TResponse> method,
        Func<GrpcCall, GrpcReader<TRequest>, GrpcWriter<TResponse>, Task> handler, int maxMessage = GrpcFraming.DefaultMaxMessage)
        where TRequest : class, IMessage<TRequest>
        where TResponse : class, IMessage<TResponse> =>
        endpoints.MapPost(method.Path, (RequestDelegate)(http => RunAsync(http, async call =>
        {
            // Clients consider the stream open only after they receive the headers.
            await http.Response.StartAsync(call.Stop).ConfigureAwait(false);
            await http.Response.BodyWriter.FlushAsync(call.Stop).ConfigureAwait(false);
            await handler(call, new(http.Request.BodyReader, method.Requests, maxMessage), new(http.Response.BodyWriter)).ConfigureAwait(false);
        })));

    private static async Task RunAsync(HttpContext http, Func<GrpcCall, Task> body)
    {
        if (!(http.Request.ContentType ?? "").StartsWith(GrpcText.ContentType, StringComparison.OrdinalIgnoreCase))
        {
            http.Response.StatusCode = StatusCodes.Status415UnsupportedMediaType;
            return;
        }
        // A quiet stream is healthy, however long it lasts; each message has its own limit.
        if (http.Features.Get<IHttpMinRequestBodyDataRateFeature>() is { } rate) rate.MinDataRate = null;
        if (http.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } size) size.MaxRequestBodySize = null;
        http.Response.ContentType = GrpcText.ContentType;

        var timeout = GrpcText.ParseTimeout(http.Request.Headers[GrpcText.Timeout]);
        var time = http.RequestServices?.GetService<TimeProvider>() ?? TimeProvider.System;
        using var deadline = timeout is { } span ? new CancellationTokenSource(span, time) : null;
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(http.RequestAborted, deadline?.Token ?? default);
        var (code, detail) = await EndAsync(http, new GrpcCall(http, stop.Token), body, deadline, time).ConfigureAwait(false);
        if (http.RequestAborted.IsCancellationRequested) return;
        http.Response.AppendTrailer(GrpcText.Status, ((int)code).ToString(CultureInfo.InvariantCulture));
        if (detail.Length > 0) http.Response.AppendTrailer(GrpcText.Message, GrpcText.EncodeMessage(detail));
    }

    private static async Task<(GrpcCode Code, string Detail)> EndAsync(
        HttpContext http, GrpcCall call, Func<GrpcCall, Task> body, CancellationTokenSource? deadline, TimeProvider time)
    {
        try
        {
            await body(call).ConfigureAwait(false);
            return (GrpcCode.Ok, "");
        }
        catch (GrpcException e)
        {
            return (e.Code, e.Detail);
        }
        catch (OperationCanceledException) when (deadline is { IsCancellationRequested: true })
        {
            return (GrpcCode.DeadlineExceeded, "the deadline of the call has passed");
        }
        catch (OperationCanceledException)
        {
            return (http.RequestAborted.IsCancellationRequested ? GrpcCode.Cancelled : GrpcCode.Unavailable, "the server ended the call");
        }
        catch (IOException e)
        {
            // Most often, the client closed the connection, and nobody is left to answer. Whoever reads learns of that before the server says so.
            await Task.Delay(LongestEnd, time, http.RequestAborted).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            return http.RequestAborted.IsCancellationRequested ? (GrpcCode.Cancelled, "") : Failed(http, e);
        }
#pragma warning disable CA1031 // A bug in a handler ends only its own call.
        catch (Exception e)
#pragma warning restore CA1031
        {
            return Failed(http, e);
        }
    }

    private static (GrpcCode Code, string Detail) Failed(HttpContext http, Exception e)
    {
        if (http.RequestServices?.GetService<ILoggerFactory>()?.CreateLogger("grpc") is { } log) HandlerFailed(log, http.Request.Path, e);
        return (GrpcCode.Internal, "internal error");
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "gRPC handler of {Path} failed")]
    private static partial void HandlerFailed(ILogger log, string path, Exception cause);
}

/// <summary>The messages of one direction, in order.</summary>
public sealed class GrpcReader<T> where T : class, IMessage<T>
{
    private readonly PipeReader _input;
    private readonly Func<ReadOnlySequence<byte>, T> _parse;
    private readonly int _limit;

    internal GrpcReader(PipeReader input, MessageParser<T> parser, int limit) => (_input, _parse, _limit) = (input, parser.ParseFrom, limit);

    /// <summary>The next message; null when the peer has ended its side.</summary>
    public ValueTask<T?> ReadAsync(CancellationToken stop) => ReadAsync(_parse, null, stop);

    /// <summary>The next message; see <see cref="ReadAsync(Func{ReadOnlySequence{byte}, T}, Func{int, ValueTask}, CancellationToken)"/>.</summary>
    internal ValueTask<T?> ReadAsync(Func<int, ValueTask> arrives, CancellationToken stop) => ReadAsync(_parse, arrives, stop);

    /// <summary>The next message, decoded by <paramref name="parse"/>, which throws <see cref="InvalidProtocolBufferException"/>.</summary>
    /// <param name="arrives">Called with the length of the message before it is accepted; null to accept any.</param>
    internal ValueTask<T?> ReadAsync(Func<ReadOnlySequence<byte>, T> parse, Func<int, ValueTask>? arrives,
        CancellationToken stop) => GrpcFraming.ReadAsync(_input, parse, _limit, arrives, stop);
}

/// <summary>Sends the messages of one direction. One writer at a time.</summary>
public sealed class GrpcWriter<T> where T : class, IMessage<T>
{
    private readonly PipeWriter _output;

    internal GrpcWriter(PipeWriter output) => _output = output;

    public ValueTask WriteAsync(T message, CancellationToken stop) => WriteAsync(message, message.CalculateSize(), stop);

    /// <summary>Sends a message at once.</summary>
    /// <param name="message">The message.</param>
    /// <param name="size">Its length.</param>
    /// <param name="stop">Ends the wait for the client.</param>
    public async ValueTask WriteAsync(T message, int size, CancellationToken stop)
    {
        GrpcFraming.Write(_output, message, size);
        await _output.FlushAsync(stop).ConfigureAwait(false);
    }

    /// <summary>Sends a large message as the socket takes it: never more than one part of it waits in memory.</summary>
    /// <param name="size">The length of all pieces together.</param>
    /// <param name="pieces">The encoded message. A piece is used only until the next one is taken.</param>
    public async ValueTask WriteAsync(int size, IEnumerable<ReadOnlyMemory<byte>> pieces, CancellationToken stop)
    {
        GrpcFraming.WriteHeader(_output, size);
        var waiting = 0;
        foreach (var piece in pieces)
        {
            for (var rest = piece; rest.Length > 0;)
            {
                var part = rest[..Math.Min(rest.Length, GrpcFraming.LargestPart - waiting)];
                _output.Write(part.Span);
                rest = rest[part.Length..];
                waiting += part.Length;
                if (waiting < GrpcFraming.LargestPart) continue;
                await _output.FlushAsync(stop).ConfigureAwait(false);
                waiting = 0;
            }
        }
        await _output.FlushAsync(stop).ConfigureAwait(false);
    }
}

using Google.Protobuf;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Grpc;
using Isthmus.Wire.Reports;
using Microsoft.AspNetCore.Routing;

namespace Isthmus.Wire.Xds;

/// <summary>The methods of the aggregated discovery service.</summary>
public static class AdsMethods
{
    private const string Service = "envoy.service.discovery.v3.AggregatedDiscoveryService";

    public static GrpcMethod<DiscoveryRequest, DiscoveryResponse> StateOfTheWorld { get; } =
        new(Service, "StreamAggregatedResources", DiscoveryRequest.Parser, DiscoveryResponse.Parser);

    public static GrpcMethod<DeltaDiscoveryRequest, DeltaDiscoveryResponse> Delta { get; } =
        new(Service, "DeltaAggregatedResources", DeltaDiscoveryRequest.Parser, DeltaDiscoveryResponse.Parser);
}

/// <param name="ControlPlane">Shown to clients; null: not shown.</param>
/// <param name="MaxMessage">The largest request accepted, in bytes.</param>
/// <param name="FirstStates">Limits how many clients get their first state at once; null for no limit.</param>
public sealed record XdsServerSettings(ControlPlane? ControlPlane = null, int MaxMessage = 4 * 1024 * 1024, FirstStates? FirstStates = null)
{
    /// <summary>Measures how long responses take.</summary>
    public TimeProvider Clock { get; init; } = TimeProvider.System;

    /// <summary>What clients may make the server hold.</summary>
    public XdsLimits Limits { get; init; } = new();

    /// <summary>Told why a stream was refused: <c>streams</c>, <c>node</c> or <c>bytes</c>.</summary>
    public Action<string>? Refused { get; init; }
}

/// <summary>Serves aggregated discovery, delta and state of the world, from <see cref="IXdsFeeds"/>; knows subscriptions,
/// not meshes.</summary>
public sealed class XdsServer(IXdsFeeds feeds, XdsServerSettings settings, Random random)
{
    /// <summary>How many requests of a stream may wait.</summary>
    private const int MostWaiting = 16;

    /// <summary>Guards <see cref="Random"/>: streams start on many threads.</summary>
    private readonly Lock _randomLock = new();
    private readonly StreamShares _shares = new(settings.Limits, settings.Refused, settings.Clock);

    /// <summary>What streams hold of <see cref="XdsLimits.Bytes"/>.</summary>
    public long HeldBytes => _shares.Held;

    /// <summary>Answers questions about the server; null: they get no answer.</summary>
    public IXdsDebug? Debug { get; init; }

    public void Map(IEndpointRouteBuilder endpoints)
    {
        endpoints.MapDuplex(AdsMethods.Delta, ServeDeltaAsync, settings.MaxMessage);
        endpoints.MapDuplex(AdsMethods.StateOfTheWorld, ServeSotwAsync, settings.MaxMessage);
    }

    private async Task ServeDeltaAsync(GrpcCall call, GrpcReader<DeltaDiscoveryRequest> requests, GrpcWriter<DeltaDiscoveryResponse> responses)
    {
        using var share = await EnterAsync(call).ConfigureAwait(false);
        if (await ReadAsync(call.Stop).ConfigureAwait(false) is not { } first) return;
        await ServeAsync(new(first.Node, call, Delta: true), share, first, ReadAsync,
            observe => new DeltaStream(NoncePrefix(), observe, settings.ControlPlane),
            answer => answer.CalculateSize() is var size && size > GrpcFraming.LargestSpan
                ? responses.WriteAsync(size, XdsPieces.Of(answer), call.Stop)
                : responses.WriteAsync(answer, size, call.Stop),
            ReportIn).ConfigureAwait(false);

        ValueTask<DeltaDiscoveryRequest?> ReadAsync(CancellationToken stop) => requests.ReadAsync(length => share.ArriveAsync(length, stop), stop);
    }

    private async Task ServeSotwAsync(GrpcCall call, GrpcReader<DiscoveryRequest> requests, GrpcWriter<DiscoveryResponse> responses)
    {
        using var share = await EnterAsync(call).ConfigureAwait(false);
        var repeated = new RepeatedNames();
        if (await ReadAsync(call.Stop).ConfigureAwait(false) is not { } first) return;
        if (Debug is { } debug && TypeUrls.IsDebug(first.TypeUrl))
        {
            var questions = new XdsDebugStream(debug, settings.ControlPlane, NoncePrefix());
            for (var request = first; request is not null; request = await ReadAsync(call.Stop).ConfigureAwait(false))
            {
                if (await questions.AnswerAsync(call, request).ConfigureAwait(false) is { } answer)
                    await responses.WriteAsync(answer.CalculateSize(), XdsPieces.Of(answer), call.Stop).ConfigureAwait(false);
                share.Answered(share.Arrived);
            }
            return;
        }
        await ServeAsync(new(first.Node, call, Delta: false), share, first, ReadAsync,
            observe => new SotwStream(NoncePrefix(), settings.ControlPlane, observe, repeated),
            answer => responses.WriteAsync(answer.CalculateSize(), XdsPieces.Of(answer), call.Stop), static _ => null).ConfigureAwait(false);

        ValueTask<DiscoveryRequest?> ReadAsync(CancellationToken stop) => requests.ReadAsync(repeated.Parse, length => share.ArriveAsync(length, stop), stop);
    }

    /// <summary>A client is known before any of its requests is read.</summary>
    private async ValueTask<StreamShares.Share> EnterAsync(GrpcCall call)
    {
        var share = _shares.Enter($"address {(call.Http.Connection.RemoteIpAddress is { } address ? address.ToString() : "unknown")}");
        try
        {
            share.Know(await feeds.IdentifyAsync(call, call.Stop).ConfigureAwait(false));
            return share;
        }
        catch
        {
            share.Dispose();
            throw;
        }
    }

    private static TelemetryReport? ReportIn(DeltaDiscoveryRequest request)
    {
        try
        {
            return TelemetryReports.Read(request);
        }
        catch (InvalidProtocolBufferException e)
        {
            throw new GrpcException(GrpcCode.InvalidArgument, $"malformed {TypeUrls.TelemetryReport}: {e.Message}");
        }
    }

    /// <param name="first">The first request.</param>
    /// <param name="reportIn">The report that a request is; null when it asks for resources.</param>
    private async Task ServeAsync<TRequest, TResponse>(
        XdsClientHello? client, StreamShares.Share share, TRequest? first, Func<CancellationToken, ValueTask<TRequest?>> read,
        Func<Action<XdsEvent>, IXdsStream<TRequest, TResponse>> open, Func<TResponse, ValueTask> write, Func<TRequest, TelemetryReport?> reportIn)
        where TRequest : class, IMessage<TRequest>
    {
        var call = client!.Call;
        var (feed, node) = await OpenAsync(client, share, call.Stop).ConfigureAwait(false);
        await using var ending = feed.ConfigureAwait(false);
        var stream = open(feed.Observe);
        using var turn = settings.FirstStates?.Join();

        using var ended = CancellationTokenSource.CreateLinkedTokenSource(call.Stop);
        var events = new StreamEvents<TRequest>(MostWaiting);
        await events.AddAsync(first!, share.Arrived, call.Stop).ConfigureAwait(false);
        // It may be large, and the stream may last for days.
        (client, first) = (null, null);
        var taken = new Taken(feed);
        var reading = ReadRequestsAsync(read, share, request => Take(request, feed), events, ended.Token);
        using var stopping = call.Stop.UnsafeRegister(static (of, stop) => ((StreamEvents<TRequest>)of!).End(new OperationCanceledException(stop)), events);
        feed.Follow(events.Offered);
        try
        {
            while (await events.WaitAsync().ConfigureAwait(false))
            {
                while (events.TryTake(out var request, out var weight))
                {
                    await AnswerAsync(stream, request, taken, turn, Timed, call.Stop).ConfigureAwait(false);
                    if (request is null) continue;
                    share.Answered(weight);
                    share.Keep(node + stream.OwnBytes);
                }
            }
        }
        finally
        {
            await ended.CancelAsync().ConfigureAwait(false);
            await reading.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        // Reports wait for no answer, and must not wait for one either.
        bool Take(TRequest request, IXdsFeed of)
        {
            if (reportIn(request) is not { } report) return false;
            of.Reported(report);
            return true;
        }

        async ValueTask Timed(TResponse response, TimeSpan making)
        {
            var begun = settings.Clock.GetTimestamp();
            await write(response).ConfigureAwait(false);
            feed.Written(making, settings.Clock.GetElapsedTime(begun));
        }
    }

    /// <summary>The feed of a client, and the size of what the feed keeps of its node.</summary>
    private async ValueTask<(IXdsFeed Feed, long Node)> OpenAsync(XdsClientHello client, StreamShares.Share share, CancellationToken stop)
    {
        if (string.IsNullOrEmpty(client.Node?.Id))
            throw new GrpcException(GrpcCode.InvalidArgument, "the first request of a stream must carry the node with its id");
        // The list of an Envoy's extensions is ten times as large as the rest, and nobody keeps it.
        var size = share.NodeOf(client.Node.CalculateSize()) - client.Node.Extensions.Sum(static extension => extension.CalculateSize());
        share.Keep(size);
        return (await feeds.OpenAsync(client, stop).ConfigureAwait(false), size);
    }

    /// <summary>The snapshot that the stream has taken last: a client that is slow keeps no newer ones in memory.</summary>
    private sealed class Taken(IXdsFeed feed)
    {
        private XdsSnapshot? _last;

        public IXdsFeed Feed => feed;

        /// <summary>Null: the stream has the newest.</summary>
        public XdsSnapshot? Next()
        {
            if (feed.Newer(_last) is not { } next) return null;
            return _last = next;
        }
    }

    /// <summary>Answers a request, or (null) the newest snapshot. A stream waits for its turn before its answer is made: until then it
    /// costs no memory.</summary>
    private async ValueTask AnswerAsync<TRequest, TResponse>(
        IXdsStream<TRequest, TResponse> stream, TRequest? request, Taken taken, FirstStates.Turn? turn, Func<TResponse, TimeSpan, ValueTask> write,
        CancellationToken stop)
        where TRequest : class
    {
        if (turn is not null && (request is null ? stream.IsUnanswered : stream.Begins(request))) await turn.EnterAsync(stop).ConfigureAwait(false);
        var begun = settings.Clock.GetTimestamp();
        var snapshot = request is null ? taken.Next() : null;
        // A snapshot that was offered twice may have been taken already: then there is nothing to send.
        var answers = request is not null ? stream.Receive(request) : snapshot is not null ? stream.Update(snapshot) : [];
        var making = settings.Clock.GetElapsedTime(begun);
        foreach (var answer in answers) await write(answer, making).ConfigureAwait(false);
        if (snapshot is not null) taken.Feed.Took(snapshot);
        if (!stream.IsBeginning) turn?.Leave();
    }

    private static async Task ReadRequestsAsync<TRequest>(
        Func<CancellationToken, ValueTask<TRequest?>> read, StreamShares.Share share, Predicate<TRequest> take, StreamEvents<TRequest> events,
        CancellationToken stop)
        where TRequest : class, IMessage<TRequest>
    {
        try
        {
            while (await read(stop).ConfigureAwait(false) is { } request)
            {
                var weight = share.Arrived;
                if (take(request)) share.Answered(weight);
                else await events.AddAsync(request, weight, stop).ConfigureAwait(false);
            }
            events.End(null);
        }
        catch (Exception e)
        {
            // The serving loop rethrows it and decides how the stream ends.
            events.End(e);
            throw;
        }
    }

    private string NoncePrefix()
    {
        Span<byte> bytes = stackalloc byte[6];
        lock (_randomLock) random.NextBytes(bytes);
        return Convert.ToHexStringLower(bytes);
    }
}

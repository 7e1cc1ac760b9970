using System.Threading.Channels;
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
    /// <summary>Guards <see cref="Random"/>: streams start on many threads.</summary>
    private readonly Lock _randomLock = new();
    private readonly StreamShares _shares = new(settings.Limits, settings.Refused, settings.Clock);

    /// <summary>What streams hold of <see cref="XdsLimits.Bytes"/>.</summary>
    public long HeldBytes => _shares.Held;

    /// <summary>Answers questions about the server; null if nobody does.</summary>
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
            answer => responses.WriteAsync(answer.CalculateSize(), XdsPieces.Of(answer), call.Stop), ReportIn).ConfigureAwait(false);

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
        // Small, so that a flooding client is held back by its own socket. Without a request: there is a new snapshot.
        var events = Channel.CreateBounded<(TRequest? Request, long Weight)>(16);
        events.Writer.TryWrite((first, share.Arrived));
        // It may be large, and the stream may last for days.
        (client, first) = (null, null);
        var newest = new Newest(feed);
        var reading = ReadRequestsAsync(read, share, request => Take(request, feed), events.Writer, ended.Token);
        var watching = WatchAsync(newest, events.Writer, ended.Token);
        try
        {
            await foreach (var (request, weight) in events.Reader.ReadAllAsync(call.Stop).ConfigureAwait(false))
            {
                await AnswerAsync(stream, request, newest, turn, Timed, call.Stop).ConfigureAwait(false);
                if (request is null) continue;
                share.Answered(weight);
                share.Keep(node + stream.OwnBytes);
            }
        }
        finally
        {
            await ended.CancelAsync().ConfigureAwait(false);
            await Task.WhenAll(reading, watching).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
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

    /// <summary>The newest snapshot, until the stream takes it: a client that is slow keeps no older ones in memory.</summary>
    private sealed class Newest(IXdsFeed feed)
    {
        private XdsSnapshot? _snapshot;

        public IXdsFeed Feed => feed;

        /// <summary>True when the one before has been taken: then the stream must be told.</summary>
        public bool Set(XdsSnapshot snapshot) => Interlocked.Exchange(ref _snapshot, snapshot) is null;

        public XdsSnapshot Take() => Interlocked.Exchange(ref _snapshot, null) ?? throw new InvalidOperationException("no snapshot is waiting");
    }

    /// <summary>Answers a request, or (null) the newest snapshot. A stream waits for its turn before its answer is made: until then it
    /// costs no memory.</summary>
    private async ValueTask AnswerAsync<TRequest, TResponse>(
        IXdsStream<TRequest, TResponse> stream, TRequest? request, Newest newest, FirstStates.Turn? turn, Func<TResponse, TimeSpan, ValueTask> write,
        CancellationToken stop)
        where TRequest : class
    {
        if (turn is not null && (request is null ? stream.IsUnanswered : stream.Begins(request))) await turn.EnterAsync(stop).ConfigureAwait(false);
        var begun = settings.Clock.GetTimestamp();
        var snapshot = request is null ? newest.Take() : null;
        var answers = request is null ? stream.Update(snapshot!) : stream.Receive(request);
        var making = settings.Clock.GetElapsedTime(begun);
        foreach (var answer in answers) await write(answer, making).ConfigureAwait(false);
        if (snapshot is not null) newest.Feed.Took(snapshot);
        if (!stream.IsBeginning) turn?.Leave();
    }

    private static async Task ReadRequestsAsync<TRequest>(
        Func<CancellationToken, ValueTask<TRequest?>> read, StreamShares.Share share, Predicate<TRequest> take, ChannelWriter<(TRequest?, long)> events,
        CancellationToken stop)
        where TRequest : class, IMessage<TRequest>
    {
        try
        {
            while (await read(stop).ConfigureAwait(false) is { } request)
            {
                var weight = share.Arrived;
                if (take(request)) share.Answered(weight);
                else await events.WriteAsync((request, weight), stop).ConfigureAwait(false);
            }
            events.TryComplete();
        }
        catch (Exception e)
        {
            // The serving loop rethrows it and decides how the stream ends.
            events.TryComplete(e);
            throw;
        }
    }

    private static async Task WatchAsync<TRequest>(Newest newest, ChannelWriter<(TRequest?, long)> events, CancellationToken stop)
        where TRequest : class
    {
        try
        {
            for (XdsSnapshot? last = null; ;)
            {
                last = await newest.Feed.NextAsync(last, stop).ConfigureAwait(false);
                if (newest.Set(last)) await events.WriteAsync((null, 0), stop).ConfigureAwait(false);
            }
        }
        catch (ChannelClosedException)
        {
            // The client has ended its side.
        }
        catch (Exception e)
        {
            events.TryComplete(e);
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

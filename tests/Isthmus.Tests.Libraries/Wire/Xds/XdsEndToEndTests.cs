using System.Collections.Concurrent;
using System.Threading.Channels;
using Isthmus.Rigs.Servers;
using Isthmus.Testing;
using Isthmus.Tests.Libraries.Wire.Grpc;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Grpc;
using Isthmus.Wire.Reports;
using Isthmus.Wire.Xds;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;
using static Isthmus.Rigs.Servers.XdsRig;

namespace Isthmus.Tests.Libraries.Wire.Xds;

public sealed class XdsEndToEndTests
{
    private const string C = TypeUrls.Cluster, E = TypeUrls.Endpoints;

    [Fact]
    public async Task Client_follows_the_server_over_a_real_connection_and_comes_back_after_a_refusal()
    {
        var stop = TestContext.Current.CancellationToken;
        var feeds = new FakeFeeds { Refusals = 2 };
        await using var rig = await GrpcRig.StartAsync(new XdsServer(feeds, new(), new Random(1)).Map);
        var sink = new NotifyingSink();
        var client = new XdsClient(
            new(new Node { Id = "sidecar~10.0.0.1~a.b~b.svc.cluster.local" }, [C], () => new(new(rig.Address)), _ => new([new("authorization", "Bearer t")]))
            {
                FirstPause = TimeSpan.FromMilliseconds(1),
                Quiet = TimeSpan.FromMilliseconds(1),
            },
            sink, TimeProvider.System, new Random(1), NullLogger.Instance);
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var running = client.RunAsync(ended.Token);

        feeds.Offer(Snapshot("1", (C, "a", "1"), (E, "a", "1")));
        Assert.Equal("a@1", await sink.WaitAsync(E, stop));
        feeds.Offer(Snapshot("2", (C, "a", "1"), (E, "a", "2")));
        Assert.Equal("a@2", await sink.WaitAsync(E, stop));

        Assert.Equal("Bearer t", feeds.Authorization);
        Assert.True(client.Status.Connected);
        Assert.Equal([C, E], client.Status.Types.Select(t => t.TypeUrl));
        await ended.CancelAsync();
        await running;
    }

    [Fact]
    public async Task First_answers_go_to_a_few_clients_at_a_time_and_the_next_begins_when_one_is_acknowledged()
    {
        var stop = TestContext.Current.CancellationToken;
        var feeds = new SameForAll(Snapshot("1", (C, "a", "1"), (E, "a", "1")));
        await using var rig = await GrpcRig.StartAsync(new XdsServer(feeds, new(FirstStates: new(1, TimeSpan.FromMinutes(5), TimeProvider.System)),
            new Random(1)).Map);
        await using var first = rig.Channel.Open(AdsMethods.Delta, new(), stop);
        await using var second = rig.Channel.Open(AdsMethods.Delta, new(), stop);
        await first.WriteAsync(new() { Node = new Node { Id = "one" }, TypeUrl = C }, stop);
        var answer = await first.ReadAsync(stop);
        await second.WriteAsync(new() { Node = new Node { Id = "two" }, TypeUrl = C }, stop);
        var waiting = second.ReadAsync(stop).AsTask();
        // The first stream gets another type, while the second one waits.
        await first.WriteAsync(new() { TypeUrl = E, ResourceNamesSubscribe = { "a" } }, stop);
        var endpoints = await first.ReadAsync(stop);
        Assert.False(waiting.IsCompleted);

        await first.WriteAsync(new() { TypeUrl = C, ResponseNonce = answer!.Nonce }, stop);
        await first.WriteAsync(new() { TypeUrl = E, ResponseNonce = endpoints!.Nonce }, stop);
        Assert.Equal(C, (await waiting)!.TypeUrl);
    }

    [Fact]
    public async Task A_client_that_has_taken_what_is_offered_again_leaves_its_place_to_the_next()
    {
        var stop = TestContext.Current.CancellationToken;
        var again = new OfferedAgain(Snapshot("1", (E, "a", "1")));
        var feeds = new FeedsByNode(new() { ["one"] = again, ["two"] = new SameForAll(Snapshot("1", (C, "a", "1"))) });
        await using var rig = await GrpcRig.StartAsync(new XdsServer(feeds, new(FirstStates: new(1, TimeSpan.FromMinutes(5), TimeProvider.System)),
            new Random(1)).Map);
        await using var first = rig.Channel.Open(AdsMethods.Delta, new(), stop);
        await using var second = rig.Channel.Open(AdsMethods.Delta, new(), stop);
        // It waits for a type that is not served.
        await first.WriteAsync(new() { Node = new Node { Id = "one" }, TypeUrl = C }, stop);
        await again.AskedAgain.WaitAsync(stop);
        await second.WriteAsync(new() { Node = new Node { Id = "two" }, TypeUrl = C }, stop);
        Assert.Equal(C, (await second.ReadAsync(stop))!.TypeUrl);
    }

    [Fact]
    public async Task A_client_that_waits_gets_the_newest_snapshot_and_none_of_those_before()
    {
        var stop = TestContext.Current.CancellationToken;
        var burst = new Burst([.. Enumerable.Range(1, 10).Select(i => Snapshot($"{i}", (C, "a", $"{i}")))]);
        var feeds = new FeedsByNode(new() { ["one"] = new SameForAll(Snapshot("1", (C, "a", "1"))), ["two"] = burst });
        await using var rig = await GrpcRig.StartAsync(new XdsServer(feeds, new(FirstStates: new(1, TimeSpan.FromMinutes(5), TimeProvider.System)),
            new Random(1)).Map);
        await using var first = rig.Channel.Open(AdsMethods.Delta, new(), stop);
        await using var second = rig.Channel.Open(AdsMethods.Delta, new(), stop);
        await first.WriteAsync(new() { Node = new Node { Id = "one" }, TypeUrl = C }, stop);
        var answer = await first.ReadAsync(stop);
        // The second stream waits for its turn, and meanwhile everything changes ten times.
        await second.WriteAsync(new() { Node = new Node { Id = "two" }, TypeUrl = C }, stop);
        await burst.AllOffered.WaitAsync(stop);

        await first.WriteAsync(new() { TypeUrl = C, ResponseNonce = answer!.Nonce }, stop);
        Assert.Equal("10", (await second.ReadAsync(stop))!.SystemVersionInfo);
    }

    [Fact]
    public async Task A_client_reports_what_it_loses_and_again_only_when_that_changes()
    {
        var stop = TestContext.Current.CancellationToken;
        var feeds = new FakeFeeds();
        await using var rig = await GrpcRig.StartAsync(new XdsServer(feeds,
            new(new() { Identifier = $$"""{"Component":"istiod","Accepts":["{{TypeUrls.TelemetryReport}}"]}""" }), new Random(1)).Map);
        var (now, asked) = (new TelemetryReport(), 0);
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var sink = new NotifyingSink();
        var running = Reporting(rig, sink, () => { Interlocked.Increment(ref asked); return Volatile.Read(ref now); }).RunAsync(ended.Token);
        // Nothing is lost, which needs no report.
        feeds.Offer(Snapshot("1", (C, "a", "1")));
        await AskedAsync();
        Assert.False(feeds.Reports.Reader.TryRead(out _));
        Volatile.Write(ref now, Loss("one"));
        Assert.Equal(Loss("one"), await feeds.Reports.Reader.ReadAsync(stop));
        await AskedAsync();
        Assert.False(feeds.Reports.Reader.TryRead(out _));
        // Responses go on meanwhile.
        feeds.Offer(Snapshot("2", (C, "a", "1"), (E, "a", "2")));
        Assert.Equal("a@2", await sink.WaitAsync(E, stop));
        Volatile.Write(ref now, new());
        Assert.Empty((await feeds.Reports.Reader.ReadAsync(stop)).Losses);
        await ended.CancelAsync();
        await running;

        Task AskedAsync()
        {
            var from = Volatile.Read(ref asked);
            return Eventually.TrueAsync(() => Volatile.Read(ref asked) >= from + 3);
        }
    }

    /// <summary>Another implementation need not bear requests of a type that it does not know.</summary>
    [Theory]
    [InlineData("")]
    [InlineData("not JSON")]
    [InlineData("{\"Component\":\"istiod\",\"ID\":\"istiod-1\",\"Info\":{\"version\":\"1.27.0\"}}")]
    public async Task A_control_plane_that_does_not_announce_reports_gets_none(string identifier)
    {
        var stop = TestContext.Current.CancellationToken;
        var feeds = new FakeFeeds();
        await using var rig = await GrpcRig.StartAsync(new XdsServer(feeds, new(new() { Identifier = identifier }), new Random(1)).Map);
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var sink = new NotifyingSink();
        var running = Reporting(rig, sink, () => throw new InvalidOperationException("nobody wants to know")).RunAsync(ended.Token);
        for (var i = 1; i <= 3; i++)
        {
            feeds.Offer(Snapshot($"{i}", (C, "a", "1"), (E, "a", $"{i}")));
            Assert.Equal($"a@{i}", await sink.WaitAsync(E, stop));
        }
        Assert.False(feeds.Reports.Reader.TryRead(out _));
        await ended.CancelAsync();
        await running;
    }

    [Fact]
    public async Task A_report_that_cannot_be_read_ends_its_stream()
    {
        var stop = TestContext.Current.CancellationToken;
        await using var rig = await GrpcRig.StartAsync(new XdsServer(new FakeFeeds(), new(), new Random(1)).Map);
        await using var stream = rig.Channel.Open(AdsMethods.Delta, new(), stop);
        await stream.WriteAsync(new() { Node = new Node { Id = "one" }, TypeUrl = C }, stop);
        await stream.WriteAsync(new()
        {
            TypeUrl = TypeUrls.TelemetryReport,
            ErrorDetail = new()
            {
                Details =
                {
                    new Google.Protobuf.WellKnownTypes.Any { TypeUrl = TypeUrls.TelemetryReport, Value = Google.Protobuf.ByteString.CopyFrom(0xff, 0xff) }
                }
            }
        },
            stop);
        var refusal = await Assert.ThrowsAsync<GrpcException>(async () => await stream.ReadAsync(stop));
        Assert.Equal(GrpcCode.InvalidArgument, refusal.Code);
        Assert.Contains("malformed", refusal.Message, StringComparison.Ordinal);
    }

    private static TelemetryReport Loss(string target) => new() { Losses = { new TelemetryLoss { Kind = TelemetryLoss.Types.Kind.Spans, Target = target } } };

    private static XdsClient Reporting(GrpcRig rig, IXdsSink sink, Func<TelemetryReport> report) => new(
        new(new Node { Id = "sidecar~10.0.0.1~a.b~b.svc.cluster.local" }, [C], () => new(new(rig.Address)), _ => new([]))
        {
            FirstPause = TimeSpan.FromMilliseconds(1),
            Quiet = TimeSpan.FromMilliseconds(1),
            Report = report,
            ReportPause = TimeSpan.FromMilliseconds(5),
        },
        sink, TimeProvider.System, new Random(1), NullLogger.Instance);

    private sealed class FeedsByNode(Dictionary<string, IXdsFeed> feeds) : IXdsFeeds
    {
        public ValueTask<IXdsFeed> OpenAsync(XdsClientHello client, CancellationToken stop) => new(feeds[client.Node.Id]);
    }

    private sealed class Burst(IReadOnlyList<XdsSnapshot> snapshots) : IXdsFeed
    {
        private readonly TaskCompletionSource _all = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private volatile XdsSnapshot? _newest;

        /// <summary>Completes when the last is offered.</summary>
        public Task AllOffered => _all.Task;

        public void Follow(Action offered)
        {
            foreach (var snapshot in snapshots)
            {
                _newest = snapshot;
                offered();
            }
            _all.SetResult();
        }

        public XdsSnapshot? Newer(XdsSnapshot? last) => ReferenceEquals(_newest, last) ? null : _newest;

        public void Observe(XdsEvent happened)
        {
        }

        public ValueTask DisposeAsync() => default;
    }

    /// <summary>Offers a snapshot again when it is taken.</summary>
    private sealed class OfferedAgain(XdsSnapshot snapshot) : IXdsFeed
    {
        private readonly TaskCompletionSource _again = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private Action? _offered;

        public Task AskedAgain => _again.Task;

        public void Follow(Action offered)
        {
            _offered = offered;
            offered();
        }

        public XdsSnapshot? Newer(XdsSnapshot? last)
        {
            if (last is null) return snapshot;
            _again.TrySetResult();
            return null;
        }

        public void Took(XdsSnapshot snapshot) => _offered!();

        public void Observe(XdsEvent happened)
        {
        }

        public ValueTask DisposeAsync() => default;
    }

    private sealed class SameForAll(XdsSnapshot snapshot) : IXdsFeeds, IXdsFeed
    {
        public ValueTask<IXdsFeed> OpenAsync(XdsClientHello client, CancellationToken stop) => new(this);

        public void Follow(Action offered) => offered();

        public XdsSnapshot? Newer(XdsSnapshot? last) => last is null ? snapshot : null;

        public void Observe(XdsEvent happened)
        {
        }

        public ValueTask DisposeAsync() => default;
    }

    private sealed class NotifyingSink : IXdsSink
    {
        private readonly ModelSink _inner = new();
        private readonly ConcurrentDictionary<string, Channel<string>> _changes = new();

        public XdsVerdict Apply(XdsBatch batch)
        {
            foreach (var resource in batch.Changed) Of(batch.TypeUrl).Writer.TryWrite(resource.Text());
            return _inner.Apply(batch);
        }

        public async Task<string> WaitAsync(string type, CancellationToken stop) =>
            await Of(type).Reader.ReadAsync(stop).AsTask().WaitAsync(TimeSpan.FromMinutes(1), stop);

        private Channel<string> Of(string type) => _changes.GetOrAdd(type, _ => Channel.CreateUnbounded<string>());
    }

    private sealed class FakeFeeds : IXdsFeeds, IXdsFeed
    {
        private readonly List<Action> _streams = []; // Locked with the newest.
        private XdsSnapshot? _newest;

        public int Refusals { get; set; }
        public string? Authorization { get; private set; }
        public Channel<TelemetryReport> Reports { get; } = Channel.CreateUnbounded<TelemetryReport>();

        public void Reported(TelemetryReport report) => Reports.Writer.TryWrite(report);

        public ValueTask<IXdsFeed> OpenAsync(XdsClientHello client, CancellationToken stop)
        {
            if (Refusals-- > 0) throw new GrpcException(GrpcCode.ResourceExhausted, "too many");
            Authorization = client.Call.Header("authorization");
            return new(this);
        }

        /// <summary>To the streams that are open, and to the next ones.</summary>
        public void Offer(XdsSnapshot snapshot)
        {
            lock (_streams)
            {
                _newest = snapshot;
                foreach (var stream in _streams) stream();
            }
        }

        public void Follow(Action offered)
        {
            lock (_streams)
            {
                _streams.Add(offered);
                if (_newest is not null) offered();
            }
        }

        public XdsSnapshot? Newer(XdsSnapshot? last)
        {
            lock (_streams) return ReferenceEquals(_newest, last) ? null : _newest;
        }

        public void Observe(XdsEvent happened)
        {
        }

        public ValueTask DisposeAsync() => default;
    }
}

using System.Collections.Concurrent;
using System.Threading.Channels;
using Isthmus.Tests.Wire.Grpc;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Grpc;
using Isthmus.Wire.Xds;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;
using static Isthmus.Tests.Wire.Xds.XdsRig;

namespace Isthmus.Tests.Wire.Xds;

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

        feeds.Snapshots.Writer.TryWrite(Snapshot("1", (C, "a", "1"), (E, "a", "1")));
        Assert.Equal("a@1", await sink.WaitAsync(E, stop));
        feeds.Snapshots.Writer.TryWrite(Snapshot("2", (C, "a", "1"), (E, "a", "2")));
        Assert.Equal("a@2", await sink.WaitAsync(E, stop));

        Assert.Equal("Bearer t", feeds.Authorization);
        Assert.True(client.Status.Connected);
        Assert.Equal([C, E], client.Status.Types.Select(t => t.TypeUrl));
        await ended.CancelAsync();
        await running;
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
            await Of(type).Reader.ReadAsync(stop).AsTask().WaitAsync(TimeSpan.FromSeconds(20), stop);

        private Channel<string> Of(string type) => _changes.GetOrAdd(type, _ => Channel.CreateUnbounded<string>());
    }

    private sealed class FakeFeeds : IXdsFeeds, IXdsFeed
    {
        public Channel<XdsSnapshot> Snapshots { get; } = Channel.CreateUnbounded<XdsSnapshot>();
        public int Refusals { get; set; }
        public string? Authorization { get; private set; }

        public ValueTask<IXdsFeed> OpenAsync(XdsClientHello client, CancellationToken stop)
        {
            if (Refusals-- > 0) throw new GrpcException(GrpcCode.ResourceExhausted, "too many");
            Authorization = client.Call.Header("authorization");
            return new(this);
        }

        public ValueTask<XdsSnapshot> NextAsync(XdsSnapshot? last, CancellationToken stop) => Snapshots.Reader.ReadAsync(stop);

        public void Observe(XdsEvent happened)
        {
        }

        public ValueTask DisposeAsync() => default;
    }
}

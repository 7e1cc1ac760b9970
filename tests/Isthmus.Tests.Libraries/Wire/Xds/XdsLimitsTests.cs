using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Rigs.Servers;
using Isthmus.Testing;
using Isthmus.Tests.Libraries.Wire.Grpc;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Grpc;
using Isthmus.Wire.Limits;
using Isthmus.Wire.Xds;
using Xunit;

namespace Isthmus.Tests.Libraries.Wire.Xds;

/// <summary>What clients may make a discovery server hold.</summary>
public sealed class XdsLimitsTests
{
    private const string C = TypeUrls.Cluster, E = TypeUrls.Endpoints;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Forty_streams_with_a_node_of_megabytes_hold_nothing()
    {
        await using var rig = new Rig(new());
        var server = await rig.StartAsync();
        for (var i = 0; i < 40; i++)
        {
            var refused = await Assert.ThrowsAsync<GrpcException>(() => AskAsync(server.Channel, Node(new string('x', 3_900_000))));
            Assert.Equal(GrpcCode.ResourceExhausted, refused.Code);
            Assert.Contains("the node has 39000", refused.Detail, StringComparison.Ordinal);
            Assert.Contains("ISTHMUS_XDS_NODE_BYTES", refused.Detail, StringComparison.Ordinal);
        }
        Assert.Equal(40, rig.Refusals.Count(reason => reason == "node"));
        await EmptyAsync(rig);
    }

    [Fact]
    public async Task Forty_streams_with_large_nodes_at_once_are_held_to_the_limit_of_their_Pod()
    {
        const int node = 510_000;
        var limits = new XdsLimits { Patience = TimeSpan.FromMilliseconds(100) };
        await using var rig = new Rig(limits) { Source = new("spiffe://a", "p") };
        var server = await rig.StartAsync();
        var asked = await Task.WhenAll(Enumerable.Range(0, 40).Select(async _ =>
        {
            var call = server.Channel.Open(AdsMethods.Delta, new(), Stop);
            try
            {
                await call.WriteAsync(new() { Node = Node(new string('x', node)), TypeUrl = C }, Stop);
                return (Stream: call, Code: await call.ReadAsync(Stop) is null ? GrpcCode.Ok : (GrpcCode?)null);
            }
            catch (GrpcException e)
            {
                return (Stream: call, Code: (GrpcCode?)e.Code);
            }
        }));
        Assert.InRange(rig.Server.HeldBytes, 1, limits.BytesPerPod);
        Assert.InRange(asked.Count(one => one.Code is null), 1, (int)limits.BytesPerPod / node);
        // Also who still sends when the answer comes learns the reason.
        Assert.All(asked.Where(one => one.Code is not null), one => Assert.Equal(GrpcCode.ResourceExhausted, one.Code));
        foreach (var one in asked) await one.Stream.DisposeAsync();
        await EmptyAsync(rig);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Names_that_no_resource_has_count_for_their_stream_and_others_do_not(bool isSotw)
    {
        await using var rig = new Rig(new() { BytesPerPod = 1 << 20 }) { Source = new("spiffe://a", "p") };
        var server = await rig.StartAsync();
        await using var stream = await Ask(server.Channel, isSotw, "a");
        Assert.InRange(rig.Server.HeldBytes, 1, 4096);
        var refused = await Assert.ThrowsAsync<GrpcException>(async () =>
        {
            await using var other = await Ask(server.Channel, isSotw, [.. Enumerable.Range(0, 8000).Select(i => $"{i}-{new string('n', 100)}")]);
            while (await other.ReadAsync() is not null) { }
        });
        Assert.Equal(GrpcCode.ResourceExhausted, refused.Code);
        Assert.Contains("Pod p", refused.Detail, StringComparison.Ordinal);
        Assert.Contains("ISTHMUS_XDS_BYTES_PER_POD", refused.Detail, StringComparison.Ordinal);
        Assert.Equal(["bytes"], rig.Refusals);
        // The first stream goes on.
        await Eventually.TrueAsync(() => rig.Server.HeldBytes is > 0 and <= 4096);
    }

    [Fact]
    public async Task Streams_are_counted_for_the_address_the_account_the_Pod_and_all_together()
    {
        foreach (var (limits, source, named) in ((XdsLimits, XdsSource, string)[])
        [
            (new() { StreamsPerSource = 2 }, default, "address 127.0.0.1"),
            (new() { StreamsPerPod = 2 }, new("spiffe://a", "p"), "Pod p"),
            (new() { Streams = 2 }, new("spiffe://a", "p"), "all sources together"),
        ])
        {
            await using var rig = new Rig(limits) { Source = source };
            var server = await rig.StartAsync();
            var first = await Ask(server.Channel, false, "a");
            await using var second = await Ask(server.Channel, false, "a");
            var refused = await Assert.ThrowsAsync<GrpcException>(() => AskAsync(server.Channel, Node("")));
            Assert.Equal((GrpcCode.ResourceExhausted, true), (refused.Code, refused.Detail.Contains(named, StringComparison.Ordinal)));
            // A place that is given back is another's.
            await first.DisposeAsync();
            await Eventually.TrueAsync(async () =>
            {
                try
                {
                    await AskAsync(server.Channel, Node(""));
                    return true;
                }
                catch (GrpcException e) when (e.Code == GrpcCode.ResourceExhausted)
                {
                    return false;
                }
            });
        }
    }

    [Fact]
    public async Task Thousands_of_proxies_of_one_address_are_no_problem()
    {
        await using var rig = new Rig(new()) { Source = new("spiffe://a", "") };
        var server = await rig.StartAsync();
        var streams = new List<Asked>();
        for (var i = 0; i < 900; i++) streams.Add(await Ask(server.Channel, i % 2 == 0, "a"));
        Assert.Empty(rig.Refusals);
        foreach (var stream in streams) await stream.DisposeAsync();
        await EmptyAsync(rig);
    }

    [Fact]
    public async Task The_length_of_a_message_is_told_before_its_bytes_are_taken_however_they_come()
    {
        var pipe = new System.IO.Pipelines.Pipe();
        var told = new List<int>();
        var go = new TaskCompletionSource();
        byte[] message = [.. new DiscoveryRequest { TypeUrl = C }.ToByteArray()];
        byte[] framed = [0, 0, 0, 0, (byte)message.Length, .. message];
        await pipe.Writer.WriteAsync(framed.AsMemory(0, 3), Stop);
        var reading = ReadAsync().AsTask();
        await pipe.Writer.WriteAsync(framed.AsMemory(3), Stop);
        await Eventually.TrueAsync(() => told.Count > 0);
        Assert.False(reading.IsCompleted);
        go.SetResult();
        Assert.Equal(C, (await reading)!.TypeUrl);
        // A message without bytes, and one that comes whole.
        await pipe.Writer.WriteAsync((byte[])[0, 0, 0, 0, 0, .. framed], Stop);
        Assert.Equal("", (await ReadAsync())!.TypeUrl);
        Assert.Equal(C, (await ReadAsync())!.TypeUrl);
        Assert.Equal([message.Length, message.Length], told);

        ValueTask<DiscoveryRequest?> ReadAsync() => GrpcFraming.ReadAsync(pipe.Reader, bytes => DiscoveryRequest.Parser.ParseFrom(bytes), 100, length =>
        {
            told.Add(length);
            return new(go.Task);
        }, Stop);
    }

    [Fact]
    public async Task A_request_waits_until_there_is_room_for_it()
    {
        var budget = new SourceBudget(100, TimeProvider.System);
        BudgetSource[] one = [new("one", 80)], other = [new("other", 80)];
        Assert.Null(budget.TryTake(one, 60));
        Assert.Equal("one", budget.TryTake(one, 30));
        Assert.Equal("all sources together", budget.TryTake(other, 50));
        var waiting = budget.TakeAsync(other, 50, TimeSpan.FromMinutes(5), Stop).AsTask();
        Assert.False(waiting.IsCompleted);
        budget.Give(one, 60);
        Assert.Null(await waiting);
        Assert.Equal(50, budget.Held);
        // What never fits does not wait, and neither does who has no patience.
        Assert.Equal("one", await budget.TakeAsync(one, 81, TimeSpan.FromMinutes(5), Stop));
        Assert.Equal("all sources together", await budget.TakeAsync(one, 60, TimeSpan.Zero, Stop));
        using var end = new CancellationTokenSource();
        var ended = budget.TakeAsync(one, 60, TimeSpan.FromMinutes(5), end.Token).AsTask();
        await end.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => ended);
        budget.Give(other, 50);
        Assert.Equal(0, budget.Held);
    }

    private static Task EmptyAsync(Rig rig) => Eventually.TrueAsync(() => rig.Server.HeldBytes == 0);

    private static Node Node(string text) => new()
    {
        Id = "sidecar~10.0.0.1~a.b~b.svc.cluster.local", Metadata = new Struct { Fields = { ["TEXT"] = Value.ForString(text) } },
    };

    private static async Task AskAsync(GrpcChannel channel, Node node)
    {
        await using var call = channel.Open(AdsMethods.Delta, new(), Stop);
        await call.WriteAsync(new() { Node = node, TypeUrl = C }, Stop);
        Assert.NotNull(await call.ReadAsync(Stop));
    }

    /// <summary>A stream that has its first answer.</summary>
    private static async Task<Asked> Ask(GrpcChannel channel, bool isSotw, params string[] names)
    {
        if (isSotw)
        {
            var sotw = channel.Open(AdsMethods.StateOfTheWorld, new(), Stop);
            await sotw.WriteAsync(new() { Node = Node(""), TypeUrl = E, ResourceNames = { names } }, Stop);
            Assert.NotNull(await sotw.ReadAsync(Stop));
            return new(async () => await sotw.ReadAsync(Stop), sotw.DisposeAsync);
        }
        var delta = channel.Open(AdsMethods.Delta, new(), Stop);
        await delta.WriteAsync(new() { Node = Node(""), TypeUrl = E, ResourceNamesSubscribe = { names } }, Stop);
        Assert.NotNull(await delta.ReadAsync(Stop));
        return new(async () => await delta.ReadAsync(Stop), delta.DisposeAsync);
    }

    private sealed class Asked(Func<Task<object?>> read, Func<ValueTask> end) : IAsyncDisposable
    {
        internal Task<object?> ReadAsync() => read();

        public ValueTask DisposeAsync() => end();
    }

    private sealed class Rig : IXdsFeeds, IAsyncDisposable
    {
        private GrpcRig? _rig;

        internal Rig(XdsLimits limits) => Server = new(this, new() { Limits = limits, Refused = Refusals.Enqueue }, new Random(1));

        internal XdsServer Server { get; }

        internal System.Collections.Concurrent.ConcurrentQueue<string> Refusals { get; } = [];

        internal XdsSource Source { get; init; }

        internal async Task<GrpcRig> StartAsync() => _rig = await GrpcRig.StartAsync(Server.Map);

        public ValueTask<XdsSource> IdentifyAsync(GrpcCall call, CancellationToken stop) => new(Source);

        public ValueTask<IXdsFeed> OpenAsync(XdsClientHello client, CancellationToken stop) => new(new Feed());

        public ValueTask DisposeAsync() => _rig?.DisposeAsync() ?? default;
    }

    private sealed class Feed : IXdsFeed
    {
        private static readonly XdsSnapshot Only = XdsRig.Snapshot("1", (C, "a", "1"), (E, "a", "1"));

        public void Follow(Action offered) => offered();

        public XdsSnapshot? Newer(XdsSnapshot? last) => last is null ? Only : null;

        public void Observe(XdsEvent happened)
        {
        }

        public ValueTask DisposeAsync() => default;
    }
}

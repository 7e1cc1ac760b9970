using System.Net;
using Isthmus.Core.Collections;
using Isthmus.Core.Tasks;
using Isthmus.Proxy.Clusters;
using Isthmus.Proxy.Http2;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Transports;
using Isthmus.Testing;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.Clusters;
using Xunit;
using static Isthmus.Rigs.Proxy.H2Frames;

namespace Isthmus.Tests.Proxy.Http;

public sealed class H2ClientTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_connection_whose_last_request_leaves_stays_open_until_the_server_knows_why_it_ends()
    {
        var server = new BrokenServer(Settings((2, 1)));
        var cluster = new ClusterState(ClusterDecoder.Decode(WireTypes.Strict.Parse<Cluster>("""{"name": "up"}""")), TimeProvider.System, new Random(1));
        var host = new Host(new Endpoint(new IPEndPoint(IPAddress.Loopback, 1), 1, EndpointHealth.Healthy, ValueMap<string>.Empty, Workload.Unknown, false));
        var background = new BackgroundTasks((_, e) => Assert.Fail(e.ToString()));
        var client = new H2Client(server, cluster, host, TimeProvider.System, long.MaxValue, background, new Random(1));
        var request = client.TryOpen();
        Assert.NotNull(request);
        server.SendSettings();
        await Eventually.TrueAsync(() => client.IsClosing);
        request.Release();
        Assert.False(server.IsAborted);
        server.Take();
        await background.WhenEndedAsync().WaitAsync(TimeSpan.FromSeconds(30), Stop);
        Assert.True(server.IsAborted);
        Assert.Equal(H2Error.Protocol, Assert.Single(Parse(server.Taken[H2.Preface.Length..]), frame => frame.Type == H2Frame.GoAway).Error);
    }

    /// <summary>Sends one frame when it is told to, and takes nothing until then.</summary>
    private sealed class BrokenServer(byte[] frame) : Transport
    {
        private readonly TaskCompletionSource _sends = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly TaskCompletionSource _takes = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly List<byte> _taken = [];
        private int _sent;

        internal bool IsAborted { get; private set; }

        internal byte[] Taken => [.. _taken];

        public override EndPoint? Local => null;

        public override EndPoint? Remote => null;

        public override bool IsQuiet => false;

        internal void SendSettings() => _sends.SetResult();

        internal void Take() => _takes.SetResult();

        public override async ValueTask<int> ReadAsync(Memory<byte> into)
        {
            await _sends.Task;
            var count = Math.Min(into.Length, frame.Length - _sent);
            frame.AsMemory(_sent, count).CopyTo(into);
            _sent += count;
            return count;
        }

        public override async ValueTask WriteAsync(ReadOnlyMemory<byte> bytes)
        {
            await _takes.Task;
            if (IsAborted) throw new TransportException(TransportFailure.Aborted, "closed");
            _taken.AddRange(bytes.Span);
        }

        public override ValueTask CloseWriteAsync() => ValueTask.CompletedTask;

        public override void Abort(bool reset = false) => IsAborted = true;
    }
}

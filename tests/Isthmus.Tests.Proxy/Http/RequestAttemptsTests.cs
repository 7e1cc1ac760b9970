using System.Net;
using Isthmus.Proxy.Http;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Transports;
using Xunit;

namespace Isthmus.Tests.Proxy.Http;

public sealed class RequestAttemptsTests
{
    /// <summary>An event loop may continue an aborted request, and answer its client, before the thread that aborted it goes on.</summary>
    [Fact]
    public void An_answer_that_a_time_limit_caused_reaches_the_client()
    {
        var client = new Client();
        var attempts = new RequestAttempts(null!, null!, client);
        attempts.Attach(new Server(onAbort: client.Start));
        attempts.OnTimeout(TimeLimit.Idle);
        Assert.True(client.IsResponseStarted);
        Assert.False(client.IsReset);
    }

    [Fact]
    public void A_response_that_had_begun_is_cut_by_a_limit_of_the_whole_exchange_only()
    {
        foreach (var limit in (TimeLimit[])[TimeLimit.Response, TimeLimit.Idle])
        {
            var client = new Client();
            client.Start();
            new RequestAttempts(null!, null!, client).OnTimeout(limit);
            Assert.Equal(limit == TimeLimit.Idle, client.IsReset);
        }
    }

    [Fact]
    public void A_limit_reached_before_the_response_is_relayed_takes_its_place_and_cuts_it_later()
    {
        var client = new Client();
        var late = new RequestAttempts(null!, null!, client);
        late.OnTimeout(TimeLimit.Duration);
        Assert.False(late.TryRelay());
        Assert.Equal(AttemptEnd.Timeout, late.End);
        Assert.False(client.IsReset);

        var relayed = new RequestAttempts(null!, null!, client);
        Assert.True(relayed.TryRelay());
        relayed.OnTimeout(TimeLimit.Duration);
        Assert.True(client.IsReset);
    }

    private sealed class Client : DownstreamStream
    {
        internal bool IsReset { get; private set; }

        public override HeaderBlock RequestTrailers { get; } = new();

        public override bool IsRequestComplete => true;

        public override IWaiting? Waiting { get; set; }

        internal void Start() => IsResponseStarted = true;

        public override ValueTask<ReadOnlyMemory<byte>> ReadBodyAsync() => default;

        public override ValueTask SendHeadAsync(ResponseHead head) => default;

        public override ValueTask SendBodyAsync(ReadOnlyMemory<byte> piece) => default;

        public override ValueTask EndAsync(HeaderBlock? trailers) => default;

        public override ValueTask ContinueAsync() => ValueTask.CompletedTask;

        public override ValueTask FlushAsync() => default;

        public override void Reset() => IsReset = true;

        public override ValueTask AbandonRequestAsync(Task reading, TimeProvider time) => default;

        public override Transport TakeOver() => throw new NotSupportedException();
    }

    private sealed class Server(Action onAbort) : UpstreamStream
    {
        public override EndPoint? Local => null;

        public override TlsPeer? Peer => null;

        public override bool IsReused => false;

        public override HeaderBlock ResponseTrailers { get; } = new();

        public override bool WouldBlock => true;

        public override ValueTask SendHeadAsync(RequestHead head) => default;

        public override ValueTask SendBodyAsync(ReadOnlyMemory<byte> piece) => default;

        public override ValueTask EndAsync(HeaderBlock? trailers) => default;

        public override ValueTask FlushAsync() => default;

        public override ValueTask ReceiveHeadAsync(ResponseHead into) => default;

        public override ValueTask<ReadOnlyMemory<byte>> ReceiveBodyAsync() => default;

        public override void Release()
        {
        }

        public override void Abort() => onAbort();

        public override Transport TakeOver() => throw new NotSupportedException();
    }
}

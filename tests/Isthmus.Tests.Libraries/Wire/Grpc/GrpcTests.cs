using System.Net;
using System.Net.Sockets;
using Isthmus.Testing;
using Isthmus.Wire.Grpc;
using Isthmus.Wire.Istio;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Xunit;

namespace Isthmus.Tests.Libraries.Wire.Grpc;

public sealed class GrpcTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Unary_call_carries_message_and_metadata_both_ways()
    {
        await using var rig = await GrpcRig.StartAsync(app => app.MapUnary(GrpcRig.Method, (call, request) =>
            Task.FromResult(new IstioCertificateResponse { CertChain = { request.Csr, call.Header("ClusterID") ?? "none" } })));

        var answer = await rig.Channel.UnaryAsync(GrpcRig.Method, new() { Csr = "csr" }, new() { Headers = [new("clusterid", "east")] }, Stop);

        Assert.Equal(["csr", "east"], answer.CertChain);
    }

    [Fact]
    public async Task Status_and_its_text_reach_the_caller_unharmed()
    {
        await using var rig = await GrpcRig.StartAsync(app => app.MapUnary(GrpcRig.Method, (_, _) =>
            throw new GrpcException(GrpcCode.Unauthenticated, "no: 100 % é\n")));

        var e = await Assert.ThrowsAsync<GrpcException>(() => rig.Channel.UnaryAsync(GrpcRig.Method, new(), new(), Stop));

        Assert.Equal((GrpcCode.Unauthenticated, "no: 100 % é\n"), (e.Code, e.Detail));
    }

    [Fact]
    public async Task Bug_in_a_handler_is_an_internal_error_without_details()
    {
        await using var rig = await GrpcRig.StartAsync(app => app.MapUnary(GrpcRig.Method, (_, _) => throw new InvalidOperationException("secret")));

        var e = await Assert.ThrowsAsync<GrpcException>(() => rig.Channel.UnaryAsync(GrpcRig.Method, new(), new(), Stop));

        Assert.Equal((GrpcCode.Internal, "internal error"), (e.Code, e.Detail));
    }

    [Fact]
    public async Task Deadline_ends_a_call_that_hangs()
    {
        await using var rig = await GrpcRig.StartAsync(app => app.MapUnary(GrpcRig.Method, async (call, _) =>
        {
            await Task.Delay(Timeout.Infinite, call.Stop);
            return new();
        }));

        var e = await Assert.ThrowsAsync<GrpcException>(() =>
            rig.Channel.UnaryAsync(GrpcRig.Method, new(), new() { Timeout = TimeSpan.FromMilliseconds(50) }, Stop));

        Assert.Equal(GrpcCode.DeadlineExceeded, e.Code);
    }

    [Fact]
    public async Task A_deadline_is_told_as_such_at_whatever_moment_it_passes()
    {
        await using var rig = await GrpcRig.StartAsync(app => app.MapUnary(GrpcRig.Method, async (call, _) =>
        {
            await Task.Delay(Timeout.Infinite, call.Stop);
            return new();
        }));
        for (var i = 0; i < 300; i++)
        {
            var e = await Assert.ThrowsAsync<GrpcException>(() => rig.Channel.UnaryAsync(GrpcRig.Method, new(),
                new() { Timeout = TimeSpan.FromMicroseconds(i * 10) }, Stop));
            Assert.True(e.Code == GrpcCode.DeadlineExceeded, $"{i}: {e.Code} {e.Message}");
        }
    }

    [Fact]
    public async Task Unknown_method_is_unimplemented_and_a_closed_port_is_unavailable()
    {
        GrpcChannel channel;
        await using (var rig = await GrpcRig.StartAsync(_ => { }))
        {
            var unknown = await Assert.ThrowsAsync<GrpcException>(() => rig.Channel.UnaryAsync(GrpcRig.Method, new(), new(), Stop));
            Assert.Equal(GrpcCode.Unimplemented, unknown.Code);
        }
        using (channel = new(new(new Uri("http://127.0.0.1:1"))))
        {
            var closed = await Assert.ThrowsAsync<GrpcException>(() => channel.UnaryAsync(GrpcRig.Method, new(), new(), Stop));
            Assert.Equal(GrpcCode.Unavailable, closed.Code);
            Assert.Contains("127.0.0.1:1", closed.Detail, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2_000_000)] // more than the window of the stream: the call breaks while it is written
    public async Task A_connection_that_breaks_is_no_passed_deadline(int size)
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        for (var i = 0; i < 50; i++)
        {
            using var channel = new GrpcChannel(new(new Uri($"http://127.0.0.1:{((IPEndPoint)listener.LocalEndpoint).Port}")));
            var calling = channel.UnaryAsync(GrpcRig.Method, new() { Csr = new('x', size) }, new() { Timeout = TimeSpan.FromMinutes(10) }, Stop);
            while (!calling.IsCompleted)
            {
                var accepting = listener.AcceptSocketAsync(Stop).AsTask();
                // The client tries a few connections.
                if (await Task.WhenAny(accepting, calling) == calling)
                {
                    using var last = new TcpClient();
                    await last.ConnectAsync((IPEndPoint)listener.LocalEndpoint, Stop);
                    (await accepting).Dispose();
                    break;
                }
                using var socket = await accepting;
                // SETTINGS, and then the end at a different point of the request each time.
                await socket.SendAsync((byte[])[0, 0, 0, 4, 0, 0, 0, 0, 0], Stop);
                for (var read = 0; read < 24 + (size > 1 ? i * 1000 : 0);)
                {
                    var count = await socket.ReceiveAsync(new byte[4096], Stop);
                    if (count == 0) break;
                    read += count;
                }
            }
            var broken = await Assert.ThrowsAsync<GrpcException>(() => calling);
            Assert.True(broken.Code == GrpcCode.Unavailable, $"{i}: {broken.Message}");
        }
    }

    /// <summary>A message larger than a stream's window cannot be written completely before the response.</summary>
    [Fact]
    public async Task An_answer_that_comes_before_everything_was_sent_is_what_counts()
    {
        await using var rig = await GrpcRig.StartAsync(_ => { });
        for (var i = 0; i < 20; i++)
        {
            var unknown = await Assert.ThrowsAsync<GrpcException>(() => rig.Channel.UnaryAsync(GrpcRig.Method, new() { Csr = new('x', 2_000_000) }, new(),
                Stop));
            Assert.Equal(GrpcCode.Unimplemented, unknown.Code);
        }
    }

    [Fact]
    public async Task Message_above_the_limit_is_refused_by_the_server_and_by_the_client()
    {
        await using var rig = await GrpcRig.StartAsync(
            app => app.MapUnary(GrpcRig.Method, (_, request) => Task.FromResult(new IstioCertificateResponse { CertChain = { new string('x', 2000) } }), 1000),
            1500);

        var server = await Assert.ThrowsAsync<GrpcException>(() => rig.Channel.UnaryAsync(GrpcRig.Method, new() { Csr = new('x', 2000) }, new(), Stop));
        var client = await Assert.ThrowsAsync<GrpcException>(() => rig.Channel.UnaryAsync(GrpcRig.Method, new(), new(), Stop));

        Assert.Equal((GrpcCode.ResourceExhausted, GrpcCode.ResourceExhausted), (server.Code, client.Code));
    }

    [Fact]
    public async Task Duplex_call_answers_while_the_client_is_still_sending()
    {
        await using var rig = await GrpcRig.StartAsync(app => app.MapDuplex(GrpcRig.Method, async (call, requests, responses) =>
        {
            while (await requests.ReadAsync(call.Stop) is { } request)
                await responses.WriteAsync(new() { CertChain = { request.Csr } }, call.Stop);
        }));
        await using var call = rig.Channel.Open(GrpcRig.Method, new(), Stop);
        for (var i = 0; i < 100; i++)
        {
            var text = new string('y', i * 700);
            await call.WriteAsync(new() { Csr = text }, Stop);
            var answer = await call.ReadAsync(Stop);
            Assert.Equal(text, Assert.Single(answer!.CertChain));
        }
        call.Complete();
        Assert.Null(await call.ReadAsync(Stop));
    }

    /// <summary>Servers send the head of their answer at once, and some their first message, too. In one of some hundred calls, that comes before HttpClient
    /// has opened the stream of requests.</summary>
    [Fact]
    public async Task A_server_may_speak_before_the_stream_of_requests_is_open()
    {
        await using var rig = await GrpcRig.StartAsync(app => app.MapDuplex(GrpcRig.Method, async (call, _, responses) =>
        {
            await responses.WriteAsync(new(), call.Stop);
            await Task.Delay(Timeout.Infinite, call.Stop);
        }));
        await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(
            async () =>
            {
                for (var i = 0; i < 250; i++)
                {
                    await using var call = rig.Channel.Open(GrpcRig.Method, new(), Stop);
                    await call.WriteAsync(new(), Stop);
                    Assert.NotNull(await call.ReadAsync(Stop));
                }
            },
            Stop)));
    }

    [Fact]
    public async Task Server_that_ends_a_stream_with_a_status_is_heard()
    {
        await using var rig = await GrpcRig.StartAsync(app => app.MapDuplex(GrpcRig.Method, async (call, requests, _) =>
        {
            await requests.ReadAsync(call.Stop);
            throw new GrpcException(GrpcCode.ResourceExhausted, "request rate limit exceeded");
        }));
        await using var call = rig.Channel.Open(GrpcRig.Method, new(), Stop);
        await call.WriteAsync(new(), Stop);

        var e = await Assert.ThrowsAsync<GrpcException>(async () => await call.ReadAsync(Stop));

        Assert.Equal((GrpcCode.ResourceExhausted, "request rate limit exceeded"), (e.Code, e.Detail));
    }

    [Fact]
    public async Task Handler_learns_that_the_client_went_away()
    {
        var gone = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var rig = await GrpcRig.StartAsync(app => app.MapDuplex(GrpcRig.Method, async (call, requests, responses) =>
        {
            using var noticed = call.Stop.Register(() => gone.TrySetResult());
            await responses.WriteAsync(new(), call.Stop);
            await Task.Delay(Timeout.Infinite, call.Stop);
        }));
        var call = rig.Channel.Open(GrpcRig.Method, new(), Stop);
        await call.WriteAsync(new(), Stop);
        Assert.NotNull(await call.ReadAsync(Stop));
        await call.DisposeAsync();

        await gone.Task.WaitAsync(Stop);
    }

    /// <summary>A client that leaves while it is read from is no fault of the server's. Its readers learn of it before the request is over.</summary>
    [Theory]
    [InlineData(true, 0)]
    [InlineData(false, 1)]
    public async Task A_connection_that_breaks_is_logged_only_if_the_client_is_still_there(bool leaves, int logged)
    {
        using var aborted = new CancellationTokenSource();
        var log = new Log();
        await using var app = WebApplication.CreateSlimBuilder().Build();
        app.MapUnary(GrpcRig.Method, (_, _) => throw new IOException("The client reset the request stream."));
        var endpoint = Assert.Single(((IEndpointRouteBuilder)app).DataSources.SelectMany(source => source.Endpoints));
        var clock = new ManualClock();
        var http = new DefaultHttpContext
        {
            RequestAborted = aborted.Token, Request = { Method = "POST", ContentType = "application/grpc", Body = new MemoryStream(new byte[5]) },
            RequestServices = new ServiceCollection().AddSingleton<ILoggerFactory>(log).AddSingleton<TimeProvider>(clock).BuildServiceProvider(),
        };
        var ended = endpoint.RequestDelegate!(http);
        Assert.False(ended.IsCompleted);
        if (leaves) await aborted.CancelAsync();
        else clock.Advance(TimeSpan.FromSeconds(1));
        try { await ended.WaitAsync(Stop); }
        catch (InvalidOperationException)
        {
            // Without a server, a response has no trailers.
        }
        Assert.Equal(logged, log.Lines);
    }

    private sealed class Log : ILoggerFactory, ILogger
    {
        internal int Lines { get; private set; }

        public ILogger CreateLogger(string categoryName) => this;

        public void AddProvider(ILoggerProvider provider)
        {
        }

        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        void ILogger.Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) => Lines++;

        public void Dispose()
        {
        }
    }
}

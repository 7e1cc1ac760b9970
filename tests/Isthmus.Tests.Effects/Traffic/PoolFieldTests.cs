using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using Isthmus.Core.Collections;
using Isthmus.Proxy.Clusters;
using Isthmus.Proxy.Loops;
using Isthmus.Testing;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;

namespace Isthmus.Tests.Effects.Traffic;

/// <summary>Fields of DestinationRules about load, from the rule to the requests.</summary>
public sealed class PoolFieldTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("connectionPool: {http: {maxRetries: 1}}", 1)]
    [InlineData("connectionPool: {http: {maxRetries: 2}}", 2)]
    [InlineData("retryBudget: {percent: 0, minRetryConcurrency: 1}", 1)]
    [InlineData("retryBudget: {percent: 100, minRetryConcurrency: 1}", 4)]
    [InlineData("retryBudget: {percent: 50}", 3)]
    public async Task Retries_beyond_the_limit_are_not_made_while_others_run(string policy, int most)
    {
        var (asked, released) = (0, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, async context =>
        {
            // Each first attempt fails; retries wait.
            if (context.Request.Headers["x-envoy-attempt-count"] != "1") await WaitAsync();
            else context.Response.StatusCode = 503;
        });
        async Task WaitAsync()
        {
            Interlocked.Increment(ref asked);
            await released.Task;
        }
        using var proxy = new SidecarProxy(Rule(policy) + "\n---\n" + """
            apiVersion: networking.istio.io/v1
            kind: VirtualService
            metadata: {name: web, namespace: shop}
            spec: {hosts: [web.example], http: [{retries: {attempts: 1, retryOn: '503'}, route: [{destination: {host: web.example}}]}]}
            """, [(origin.Port, "")]);
        Assert.Empty(proxy.Reported);
        var calls = new List<Task<(int Status, string Body)>>();
        // One after the other: each either waits at its retry, or is refused it. Percentages count these requests.
        for (var i = 0; i < 4; i++)
        {
            calls.Add(proxy.CallAsync());
            await Eventually.TrueAsync(() => Volatile.Read(ref asked) + calls.Count(call => call.IsCompleted) > i);
        }
        Assert.Equal(most, Volatile.Read(ref asked));
        released.SetResult();
        var statuses = (await Task.WhenAll(calls)).Select(answer => answer.Status).ToList();
        Assert.Equal((most, 4 - most), (statuses.Count(status => status == 200), statuses.Count(status => status == 503)));
        Assert.Equal(0, proxy.Plane.State.Current.Clusters["outbound|80||web.example"].Use.ActiveRetries);
        // The slots are free again.
        Assert.Equal(200, (await proxy.CallAsync()).Status);
    }

    [Theory]
    [InlineData("simple: ROUND_ROBIN, warmup: {duration: 100s, minimumPercent: 20}", 0, 0.2)]
    [InlineData("simple: ROUND_ROBIN, warmup: {duration: 100s, minimumPercent: 20}", 50, 0.5)]
    [InlineData("simple: ROUND_ROBIN, warmup: {duration: 100s, minimumPercent: 20}", 100, 1)]
    [InlineData("simple: LEAST_REQUEST, warmupDurationSecs: 100s", 5, 0.1)]
    [InlineData("simple: LEAST_REQUEST, warmup: {duration: 100s, aggression: 2}", 25, 0.5)]
    [InlineData("simple: ROUND_ROBIN", 0, 1)]
    public async Task A_new_host_gets_its_share_of_the_requests_slowly(string balancing, int seconds, double part)
    {
        var clock = new ManualClock();
        var seen = new Dictionary<int, int>();
        await using var old = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync("old"));
        using var proxy = new SidecarProxy(Rule($"loadBalancer: {{{balancing}}}"), [(old.Port, "")], clock);
        Assert.Empty(proxy.Reported);
        clock.Advance(TimeSpan.FromSeconds(1000));
        proxy.Apply(SidecarProxy.Entry([(old.Port, ""), (old.Port + 1, "")]));
        clock.Advance(TimeSpan.FromSeconds(seconds));
        var cluster = proxy.Plane.State.Current.Clusters["outbound|80||web.example"];
        for (var i = 0; i < 100_000; i++)
        {
            var port = ((IPEndPoint)cluster.Pick(null, null, null)!.Address).Port;
            seen[port] = seen.GetValueOrDefault(port) + 1;
        }
        Assert.InRange(seen[old.Port + 1] / (double)seen[old.Port], part * 0.9, part * 1.1);
    }

    /// <summary>Proxies know of hosts before these are ready.</summary>
    [Theory]
    [InlineData(0, 0.2)]
    [InlineData(50, 0.5)]
    public async Task A_host_that_becomes_ready_warms_up_as_a_new_one(int seconds, double part)
    {
        var clock = new ManualClock();
        await using var old = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync("old"));
        using var proxy = new SidecarProxy(Rule("loadBalancer: {simple: ROUND_ROBIN, warmup: {duration: 100s, minimumPercent: 20}}"),
            [(old.Port, ""), (old.Port + 1, "")], clock);
        var cluster = proxy.Plane.State.Current.Clusters["outbound|80||web.example"];
        var ready = cluster.Assignment;
        cluster.Update(ready with
        {
            Localities = ready.Localities.Select(locality => locality with
            {
                Endpoints = locality.Endpoints.Select(endpoint => ((IPEndPoint)endpoint.Address).Port == old.Port
                    ? endpoint
                    : endpoint with { Health = EndpointHealth.Unhealthy })
                    .ToValueList()
            })
                .ToValueList()
        });
        clock.Advance(TimeSpan.FromSeconds(1000));
        Assert.All(Enumerable.Range(0, 100), _ => Assert.Equal(old.Port, ((IPEndPoint)cluster.Pick(null, null, null)!.Address).Port));
        cluster.Update(ready);
        clock.Advance(TimeSpan.FromSeconds(seconds));
        var seen = Enumerable.Range(0, 100_000).CountBy(_ => ((IPEndPoint)cluster.Pick(null, null, null)!.Address).Port).ToDictionary();
        Assert.InRange(seen[old.Port + 1] / (double)seen[old.Port], part * 0.9, part * 1.1);
    }

    [Theory]
    [InlineData("connectionPool: {http: {h2UpgradePolicy: UPGRADE, http2KeepAlive: {interval: 30s, timeout: 5s}}}", "{}", 30, 5)]
    [InlineData("connectionPool: {http: {useClientProtocol: true, http2KeepAlive: {interval: 30s, timeout: 5s}}}", "{}", 30, 5)]
    [InlineData("connectionPool: {http: {http2KeepAlive: {interval: 30s, timeout: 5s}}}", "{}", 0, 0)]
    [InlineData("outlierDetection: {consecutive5xxErrors: 2}",
        "defaultTrafficPolicy: {connectionPool: {http: {h2UpgradePolicy: UPGRADE, http2KeepAlive: {interval: 20s, timeout: 4s}}}}", 20, 4)]
    [InlineData("connectionPool: {http: {h2UpgradePolicy: UPGRADE}}",
        "defaultTrafficPolicy: {connectionPool: {http: {http2KeepAlive: {interval: 20s, timeout: 4s}}}}", 0, 0)]
    public async Task Connections_of_HTTP_2_are_kept_as_the_rule_or_the_mesh_says(string policy, string settings, int interval, int timeout)
    {
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http2, context => context.Response.WriteAsync("a"));
        using var proxy = new SidecarProxy(Rule(policy), [(origin.Port, "")], settings: settings);
        Assert.Empty(proxy.Reported);
        var pings = proxy.Plane.State.Current.Clusters["outbound|80||web.example"].Config.Pings;
        Assert.Equal((interval, timeout), (pings?.Interval.TotalSeconds ?? 0, pings?.Timeout.TotalSeconds ?? 0));
    }

    [Fact]
    public async Task A_connection_takes_no_requests_beyond_its_age()
    {
        var clock = new ManualClock();
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync($"{context.Connection.RemotePort}"));
        using var proxy = new SidecarProxy(Rule("connectionPool: {tcp: {maxConnectionDuration: 60s}}"), [(origin.Port, "")], clock);
        Assert.Empty(proxy.Reported);
        var first = await proxy.CallAsync();
        await proxy.IdleAsync();
        Assert.Equal(first, await proxy.CallAsync());
        await proxy.IdleAsync();
        clock.Advance(TimeSpan.FromSeconds(61));
        Assert.NotEqual(first, await proxy.CallAsync());
    }

    [Theory]
    [InlineData("http: {h2UpgradePolicy: UPGRADE}", 4)]
    [InlineData("http: {h2UpgradePolicy: UPGRADE, maxConcurrentStreams: 2}", 2)]
    [InlineData("http: {h2UpgradePolicy: UPGRADE, maxConcurrentStreams: 1}", 1)]
    public async Task Requests_beyond_the_limit_of_streams_get_connections_that_stay(string pool, int most)
    {
        var (arrived, seen, together) = (new SemaphoreSlim(0), new ConcurrentDictionary<string, int>(), new ConcurrentBag<int>());
        var released = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http2, async context =>
        {
            together.Add(seen.AddOrUpdate(context.Connection.Id, 1, (_, count) => count + 1));
            arrived.Release();
            await released.Task;
            seen.AddOrUpdate(context.Connection.Id, 0, (_, count) => count - 1);
        });
        using var proxy = new SidecarProxy(Rule($"connectionPool: {{{pool}}}"), [(origin.Port, "")]);
        Assert.Empty(proxy.Reported);
        using var client = new HttpClient(new SocketsHttpHandler { UseProxy = false })
        {
            DefaultRequestVersion = HttpVersion.Version20, DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact,
            BaseAddress = new($"http://127.0.0.1:{proxy.Port}")
        };
        client.DefaultRequestHeaders.Host = "web.example";
        for (var round = 0; round < 6; round++)
        {
            var calls = Enumerable.Range(0, 4).Select(_ => client.GetStringAsync("/", Stop)).ToList();
            for (var i = 0; i < 4; i++) Assert.True(await arrived.WaitAsync(TimeSpan.FromSeconds(30), Stop));
            released.SetResult();
            await Task.WhenAll(calls);
            released = new(TaskCreationOptions.RunContinuationsAsynchronously);
            await proxy.IdleAsync();
        }
        Assert.Equal(most, together.Max());
        // Each event loop has its own.
        Assert.InRange(seen.Count, 4 / most, 4 / most * EventLoop.All.Count);
    }

    [Theory]
    [InlineData("connectionPool: {tcp: {idleTimeout: 20s}}", 20)]
    [InlineData("portLevelSettings: [{port: {number: 9000}, connectionPool: {tcp: {idleTimeout: 30s}}}]", 30)]
    [InlineData("connectionPool: {tcp: {maxConnections: 9}}", 3600)]
    [InlineData("connectionPool: {tcp: {idleTimeout: 0s}}", 0)]
    public async Task A_TCP_connection_without_bytes_ends_after_its_timeout(string policy, int seconds)
    {
        var clock = new ManualClock();
        using var server = new TcpListener(IPAddress.Loopback, 0);
        server.Start();
        using var proxy = new SidecarProxy(Rule(policy), [(((IPEndPoint)server.LocalEndpoint).Port, "")], clock);
        Assert.Empty(proxy.Reported);
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, proxy.TcpPort, Stop);
        await client.GetStream().WriteAsync("hello"u8.ToArray(), Stop);
        using var accepted = await server.AcceptTcpClientAsync(Stop);
        await accepted.GetStream().ReadExactlyAsync(new byte[5], Stop);
        clock.Advance(TimeSpan.FromSeconds((seconds > 0 ? seconds : 86400) - 2));
        await accepted.GetStream().WriteAsync("x"u8.ToArray(), Stop);
        Assert.Equal(1, await client.GetStream().ReadAsync(new byte[2], Stop));
        clock.Advance(TimeSpan.FromSeconds(2));
        await accepted.GetStream().WriteAsync("y"u8.ToArray(), Stop);
        Assert.Equal(1, await client.GetStream().ReadAsync(new byte[2], Stop));
        if (seconds == 0) return;
        clock.Advance(TimeSpan.FromSeconds(seconds + 2));
        await Assert.ThrowsAnyAsync<IOException>(async () => await client.GetStream().ReadExactlyAsync(new byte[1], Stop));
    }

    private static string Rule(string policy) => $$"""
        apiVersion: networking.istio.io/v1
        kind: DestinationRule
        metadata: {name: web, namespace: shop}
        spec: {host: web.example, trafficPolicy: { {{policy}} } }
        """;
}

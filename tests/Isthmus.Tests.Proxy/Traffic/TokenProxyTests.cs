using System.Collections.Concurrent;
using System.Text.Json.Nodes;
using Isthmus.Core.Tasks;
using Isthmus.Proxy.Clusters;
using Isthmus.Proxy.Own;
using Isthmus.Proxy.Policy;
using Isthmus.Proxy.Tokens;
using Isthmus.Proxy.Transports;
using Isthmus.Proxy.Upstreams;
using Isthmus.Rigs.Proxy;
using Isthmus.Testing;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Isthmus.Tests.Proxy.Traffic;

/// <summary>Tokens and policies that check them, with keys from another server.</summary>
public sealed class TokenProxyTests
{
    private const string Filters = """
        {"name": "envoy.filters.http.jwt_authn", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
          "providers": {"origins-0": {"issuer": "bank", "remote_jwks": {"http_uri": {"uri": "http://keys.bank:8080/all?of=them", "cluster": "keys", "timeout": "5s"} } } },
          "rules": [{"match": {"prefix": "/"}, "requires": {"requires_any": {"requirements": [{"provider_name": "origins-0"}, {"allow_missing": {} }] } } }] } },
        {"name": "istio_authn", "typed_config": {"@type": "type.googleapis.com/istio.envoy.config.filter.http.authn.v2alpha1.FilterConfig"} },
        {"name": "envoy.filters.http.rbac", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC", "rules": {"policies": {"tellers": {
          "permissions": [{"any": true}],
          "principals": [{"metadata": {"filter": "istio_authn", "path": [{"key": "request.auth.claims"}, {"key": "groups"}],
            "value": {"list_match": {"one_of": {"string_match": {"exact": "tellers"} } } } } }]} } } } },
        """;

    [Fact]
    public async Task A_token_opens_what_its_claims_allow_and_its_keys_are_fetched_once()
    {
        using var mint = new TokenMint();
        var asked = new List<string>();
        await using var keys = await OriginServer.StartAsync(HttpProtocols.Http1, context =>
        {
            lock (asked) asked.Add($"{context.Request.Host}{context.Request.Path}{context.Request.QueryString}");
            return context.Response.WriteAsync(mint.Keys);
        });
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync("money"));
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up"), LoopbackProxy.Cluster("keys")], """ "route": {"cluster": "up"} """, Filters);
        proxy.Endpoints("up", origin.Port);
        proxy.Endpoints("keys", keys.Port);

        Assert.Equal((403, "RBAC: access denied"), await AskAsync(proxy, null));
        Assert.Equal((200, "money"),
            await AskAsync(proxy, mint.Sign(new() { ["iss"] = "bank", ["sub"] = "ann", ["groups"] = new JsonArray("cleaners", "tellers") })));
        Assert.Equal((403, "RBAC: access denied"),
            await AskAsync(proxy, mint.Sign(new() { ["iss"] = "bank", ["sub"] = "bob", ["groups"] = new JsonArray("cleaners") })));
        using var thief = TokenMint.OfStranger();
        Assert.Equal((401, "Jwt verification fails"), await AskAsync(proxy, thief.Sign(new() { ["iss"] = "bank", ["sub"] = "ann", ["groups"] = "tellers" })));
        Assert.Equal(["keys.bank:8080/all?of=them"], asked);
        await Eventually.TrueAsync(() => proxy.LogText.Contains("401", StringComparison.Ordinal));
        Assert.Contains("GET 401 UAEX jwt_authn_access_denied{Jwt_verification_fails}", proxy.LogText);
    }

    [Fact]
    public async Task Keys_that_do_not_arrive_in_time_are_no_keys()
    {
        using var mint = new TokenMint();
        var over = new TaskCompletionSource();
        await using var keys = await OriginServer.StartAsync(HttpProtocols.Http1, _ => over.Task);
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync("money"));
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up"), LoopbackProxy.Cluster("keys")], """ "route": {"cluster": "up"} """,
            Filters.Replace("\"timeout\": \"5s\"", "\"timeout\": \"0.05s\"", StringComparison.Ordinal));
        proxy.Endpoints("up", origin.Port);
        proxy.Endpoints("keys", keys.Port);
        Assert.Equal(401, (await AskAsync(proxy, mint.Sign(new() { ["iss"] = "bank", ["sub"] = "ann", ["groups"] = "tellers" }))).Item1);
        Assert.False(over.Task.IsCompleted);
        over.SetResult();
    }

    /// <summary>The clock leaps between the calls: the fetch that runs, not the pause after it, must keep the others from one of their own.</summary>
    [Fact]
    public async Task Calls_while_keys_are_fetched_wait_for_the_same_answer()
    {
        using var mint = new TokenMint();
        var (asked, isAsked, answer) = (0, new TaskCompletionSource(), new TaskCompletionSource());
        await using var keys = await OriginServer.StartAsync(HttpProtocols.Http1, async context =>
        {
            Interlocked.Increment(ref asked);
            isAsked.TrySetResult();
            await answer.Task;
            await context.Response.WriteAsync(mint.Keys);
        });
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("keys")], """ "direct_response": {"status": 200} """);
        proxy.Endpoints("keys", keys.Port);
        var clock = new ManualClock();
        var background = new BackgroundTasks((_, e) => Assert.Fail(e.ToString()));
        var connector = new UpstreamConnector(new Dialer(new ProcessSockets(), new SilenceWatch(TimeProvider.System), TimeProvider.System),
            new NoInternals(), new NoSecrets(),
            background, TimeProvider.System);
        var upstreams = new HttpUpstreams(connector, background, TimeProvider.System, new ThreadRandom());
        var store = new KeyStore(new(proxy.Plane.State, new(upstreams, TimeProvider.System)), clock, NullLogger.Instance);
        var where = new RemoteKeys("http://keys.bank:8080/all", "keys", TimeSpan.FromMinutes(2), TimeSpan.FromMinutes(10));
        var first = store.GetAsync(where, again: false).AsTask();
        await isAsked.Task;
        clock.Advance(TimeSpan.FromMinutes(1));
        // Each has joined the fetch when its call returns.
        Task<JsonWebKeys?>[] others = [store.GetAsync(where, again: false).AsTask(), store.GetAsync(where, again: true).AsTask()];
        Assert.DoesNotContain(others, call => call.IsCompleted);
        answer.SetResult();
        var got = await first;
        Assert.NotNull(got);
        foreach (var other in others) Assert.Same(got, await other);
        Assert.Equal(1, Volatile.Read(ref asked));
    }

    /// <summary>A fetch that fails harms neither another one that runs at the same time nor calls that need no token.</summary>
    [Fact]
    public async Task Of_two_fetches_at_once_each_has_an_end_of_its_own()
    {
        using var mint = new TokenMint();
        var (both, asked) = (new TaskCompletionSource(), 0);
        await using var keys = await OriginServer.StartAsync(HttpProtocols.Http1, async context =>
        {
            if (Interlocked.Increment(ref asked) == 2) both.SetResult();
            await both.Task;
            if (context.Request.Path == "/post") context.Response.StatusCode = 500;
            else await context.Response.WriteAsync(mint.Keys);
        });
        const string filter = """
            {"name": "envoy.filters.http.jwt_authn", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
              "providers": {"bank": {"issuer": "bank", "remote_jwks": {"http_uri": {"uri": "http://keys/bank", "cluster": "keys", "timeout": "60s"} } },
                "post": {"issuer": "post", "remote_jwks": {"http_uri": {"uri": "http://keys/post", "cluster": "keys", "timeout": "60s"} } } },
              "rules": [{"match": {"prefix": "/"}, "requires": {"requires_any": {"requirements": [{"provider_name": "bank"}, {"provider_name": "post"},
                {"allow_missing": {} }] } } }] } },
            """;
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("keys")], """ "direct_response": {"status": 204} """, filter);
        proxy.Endpoints("keys", keys.Port);
        var calls = new[] { "bank", "post" }.Select(issuer => AskAsync(proxy, mint.Sign(new() { ["iss"] = issuer, ["sub"] = "ann" }))).ToArray();
        Assert.Equal(204, (await AskAsync(proxy, null)).Item1);
        Assert.Equal([204, 401], (await Task.WhenAll(calls)).Select(answer => answer.Item1));
        Assert.Equal(2, asked);
    }

    /// <summary>Only this proxy fetches keys of an issuer in the mesh: nobody else can say what is wrong with them.</summary>
    [Theory]
    [InlineData("""{"keys": [], "keys": []}""", 200, "the answer is no set of keys: no JSON: ")]
    [InlineData("""["keys"]""", 200, "the answer is no set of keys: no object with a list keys; ")]
    [InlineData("", 404, "the answer has the status 404; ")]
    public async Task Keys_that_cannot_be_used_are_named_once(string body, int status, string reason)
    {
        using var mint = new TokenMint();
        var asked = 0;
        await using var keys = await OriginServer.StartAsync(HttpProtocols.Http1, context =>
        {
            Interlocked.Increment(ref asked);
            context.Response.StatusCode = status;
            return context.Response.WriteAsync(body);
        });
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync("money"));
        using var messages = new Recorder();
        var clock = new ManualClock();
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up"), LoopbackProxy.Cluster("keys")], """ "route": {"cluster": "up"} """, Filters,
            time: clock, messages: messages);
        proxy.Endpoints("up", origin.Port);
        proxy.Endpoints("keys", keys.Port);
        for (var calls = 0; calls < 3; calls++)
        {
            Assert.Equal(401, (await AskAsync(proxy, mint.Sign(new() { ["iss"] = "bank", ["sub"] = "ann", ["groups"] = "tellers" }))).Item1);
            clock.Advance(TimeSpan.FromSeconds(6));
        }
        Assert.Equal(3, asked);
        var line = Assert.Single(messages.Lines, line => line.StartsWith("No keys", StringComparison.Ordinal));
        Assert.StartsWith($"No keys of http://keys.bank:8080/all?of=them: {reason}", line, StringComparison.Ordinal);
        Assert.EndsWith("tokens of the issuers whose keys are there are refused", line, StringComparison.Ordinal);
    }

    private static async Task<(int, string)> AskAsync(LoopbackProxy proxy, string? token)
    {
        using var client = new HttpClient();
        using var request = new HttpRequestMessage(HttpMethod.Get, $"http://127.0.0.1:{proxy.Port}/safe");
        if (token is not null) request.Headers.Authorization = new("Bearer", token);
        using var response = await client.SendAsync(request, TestContext.Current.CancellationToken);
        if ((int)response.StatusCode == 401) Assert.Contains("realm=", response.Headers.WwwAuthenticate.ToString());
        return ((int)response.StatusCode, await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }

    private sealed class Recorder : ILoggerFactory, ILogger
    {
        internal ConcurrentQueue<string> Lines { get; } = [];

        public ILogger CreateLogger(string categoryName) => this;

        public void AddProvider(ILoggerProvider provider) => throw new NotSupportedException();

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception,
            Func<TState, Exception?, string> formatter) => Lines.Enqueue(formatter(state, exception));

        public void Dispose()
        {
        }
    }
}

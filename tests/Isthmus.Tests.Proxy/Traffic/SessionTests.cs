using System.Collections.Concurrent;
using System.Text;
using Isthmus.Rigs.Proxy;
using Isthmus.Testing;
using Isthmus.Tests.Proxy.Envoys;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;

namespace Isthmus.Tests.Proxy.Traffic;

/// <summary>Requests that belong to a host, by a session or a hash.</summary>
public sealed class SessionTests : IAsyncDisposable
{
    private const string Types = "type.googleapis.com/envoy.extensions.";

    private const string Header = $$"""{"@type": "{{Types}}http.stateful_session.header.v3.HeaderBasedSessionState", "name": "x-host"}""";

    /// <summary>The path that clients ask for is the one that counts.</summary>
    private const string Rewritten = """ , "prefix_rewrite": "/x/" """;

    private readonly List<OriginServer> _servers = [];

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public async ValueTask DisposeAsync()
    {
        foreach (var server in _servers) await server.DisposeAsync();
    }

    /// <summary>Each server closes its connections when a second request comes.</summary>
    [Theory]
    [InlineData("session")]
    [InlineData("strict session")]
    [InlineData("hash")]
    public async Task A_kept_connection_that_closes_does_not_send_a_request_to_another_host(string kind)
    {
        var seen = new ConcurrentDictionary<string, bool>();
        var ports = await ServersAsync((context, name) =>
        {
            if (seen.TryAdd(context.Connection.Id, true)) return context.Response.WriteAsync(name);
            context.Abort();
            return Task.CompletedTask;
        });
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up", more: kind == "hash" ? ", \"lb_policy\": \"RING_HASH\"" : "")],
            $$""" "route": {"cluster": "up" {{(kind == "hash" ? """, "hash_policy": [{"header": {"header_name": "x-host"} }]""" : "")}} } """,
            kind == "hash" ? "" : Filter(Header, isStrict: kind == "strict session"));
        proxy.Endpoints("up", ports);
        var first = await CallAsync(proxy.Port, "x-host", Named(ports[1]));
        if (kind != "hash") Assert.Equal($"{ports[1]}", first.Body);
        for (var i = 0; i < 8; i++) Assert.Equal((200, first.Body, ""), await CallAsync(proxy.Port, "x-host", Named(ports[1])));
        Assert.True(proxy.Plane.State.Current.Clusters["up"].Counters.Retries >= 4);
    }

    [Theory]
    [InlineData(true, 503)]
    [InlineData(false, 200)]
    public async Task A_retry_does_not_leave_the_host_of_a_strict_session(bool isStrict, int status)
    {
        var broken = 0;
        var asked = 0;
        var ports = await ServersAsync((context, name) =>
        {
            if (context.Connection.LocalPort != Volatile.Read(ref broken)) return context.Response.WriteAsync(name);
            Interlocked.Increment(ref asked);
            context.Response.StatusCode = 503;
            return Task.CompletedTask;
        });
        broken = ports[0];
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up")], """
            "route": {"cluster": "up", "retry_policy": {"retry_on": "5xx", "num_retries": 2, "retry_back_off": {"base_interval": "0.001s"},
              "retry_host_predicate": [{"name": "envoy.retry_host_predicates.previous_hosts",
                "typed_config": {"@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"} }],
              "host_selection_retry_max_attempts": 5} }
            """, Filter(Header, isStrict));
        proxy.Endpoints("up", ports);
        Assert.Equal(status, (await CallAsync(proxy.Port, "x-host", Named(ports[0]))).Status);
        Assert.Equal(isStrict ? 3 : 1, asked);
    }

    /// <summary>What one of the two has given to a client, the other one follows, and takes for its own.</summary>
    [Theory]
    [InlineData("", "cookie")]
    [InlineData(""" , "ttl": "3600s", "path": "/app" """, "cookie")]
    [InlineData("", "x-host")]
    public async Task Sessions_of_a_real_Envoy_and_ours_are_the_same(string cookie, string field)
    {
        var program = RealEnvoy.Find();
        Assert.SkipWhen(program is null, RealEnvoy.Missing);
        var ports = await ServersAsync((context, name) => context.Response.WriteAsync(name));
        var filter = Filter(field == "x-host" ? Header
            : $$"""{"@type": "{{Types}}http.stateful_session.cookie.v3.CookieBasedSessionState", "cookie": {"name": "kept" {{cookie}} } }""");
        var setting = new ProxySetting("up", Filters: filter, Action: Rewritten);
        var hosts = string.Join(", ", ports.Select(port =>
            $$"""{"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": {{port}} } } } }"""));
        var cluster = $$"""
            {"name": "up", "type": "STATIC", "load_assignment": {"cluster_name": "up", "endpoints": [{"lb_endpoints": [{{hosts}}] }] } }
            """;
        using var envoy = new StaticEnvoy(program!, [setting.ListenerJson(0)], [cluster]);
        using var proxy = new LoopbackProxy([cluster], $$""" "route": {"cluster": "up" {{Rewritten}} } """, filter);
        var (ours, theirs) = (proxy.Port, (await envoy.PortsAsync(Stop))["up"]);
        foreach (var (giver, taker) in ((int, int)[])[(ours, theirs), (theirs, ours)])
        {
            var seen = new HashSet<string>();
            await Eventually.TrueAsync(async () =>
            {
                var (_, host, told) = await CallAsync(giver, "", "", answer: field == "cookie" ? "set-cookie" : field);
                // Ours tells a header with each answer, Envoy only one that is new.
                for (var i = 0; i < 4; i++) Assert.Equal((200, host, ""), await CallAsync(taker, field, told.Split(';')[0], answer: "set-cookie"));
                return seen.Add(host) && seen.Count == ports.Length;
            });
        }
    }

    private static string Named(int port) => Convert.ToBase64String(Encoding.ASCII.GetBytes($"127.0.0.1:{port}"));

    private static string Filter(string state, bool isStrict = false) => $$"""
        {"name": "sessions", "typed_config": {"@type": "{{Types}}filters.http.stateful_session.v3.StatefulSession", "strict": {{(isStrict ? "true" : "false")}},
          "session_state": {"name": "envoy.http.stateful_session.{{(state == Header ? "header" : "cookie")}}", "typed_config": {{state}} } } },
        """;

    /// <summary>Three servers; each has its port as its name.</summary>
    private async Task<int[]> ServersAsync(Func<HttpContext, string, Task> answer)
    {
        for (var i = 0; i < 3; i++)
            _servers.Add(await OriginServer.StartAsync(HttpProtocols.Http1, context => answer(context, $"{context.Connection.LocalPort}")));
        return [.. _servers.Select(server => server.Port)];
    }

    private static async Task<(int Status, string Body, string Told)> CallAsync(int port, string field, string value, string answer = "none")
    {
        using var client = new HttpClient(new SocketsHttpHandler { UseCookies = false });
        using var request = new HttpRequestMessage(HttpMethod.Get, $"http://127.0.0.1:{port}/app");
        if (field.Length > 0) request.Headers.Add(field, value);
        using var response = await client.SendAsync(request, Stop);
        return ((int)response.StatusCode, await response.Content.ReadAsStringAsync(Stop),
            response.Headers.TryGetValues(answer, out var values) ? values.Single() : "");
    }
}

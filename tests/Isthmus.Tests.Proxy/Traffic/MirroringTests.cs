using System.Collections.Concurrent;
using Isthmus.Rigs.Proxy;
using Isthmus.Testing;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;

namespace Isthmus.Tests.Proxy.Traffic;

/// <summary>Copies of requests for other clusters, whose answers nobody waits for.</summary>
public sealed class MirroringTests
{
    private const string Get = "GET /page HTTP/1.1\r\nhost: web.example:8080\r\nconnection: close\r\n\r\n";

    private readonly ConcurrentQueue<(string Mirror, string Host, string Path, string Body)> _copies = [];

    private static string[] Clusters => [LoopbackProxy.Cluster("up"), LoopbackProxy.Cluster("one"), LoopbackProxy.Cluster("two")];

    [Fact]
    public async Task Each_mirror_gets_the_request_with_its_body_and_a_host_that_tells_it_from_the_original()
    {
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, OriginServer.EchoAsync);
        await using var one = await MirrorAsync("one");
        await using var two = await MirrorAsync("two");
        using var proxy = Proxy(""" {"cluster": "one"}, {"cluster": "two"} """, origin.Port);
        proxy.Endpoints("one", one.Port);
        proxy.Endpoints("two", two.Port);
        var answer = await proxy.RawAsync("POST /page HTTP/1.1\r\nhost: web.example:8080\r\ncontent-length: 4\r\nconnection: close\r\n\r\nbody");
        Assert.StartsWith("HTTP/1.1 200 ", answer);
        Assert.Contains("body", answer, StringComparison.Ordinal);
        await Eventually.TrueAsync(() => _copies.Count == 2);
        Assert.Equal([("one", "web.example-shadow:8080", "/page", "body"), ("two", "web.example-shadow:8080", "/page", "body")], _copies.Order());
    }

    [Fact]
    public async Task A_request_whose_body_is_passed_on_as_it_arrives_has_no_copy()
    {
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Request.Body.CopyToAsync(Stream.Null));
        await using var one = await MirrorAsync("one");
        using var proxy = Proxy(""" {"cluster": "one"} """, origin.Port);
        proxy.Endpoints("one", one.Port);
        const int length = 4 << 20;
        var answer = await proxy.RawAsync(
            $"POST /long HTTP/1.1\r\nhost: web.example\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{new string('x', length)}");
        Assert.StartsWith("HTTP/1.1 200 ", answer);
        Assert.StartsWith("HTTP/1.1 200 ", await proxy.RawAsync(Get));
        await Eventually.TrueAsync(() => !_copies.IsEmpty);
        Assert.Equal("/page", Assert.Single(_copies).Path);
    }

    [Theory]
    [InlineData("unknown")]
    [InlineData("one")] // has no endpoints
    [InlineData("two")] // nobody listens there
    public async Task A_mirror_that_cannot_be_reached_changes_nothing_for_the_client(string mirror)
    {
        using var closed = new ReservedPort();
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync("ok"));
        using var proxy = Proxy($$""" {"cluster": "{{mirror}}"} """, origin.Port);
        proxy.Endpoints("two", closed.Number);
        Assert.Contains("ok", await proxy.RawAsync(Get), StringComparison.Ordinal);
        Assert.Equal("GET 200 - via_upstream\n", await proxy.LoggedAsync());
        if (mirror == "two") await Eventually.TrueAsync(() => proxy.Plane.State.Current.Clusters["two"].AllHosts.Single().Counters.Errors == 1);
    }

    [Fact]
    public async Task A_request_that_is_sent_again_has_one_copy()
    {
        var tries = 0;
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, context =>
        {
            context.Response.StatusCode = Interlocked.Increment(ref tries) < 3 ? 503 : 200;
            return Task.CompletedTask;
        });
        await using var one = await MirrorAsync("one");
        using var proxy = Proxy(""" {"cluster": "one"} """, origin.Port, """
            , "retry_policy": {"retry_on": "5xx", "num_retries": 5, "retry_back_off": {"base_interval": "0.001s", "max_interval": "0.001s"} }
            """);
        proxy.Endpoints("one", one.Port);
        Assert.StartsWith("HTTP/1.1 200 ", await proxy.RawAsync(Get));
        Assert.Equal(3, tries);
        // A second request, whose copy comes after those of the first.
        Assert.StartsWith("HTTP/1.1 200 ", await proxy.RawAsync(Get.Replace("/page", "/last", StringComparison.Ordinal)));
        await Eventually.TrueAsync(() => _copies.Count >= 2 && _copies.Any(copy => copy.Path == "/last"));
        Assert.Equal(["/last", "/page"], _copies.Select(copy => copy.Path).Order());
    }

    [Theory]
    [InlineData(0, 0)]
    [InlineData(1_000_000, 20)]
    public async Task The_part_that_is_asked_for_is_copied(int millionths, int copies)
    {
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync("ok"));
        await using var one = await MirrorAsync("one");
        await using var two = await MirrorAsync("two");
        using var proxy = Proxy($$"""
            {"cluster": "one", "runtime_fraction": {"default_value": {"numerator": {{millionths}}, "denominator": "MILLION"} } }, {"cluster": "two"}
            """, origin.Port);
        proxy.Endpoints("one", one.Port);
        proxy.Endpoints("two", two.Port);
        for (var i = 0; i < 20; i++) Assert.StartsWith("HTTP/1.1 200 ", await proxy.RawAsync(Get));
        await Eventually.TrueAsync(() => _copies.Count == 20 + copies);
        Assert.Equal(copies, _copies.Count(copy => copy.Mirror == "one"));
    }

    [Fact]
    public async Task A_refused_request_has_no_copy()
    {
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync("ok"));
        await using var one = await MirrorAsync("one");
        using var proxy = Proxy(""" {"cluster": "one"} """, origin.Port, filters: """
            {"name": "envoy.filters.http.rbac", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
              "rules": {"action": "DENY",
                "policies": {"closed": {"permissions": [{"url_path": {"path": {"exact": "/closed"} } }], "principals": [{"any": true}] } } } } },
            """);
        proxy.Endpoints("one", one.Port);
        Assert.StartsWith("HTTP/1.1 403 ", await proxy.RawAsync(Get.Replace("/page", "/closed", StringComparison.Ordinal)));
        Assert.StartsWith("HTTP/1.1 200 ", await proxy.RawAsync(Get));
        await Eventually.TrueAsync(() => !_copies.IsEmpty);
        Assert.Equal("/page", Assert.Single(_copies).Path);
    }

    private Task<OriginServer> MirrorAsync(string name) => OriginServer.StartAsync(HttpProtocols.Http1, async context =>
    {
        using var reader = new StreamReader(context.Request.Body);
        _copies.Enqueue((name, $"{context.Request.Host}", context.Request.Path, await reader.ReadToEndAsync(context.RequestAborted)));
        context.Response.StatusCode = 500;
    });

    private static LoopbackProxy Proxy(string mirrors, int origin, string more = "", string filters = "")
    {
        var proxy = new LoopbackProxy(Clusters, $$""" "route": {"cluster": "up", "request_mirror_policies": [{{mirrors}}]{{more}} } """, filters);
        // The listener opens once the endpoints of all clusters are known.
        proxy.Endpoints("up", origin);
        proxy.Endpoints("one");
        proxy.Endpoints("two");
        return proxy;
    }
}

using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Text;
using Isthmus.ControlPlane.Push;
using Isthmus.ControlPlane.Resolve;
using Isthmus.Graph.Settings;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;
using Isthmus.Rigs.Mesh;
using Isthmus.Testing;
using Isthmus.Wire.Envoy.HttpFilters;
using Isthmus.Wire.Envoy.NetworkFilters;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Security;

public sealed class IssuerKeysTests
{
    private const string First = """{"keys": [{"kty": "oct", "k": "Zmlyc3Qgc2VjcmV0IGZpcnN0IHNlY3JldA"}]}""";

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    [Theory]
    [InlineData("issuer: 'http://127.0.0.1:PORT/realm/'")]
    [InlineData("issuer: bank, jwksUri: 'http://127.0.0.1:PORT/keys'")]
    public async Task Keys_are_fetched_from_where_the_rule_or_the_issuer_says_and_stay_while_it_is_away(string rule)
    {
        using var stop = new CancellationTokenSource(Patience);
        var (keys, isAway, refused) = (First, false, 0);
        await using var issuer = await OriginServer.StartAsync(HttpProtocols.Http1, context =>
        {
            if (Volatile.Read(ref isAway))
            {
                context.Response.StatusCode = 503;
                Interlocked.Increment(ref refused);
            }
            // JSON is UTF-8, whatever a server says of it.
            context.Response.ContentType = "application/json; charset=of-nowhere";
            return context.Response.WriteAsync((string?)context.Request.Path switch
            {
                "/realm/.well-known/openid-configuration" => $$"""{"issuer": "x", "jwks_uri": "http://{{context.Request.Host}}/keys"}""",
                "/keys" => Volatile.Read(ref keys),
                _ => "nothing here",
            });
        });
        var rig = new MeshRig("c1");
        rig.App("c1", "orders", "10.96.0.10", "10.244.0.1");
        rig.Config(Tokens(rule.Replace("PORT", $"{issuer.Port}", StringComparison.Ordinal)));
        var orders = rig.Sidecar("c1", "orders-10.244.0.1", "10.244.0.1");
        rig.Push();
        Assert.Empty(rig.Mesh.Sources.Problems.Items);
        Assert.Equal(TokenChecks.NoKeys, Keys(orders));

        var engine = new PushEngine(rig.Writer, PushSettings.Default, TimeProvider.System, NullLogger<PushEngine>.Instance);
        using var client = new KeyClient(_ => true);
        var clock = new LeapingClock();
        var fetching = new IssuerKeys(engine, client, clock, NullLogger<IssuerKeys>.Instance);
        var running = Task.WhenAll(engine.RunAsync(stop.Token), fetching.RunAsync(stop.Token));
        await fetching.SettleAsync(stop.Token);
        await UntilAsync(keys);

        // They are fetched again when they are old, and those that were fetched stay while the issuer is away.
        Volatile.Write(ref isAway, true);
        clock.Leap(TimeSpan.FromMinutes(21));
        // The second attempt begins after the first has failed.
        await Eventually.TrueAsync(() => Volatile.Read(ref refused) >= 2);
        Assert.Equal(1, Counted("success"));
        Assert.InRange(Counted("fail"), 1, Volatile.Read(ref refused));
        // Status, verify and analyze say which policy it is, and that tokens are still taken.
        await Eventually.TrueAsync(() => fetching.Failures.Count > 0);
        var problem = Assert.Single(KeyFailure.Problems(rig.Mesh.Sources.RequestAuthentications.Items.Values, fetching.Failures));
        Assert.Equal(("ISM1466", Severity.Warning, rule.Contains("jwksUri", StringComparison.Ordinal) ? "spec.jwtRules[0].jwksUri" : "spec.jwtRules[0].issuer"),
            (problem.Code, problem.Severity, problem.Path));
        Assert.Contains("answers with status 503; the last ones stay in use", problem.Message, StringComparison.Ordinal);
        Assert.StartsWith("RequestAuthentication ", problem.Object, StringComparison.Ordinal);
        Assert.Equal(Severity.Error,
            KeyFailure.Problems(rig.Mesh.Sources.RequestAuthentications.Items.Values,
                fetching.Failures.ToDictionary(pair => pair.Key, pair => pair.Value with { HasKeys = false }))
                .Single().Severity);
        await UntilAsync(First);
        Volatile.Write(ref keys, """{"keys": [{"kty": "oct", "k": "c2VjcmV0IHNlY3JldCBzZWNyZXQ"}]}""");
        // Time first: keys that were fetched before it would be old at once.
        clock.Leap(TimeSpan.FromMinutes(21));
        Volatile.Write(ref isAway, false);
        await UntilAsync(Volatile.Read(ref keys));
        await Eventually.TrueAsync(() => fetching.Failures.Count == 0);
        Assert.Equal(2, Counted("success"));

        await engine.PostAsync(writer => rig.Writer.RemoveConfig("c1", "RequestAuthentication", MeshRig.Namespace, "bank"), stop.Token);
        await Eventually.TrueAsync(async () => await engine.AskAsync(writer => writer.Mesh.Sources.IssuerKeys.Items.IsEmpty, stop.Token));
        await stop.CancelAsync();
        await running;

        long Counted(string result)
        {
            var (text, name) = (new StringBuilder(), $"pilot_jwks_resolver_network_fetch_{result}_total ");
            engine.Metrics.Write(text);
            return long.Parse(text.ToString().Split('\n').Single(line => line.StartsWith(name, StringComparison.Ordinal))[name.Length..],
                CultureInfo.InvariantCulture);
        }

        async Task UntilAsync(string wanted)
        {
            await Eventually.TrueAsync(async () =>
                (await engine.AskAsync(writer => writer.Mesh.View(), stop.Token)).Security.Keys.Values.Any(set => set.Jwks == wanted));
            await engine.PostAsync(writer => rig.Publisher.PublishAll(writer.Mesh.View(), new() { Settings = true }), stop.Token);
            await Eventually.TrueAsync(() => Keys(orders) == wanted);
        }
    }

    /// <summary>What is broken is said once, by the name of the issuer, and asked for again with growing delays.</summary>
    [Theory]
    [InlineData("""{"jwks_uri": "http://HOST/keys", "jwks_uri": "http://HOST/keys"}""", """{"keys": []}""",
        "/realm/.well-known/openid-configuration is not JSON: Duplicate")]
    [InlineData("""{"jwks_uri": "a\u001b[2J"}""", """{"keys": []}""", "the jwks_uri 'a\\x1b[2J' is not")]
    [InlineData("""{"jwks_uri": "http://HOST/keys"}""", """{"keys": [], "keys": []}""", "/keys is not JSON: Duplicate")]
    [InlineData("""{"jwks_uri": "http://HOST/keys"}""", """{"keys": [{"kid": "a", "kid": "b"}]}""", "/keys is not JSON: Duplicate")]
    [InlineData("""{"jwks_uri": "http://HOST/keys"}""", """{"keys": ["\ud800"]}""", "/keys is not JSON: the text at byte 10 contains half of a surrogate pair")]
    [InlineData("""{"jwks_uri": "http://HOST/keys"}""", "[]", "/keys is not a JSON object with a list")]
    public async Task A_document_that_two_readers_understand_differently_is_none(string discovery, string keys, string why)
    {
        using var stop = new CancellationTokenSource(Patience);
        var asked = 0;
        await using var issuer = await OriginServer.StartAsync(HttpProtocols.Http1, context =>
        {
            Interlocked.Increment(ref asked);
            return context.Response.WriteAsync((context.Request.Path == "/keys" ? keys : discovery)
                .Replace("HOST", $"{context.Request.Host}", StringComparison.Ordinal));
        });
        var rig = new MeshRig("c1");
        rig.App("c1", "orders", "10.96.0.10", "10.244.0.1");
        rig.Config(Tokens($"issuer: 'http://127.0.0.1:{issuer.Port}/realm/'"));
        rig.Push();
        var engine = new PushEngine(rig.Writer, PushSettings.Default, TimeProvider.System, NullLogger<PushEngine>.Instance);
        using var client = new KeyClient(_ => true);
        var (clock, log) = (new LeapingClock(), new Lines());
        var fetching = new IssuerKeys(engine, client, clock, log);
        var running = Task.WhenAll(engine.RunAsync(stop.Token), fetching.RunAsync(stop.Token));
        await fetching.SettleAsync(stop.Token);
        var first = Volatile.Read(ref asked);
        clock.Leap(TimeSpan.FromSeconds(5));
        await Eventually.TrueAsync(() => Volatile.Read(ref asked) >= 2 * first);
        await stop.CancelAsync();
        await running;
        var line = Assert.Single(log);
        Assert.Contains(why, line, StringComparison.Ordinal);
        Assert.Contains($"issuer http://127.0.0.1:{issuer.Port}/realm/", line, StringComparison.Ordinal);
        Assert.True(Visible.IsWhole(line));
    }

    [Fact]
    public void Proxies_fetch_the_keys_that_a_host_of_the_mesh_serves()
    {
        var rig = new MeshRig("c1");
        rig.App("c1", "keys", "10.96.0.20", "10.244.0.2");
        rig.Config(
            Tokens(
                "issuer: a, jwksUri: 'http://keys:80/all'}, {issuer: b, jwksUri: 'https://keys.example/all'}, {issuer: c, jwks: '{\"keys\": []}'}, {issuer: "
                    + "not a place"));
        rig.Push();
        Assert.Equal([new KeyPlace("b", "https://keys.example/all", TokenRule.DefaultTimeout)], rig.Mesh.KeyPlaces);
    }

    [Fact]
    public async Task Servers_of_the_machine_itself_and_redirections_are_not_called()
    {
        var stop = TestContext.Current.CancellationToken;
        await using var server = await OriginServer.StartAsync(HttpProtocols.Http1, context =>
        {
            context.Response.Redirect("http://169.254.169.254/");
            return Task.CompletedTask;
        });
        using var strict = new KeyClient(DiscoverySettings.Read([],
            name => name == "BLOCKED_CIDRS_IN_JWKS_URIS" ? "192.0.2.0/24, 2001:db8::/32" : null).BlockedKeyRanges);
        string[] hosts = ["localhost", "127.0.0.1", "2130706433", "0x7f.1", "169.254.169.254", "192.0.2.7", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:192.0.2.7]",
            "[::127.0.0.1]",
            "[64:ff9b::a9fe:a9fe]", "[fe80::1]", "[fe80::1%251]", "[2001:db8::7]"];
        foreach (var host in hosts)
        {
            var refused = await Assert.ThrowsAsync<HttpRequestException>(() => strict.GetAsync(new($"http://{host}:{server.Port}/"), Patience, stop));
            Assert.Contains("is on the loopback interface, has a link-local address, or one in BLOCKED_CIDRS_IN_JWKS_URIS", refused.Message,
                StringComparison.Ordinal);
        }
        using var any = new KeyClient(_ => true);
        var moved = await Assert.ThrowsAsync<HttpRequestException>(() => any.GetAsync(new($"http://127.0.0.1:{server.Port}/"), Patience, stop));
        Assert.Contains("answers with status 302", moved.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("10.0.0.0/33")]
    [InlineData("10.0.0.0/8;192.0.2.0/24")]
    [InlineData("10.0.0.0/8,internal.example")]
    public void A_range_that_cannot_be_read_is_not_left_out(string ranges)
    {
        var error = Assert.Throws<ProblemException>(() => DiscoverySettings.Read([], name => name == "BLOCKED_CIDRS_IN_JWKS_URIS" ? ranges : null));
        Assert.Contains("BLOCKED_CIDRS_IN_JWKS_URIS", error.Message, StringComparison.Ordinal);
    }

    /// <summary>An issuer that is away when the control plane starts opens nothing, and holds nobody up: its tokens are refused until its keys are
    /// there.</summary>
    [Fact]
    public async Task An_issuer_that_is_away_at_the_start_has_no_keys_and_gets_them_later()
    {
        using var stop = new CancellationTokenSource(Patience);
        var isAway = true;
        await using var issuer = await OriginServer.StartAsync(HttpProtocols.Http1, context =>
        {
            if (!Volatile.Read(ref isAway)) return context.Response.WriteAsync("{\"keys\": [{\"kty\": \"RSA\", \"kid\": \"real\"}]}");
            context.Abort();
            return Task.CompletedTask;
        });
        var rig = new MeshRig("c1");
        rig.App("c1", "orders", "10.96.0.10", "10.244.0.1");
        rig.Config(Tokens($"issuer: bank, jwksUri: 'http://127.0.0.1:{issuer.Port}/keys'"));
        var orders = rig.Sidecar("c1", "orders-10.244.0.1", "10.244.0.1");
        rig.Push();
        var engine = new PushEngine(rig.Writer, PushSettings.Default, TimeProvider.System, NullLogger<PushEngine>.Instance);
        using var client = new KeyClient(_ => true);
        var clock = new LeapingClock();
        var fetching = new IssuerKeys(engine, client, clock, NullLogger<IssuerKeys>.Instance);
        var running = Task.WhenAll(engine.RunAsync(stop.Token), fetching.RunAsync(stop.Token));
        await fetching.SettleAsync(stop.Token);
        // There is a filter, and it knows no key that anybody has.
        Assert.Equal(TokenChecks.NoKeys, await KeysNowAsync());
        Volatile.Write(ref isAway, false);
        await Eventually.TrueAsync(async () =>
        {
            clock.Leap(TimeSpan.FromMinutes(2));
            return (await KeysNowAsync()).Contains("real", StringComparison.Ordinal);
        });
        await stop.CancelAsync();
        await running;

        async Task<string> KeysNowAsync()
        {
            await engine.PostAsync(writer => rig.Publisher.PublishAll(writer.Mesh.View(), new() { Settings = true }), stop.Token);
            await engine.AskAsync(_ => 0, stop.Token);
            return Keys(orders);
        }
    }

    private static string Tokens(string rules) => $$"""
        apiVersion: security.istio.io/v1
        kind: RequestAuthentication
        metadata: {name: bank, namespace: shop}
        spec: {jwtRules: [{ {{rules}} }]}
        """;

    private static string Keys(ProxyFeed proxy) =>
        MeshRig.Listener(proxy, "virtualInbound")!.FilterChains.First(chain => chain.FilterChainMatch.DestinationPort == 8080)
        .Filters[^1].TypedConfig.Unpack<HttpConnectionManager>().HttpFilters[0].TypedConfig.Unpack<JwtAuthentication>()
        .Providers.Values.Single().LocalJwks.InlineString;

    private sealed class Lines : ConcurrentQueue<string>, ILogger<IssuerKeys>
    {
        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception,
            Func<TState, Exception?, string> formatter) => Enqueue(formatter(state, exception));
    }
}

using System.Collections.Concurrent;
using System.Text.Json.Nodes;
using Isthmus.ControlPlane.PastChanges;
using Isthmus.Core.Collections;
using Isthmus.Graph.History;
using Isthmus.Graph.Settings;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;
using Isthmus.Reports;
using Isthmus.Rigs.Mesh;
using Isthmus.Rigs.Servers;
using Isthmus.Testing;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;
using EndpointAddress = Isthmus.Mesh.Model.EndpointAddress;

namespace Isthmus.Tests.ControlPlane.History;

/// <summary>What a control plane leaves to the one after it.</summary>
public sealed class HistoryStoreTests : IAsyncLifetime
{
    private readonly LoopbackCluster _cluster = new();
    private KubeClient _client = null!;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _client = await _cluster.StartAsync();
        await _client.CreateAsync(Kinds.Namespace,
            new JsonObject { ["apiVersion"] = "v1", ["kind"] = "Namespace", ["metadata"] = new JsonObject { ["name"] = "istio-system" } }, Stop);
    }

    public ValueTask DisposeAsync() => _cluster.DisposeAsync();

    [Fact]
    public async Task A_control_plane_knows_what_the_one_before_it_saw()
    {
        var first = Started();
        first.Note(Change("rule"));
        first.NoteEndpoints("orders", One);
        await WhileKeptAsync(first, "istiod-1", () => Task.FromResult(true));
        var second = Started();
        await WhileKeptAsync(second, "istiod-2", () => Task.FromResult(second.KeptSince is not null));
        Assert.Equal(first.Since!.Value, second.KeptSince!.Value, TimeSpan.FromMilliseconds(1));
        second.Note(Change("later"));
        var known = second.After(DateTimeOffset.MinValue);
        Assert.Equal([("rule", "istiod-1"), ("orders", "istiod-1"), ("later", "")], known.Select(change => (change.Change.Source.Name, change.Istiod)));
        Assert.Equal((first.After(default)[0].Change with { Write = null }, "kubectl"),
            (known[0].Change with { Write = null }, known[0].Change.Write!.Manager));
        Assert.Equal(first.After(default)[1].Endpoints, known[1].Endpoints);
        // The third has what both saw.
        var third = Started();
        await WhileKeptAsync(second, "istiod-2", () => Task.FromResult(true));
        await WhileKeptAsync(third, "istiod-3", () => Task.FromResult(third.KeptSince is not null));
        Assert.Contains(("later", "istiod-2"), third.After(DateTimeOffset.MinValue).Select(change => (change.Change.Source.Name, change.Istiod)));
    }

    [Fact]
    public async Task Who_deleted_and_who_scaled_is_known_after_a_restart()
    {
        var first = Started();
        first.Deletions.Add(new("c1", "VirtualService", "shop", "rule"), new("alice", true));
        first.Note(Change("rule") with { Verb = ChangeVerb.Deleted, Write = null, User = Writer.Unknown });
        first.NoteWorkload(new(new("c1", "Deployment", "shop", "cart"), ChangeVerb.Changed,
            Reach.OfWorkloads("shop", new Dictionary<string, string> { ["app"] = "cart" }.ToValueMap())) { User = new("bob", false), Scaling = new(3, 0) });
        await WhileKeptAsync(first, "istiod-1", () => Task.FromResult(true));
        var second = Started();
        await WhileKeptAsync(second, "istiod-2", () => Task.FromResult(second.KeptSince is not null));
        Assert.Equal(first.After(DateTimeOffset.MinValue).Select(change => change.Change),
            second.After(DateTimeOffset.MinValue).Select(change => change.Change));
        Assert.Equal([("rule", "alice", null), ("cart", "bob", new Scaling(3, 0))],
            second.After(DateTimeOffset.MinValue).Select(change => (change.Change.Source.Name, change.Change.User.Name, change.Change.Scaling)));
    }

    /// <summary>As in a rolling update: the new Pod reads, then the old one notes more, and writes it when it stops.</summary>
    [Fact]
    public async Task What_an_old_Pod_writes_after_a_new_one_has_read_is_known_to_the_new_one()
    {
        var clock = new ManualClock();
        var before = Started(clock);
        before.Note(Change("before"));
        await WhileKeptAsync(before, "istiod-0", () => Task.FromResult(true));
        clock.Advance(TimeSpan.FromSeconds(1));
        var (old, later) = (Started(clock), new ChangeHistory(clock));
        using var end = CancellationTokenSource.CreateLinkedTokenSource(Stop);
        var store = Store(later, "istiod-2");
        Task? running = null;
        await WhileKeptAsync(old, "istiod-1", () =>
        {
            running ??= store.RunAsync(end.Token);
            if (later.KeptSince is null) return Task.FromResult(false);
            clock.Advance(TimeSpan.FromSeconds(1));
            old.Note(Change("rule"));
            clock.Advance(TimeSpan.FromSeconds(1));
            later.Start([]);
            old.Note(Change("seen-by-both"));
            later.Note(Change("seen-by-both"));
            return Task.FromResult(true);
        });
        // Before it writes its own part, it reads those of others.
        await end.CancelAsync();
        await EndedAsync(running!);
        Assert.Equal([("before", "istiod-0"), ("rule", "istiod-1"), ("seen-by-both", "")],
            later.After(DateTimeOffset.MinValue).Select(change => (change.Change.Source.Name, change.Istiod)));
        // Another one has what each of them saw.
        var third = new ChangeHistory(clock);
        await WhileKeptAsync(third, "istiod-3", () => Task.FromResult(third.KeptSince is not null));
        Assert.Equal([("before", "istiod-0"), ("rule", "istiod-1"), ("seen-by-both", "istiod-1"), ("seen-by-both", "istiod-2")],
            third.After(DateTimeOffset.MinValue).Select(change => (change.Change.Source.Name, change.Istiod)));
    }

    [Fact]
    public void Only_the_newest_are_kept_and_the_rest_counts_as_forgotten()
    {
        var begin = new DateTimeOffset(2026, 11, 22, 8, 0, 0, TimeSpan.Zero);
        var many = Enumerable.Range(0, 800)
            .Select(i => new ChangeReport { Name = $"rule-{i}", Verb = "changed", Last = begin.AddMinutes(i), Count = 2 }).ToList();
        var kept = HistoryStore.Newest(new("c1", "istiod-1") { Since = begin, Forgotten = 5, Changes = many });
        Assert.Equal(many.Skip(300), kept.Changes!);
        Assert.Equal((begin.AddMinutes(299), 605), (kept.Since, kept.Forgotten));
        var large = HistoryStore.Newest(new("c1", "istiod-1") { Changes = [.. many.Select(change => change with { Hosts = [new('x', 5000)] })] }).Changes!;
        Assert.Equal("rule-799", large[^1].Name);
        Assert.InRange(large.Sum(change => change.Hosts![0].Length), 200 << 10, 384 << 10);
        Assert.Equal((begin, null), (HistoryStore.Newest(new() { Since = begin, Changes = [.. many.Take(500)] }) is var all ? all.Since : null,
            all.Forgotten > 0 ? all.Forgotten : null));
    }

    /// <summary>Two replicas see the same change, and each knows the user and the proxies that the other does not.</summary>
    [Fact]
    public async Task Each_replica_keeps_what_only_it_knows()
    {
        var clock = new ManualClock();
        var (one, two) = (Started(clock), Started(clock));
        one.Note(Change("rule"));
        two.Note(Change("rule") with { User = new("bob", true) });
        await Task.WhenAll(WhileKeptAsync(one, "istiod-1", () => Task.FromResult(true)), WhileKeptAsync(two, "istiod-2", () => Task.FromResult(true)));
        clock.Advance(TimeSpan.FromSeconds(1));
        var third = new ChangeHistory(clock);
        await WhileKeptAsync(third, "istiod-3", () => Task.FromResult(third.KeptSince is not null));
        Assert.Equal([("istiod-1", "ann"), ("istiod-2", "bob")],
            third.After(DateTimeOffset.MinValue).Select(change => (change.Istiod, change.Change.User.Name)).Order());
    }

    [Fact]
    public void The_parts_of_many_Pods_fit_together_and_the_oldest_go()
    {
        var begin = new DateTimeOffset(2026, 11, 22, 8, 0, 0, TimeSpan.Zero);
        var large = new HistoryReport("c1", "old")
        {
            Now = begin, Since = begin,
            Changes = [.. Enumerable.Range(0, 500).Select(i => new ChangeReport { Name = $"rule-{i}", Last = begin.AddMinutes(i), Hosts = [new('x', 1400)] })],
        };
        var small = new HistoryReport("c1", "small") { Now = begin, Since = begin, Changes = [] };
        var alone = HistoryStore.Written(new Dictionary<string, HistoryReport> { ["own.json"] = large }, "own.json").Single();
        Assert.InRange(alone.Text!.Length, 350 << 10, 400 << 10);
        var parts = Enumerable.Range(0, 9).ToDictionary(i => $"{i}.json", i => (i < 3 ? large : small) with { Now = begin.AddMinutes(i) });
        var written = HistoryStore.Written(parts, "0.json").ToDictionary(part => part.Key, part => part.Text);
        // The own part stays, the oldest other one goes, and the next is trimmed to what there is room for.
        Assert.Equal(["0.json", "1.json", "2.json"], written.Keys.Order());
        Assert.Null(written["1.json"]);
        Assert.InRange(written["0.json"]!.Length + written["2.json"]!.Length, 500 << 10, 768 << 10);
    }

    [Fact]
    public void Changes_of_endpoints_do_not_push_out_others_and_those_without_an_effect_are_not_kept()
    {
        var rule = new ChangeReport { Name = "rule", Verb = "changed" };
        var many = Enumerable.Range(0, 800).Select(i => new ChangeReport { Name = $"host-{i}", Verb = "changed", Endpoints = Counts(2, 1, 1) }).ToList();
        var restart = new ChangeReport { Name = "restart", Verb = "changed", Endpoints = Counts(1, 0, 1) };
        var kept = HistoryStore.Newest(new() { Changes = [rule, .. many, new() { Name = "surge", Endpoints = Counts(1, 1, 1) }, restart] });
        Assert.Equal([rule, .. many.Skip(301), restart], kept.Changes!);
        Assert.Equal(301, kept.Forgotten);

        static EndpointCounts Counts(int before, int fewest, int after) => new(new(before), new(fewest), new(after));
    }

    [Fact]
    public void Scalings_do_not_push_out_others_either()
    {
        var rule = new ChangeReport { Name = "rule", Kind = "VirtualService", Verb = "changed" };
        var many = Enumerable.Range(0, 800).Select(i => new ChangeReport { Name = $"cart-{i}", Kind = "Deployment", Verb = "changed", Scaling = new(1, 2) })
            .ToList();
        Assert.Equal([rule, .. many.Skip(600)], HistoryStore.Newest(new() { Changes = [rule, .. many] }).Changes!);
    }

    [Theory]
    [InlineData("""
        {"since": "2026-11-22T08:00:00Z", "changes": [null,
          {"first": "2026-11-22T08:00:00Z", "last": "2026-11-22T08:00:00Z", "name": "rule", "verb": "created", "hosts": [null],
           "resources": {"clusters": null}}]}
        """, "rule")]
    [InlineData("""{"since": "2026-11-22T08:00:00Z"}""", "")]
    [InlineData("null", "")]
    [InlineData("no JSON", "")]
    public async Task What_is_no_history_in_the_ConfigMap_is_ignored(string text, string known)
    {
        await _client.CreateAsync(Kinds.ConfigMap, new JsonObject
        {
            ["apiVersion"] = "v1", ["kind"] = "ConfigMap",
            ["metadata"] = new JsonObject { ["name"] = "isthmus-history-default", ["namespace"] = "istio-system" },
            ["data"] = new JsonObject { ["history.json"] = text },
        }, Stop);
        var history = Started();
        await WhileKeptAsync(history, "istiod-1", () => Task.FromResult(true));
        Assert.Equal(known, string.Join(' ', history.After(DateTimeOffset.MinValue).Select(change => change.Change.Source.Name)));
    }

    [Theory]
    [InlineData(0, 0, 28)]
    [InlineData(0, 7, 30)]
    [InlineData(3, 7, 30)]
    [InlineData(3, 0, 28)]
    public async Task All_changes_are_known_since_the_end_of_what_a_Pod_has_forgotten(int earlier, int later, int day)
    {
        await KeepAsync(("istiod-1", Part(28, earlier)), ("istiod-2", Part(30, later)));
        var history = Started(new ManualClock());
        await WhileKeptAsync(history, "istiod-3", () => Task.FromResult(history.KeptSince is not null));
        Assert.Equal((new DateTimeOffset(2025, 12, day, 0, 0, 0, TimeSpan.Zero), Math.Max(earlier, later)), (history.KeptSince!.Value, history.Forgotten));
    }

    /// <summary>What was trimmed in the ConfigMap is still in memory; what a container of the same Pod forgot before is not.</summary>
    [Fact]
    public async Task What_a_Pod_has_written_itself_does_not_count_again_as_forgotten()
    {
        await KeepAsync(("istiod-0", Part(28, 0)), ("istiod-1", Part(29, 5)));
        var clock = new ManualClock();
        var history = Started(clock);
        for (var i = 0; i < 600; i++) history.Note(Change($"rule-{i}"));
        using var end = CancellationTokenSource.CreateLinkedTokenSource(Stop);
        var running = Store(history, "istiod-1", time: clock).RunAsync(end.Token);
        foreach (var expected in (int[])[600, 601])
        {
            await Eventually.TrueAsync(async () =>
            {
                clock.Advance(HistoryStore.Interval);
                return await ForgottenAsync() == 5 + expected - 500;
            });
            history.Note(Change("later"));
        }
        Assert.Equal(5, history.Forgotten);
        await end.CancelAsync();
        await EndedAsync(running);
        Assert.Equal(5, history.Forgotten);

        async Task<long?> ForgottenAsync() => JsonNode.Parse(
            (await _client.FindAsync<ConfigMap>(Kinds.ConfigMap, "istio-system", "isthmus-history-default", Stop))!.Data["istiod-1.json"])!["forgotten"]?
            .GetValue<long>();
    }

    /// <summary>A replica that removes the oldest part must not remove what its Pod writes at that moment.</summary>
    [Fact]
    public async Task What_another_Pod_writes_between_reading_and_writing_stays()
    {
        var parts = Enumerable.Range(1, 8).ToDictionary(i => $"istiod-{i}.json", i => Part(i, 0));
        var (version, reads, fresh) = (1, 0, Part(30, 0));
        await using var server = await OriginServer.StartAsync(HttpProtocols.Http1, async context =>
        {
            context.Response.ContentType = "application/json";
            if (context.Request.Method == "GET")
            {
                var map = new JsonObject
                {
                    ["metadata"] = new JsonObject { ["name"] = "isthmus-history-default", ["resourceVersion"] = $"{version}" },
                    ["data"] = new JsonObject([.. parts.Select(part => KeyValuePair.Create(part.Key, (JsonNode?)part.Value))]),
                };
                await context.Response.WriteAsync(map.ToJsonString(), Stop);
                // The first time it only reads, then it reads to write.
                if (++reads == 2) (version, parts["istiod-1.json"]) = (version + 1, fresh);
                return;
            }
            var patch = (await JsonNode.ParseAsync(context.Request.Body, cancellationToken: Stop))!;
            if (patch["metadata"]!["resourceVersion"] is { } read && read.ToString() != $"{version}")
            {
                context.Response.StatusCode = 409;
                await context.Response.WriteAsync("""{"kind": "Status", "code": 409, "reason": "Conflict", "message": "it has been modified"}""", Stop);
                return;
            }
            foreach (var (key, text) in patch["data"]!.AsObject())
            {
                if (text is null) parts.Remove(key);
                else parts[key] = text.ToString();
            }
            version++;
            await context.Response.WriteAsync(patch.ToJsonString(), Stop);
        });
        using var client = new KubeClient(new ClusterAccess { Server = new($"http://127.0.0.1:{server.Port}") });
        var history = Started();
        history.Note(Change("rule"));
        using var end = CancellationTokenSource.CreateLinkedTokenSource(Stop);
        var store = Store(history, "istiod-9", client);
        var running = store.RunAsync(end.Token);
        await Eventually.TrueAsync(() => store.IsWriting);
        await end.CancelAsync();
        await EndedAsync(running);
        Assert.Equal(["1", "3", "4", "5", "6", "7", "8", "9"], parts.Keys.Select(key => key["istiod-".Length..^".json".Length]).Order());
        Assert.Equal(fresh, parts["istiod-1.json"]);
    }

    /// <summary>A part without changes, of a control plane that remembers since a day of last December.</summary>
    private static string Part(int day, int forgotten) =>
        $$"""{"now": "2025-12-{{day:00}}T00:00:00Z", "since": "2025-12-{{day:00}}T00:00:00Z", "forgotten": {{forgotten}}, "changes": []}""";

    private Task KeepAsync(params (string Pod, string Text)[] parts) => _client.CreateAsync(Kinds.ConfigMap, new JsonObject
    {
        ["apiVersion"] = "v1", ["kind"] = "ConfigMap",
        ["metadata"] = new JsonObject { ["name"] = "isthmus-history-default", ["namespace"] = "istio-system" },
        ["data"] = new JsonObject([.. parts.Select(part => KeyValuePair.Create($"{part.Pod}.json", (JsonNode?)part.Text))]),
    }, Stop);

    [Fact]
    public async Task Where_the_ConfigMap_cannot_be_read_it_says_so_once_and_goes_on()
    {
        using var away = new KubeClient(new ClusterAccess { Server = new("http://127.0.0.1:1") });
        var (clock, log) = (new ManualClock(), new Recorder());
        using var end = CancellationTokenSource.CreateLinkedTokenSource(Stop);
        var running = Store(Started(clock), "istiod-1", away, clock, log).RunAsync(end.Token);
        var waits = new List<TimeSpan>();
        await Eventually.TrueAsync(() =>
        {
            if (clock.NextDue is { } due)
            {
                waits.Add(due);
                clock.Advance(due);
            }
            return Task.FromResult(log.Lines.Any(line => line.Contains("going on without it", StringComparison.Ordinal)));
        });
        Assert.Single(log.Lines, line => line.Contains("retrying", StringComparison.Ordinal) && line.StartsWith("ConfigMap", StringComparison.Ordinal));
        Assert.Single(log.Lines, line => line.Contains("going on without it", StringComparison.Ordinal));
        Assert.Equal([1, 2, 4, 8], waits.Take(4).Select(wait => wait.TotalSeconds));
        await end.CancelAsync();
        await EndedAsync(running);
    }

    private static async Task EndedAsync(Task running) => await running.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);

    private sealed class Recorder : ILoggerFactory, ILogger
    {
        internal ConcurrentQueue<string> Lines { get; } = [];

        public ILogger CreateLogger(string categoryName) => this;

        public void AddProvider(ILoggerProvider provider) => throw new NotSupportedException();

        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            Lines.Enqueue(formatter(state, exception));

        public void Dispose()
        {
        }
    }

    private static ChangeHistory Started(TimeProvider? time = null)
    {
        var history = new ChangeHistory(time ?? TimeProvider.System);
        history.Start([]);
        return history;
    }

    /// <summary>No time passes for it unless the test says so: a busy machine must not take its last write from it.</summary>
    private HistoryStore Store(ChangeHistory history, string pod, KubeClient? client = null, TimeProvider? time = null, ILoggerFactory? logs = null) =>
        new(client ?? _client, new DiscoverySettings { ClusterId = "c1", PodName = pod }, history, time ?? new ManualClock(),
            logs ?? NullLoggerFactory.Instance);

    private static NotedChange Change(string name) => new(new("c1", "VirtualService", "shop", name), ChangeVerb.Created, Reach.OfHosts("a.shop"),
        new("7", "", 1, "kubectl", null, 0)) { User = new("ann", true) };

    private static readonly HostEndpoints One = new(new[]
    {
        new MeshEndpoint("orders", "c1", EndpointAddress.Parse("10.0.0.1"), default, "", Locality.Unknown, default, new("w", "shop", "", ""), "", 1,
            EndpointHealth.Ready, "", default),
    }.ToValueList(), default, false);

    /// <summary>Runs the store until it writes and more is so, and stops it as a Pod is stopped.</summary>
    private async Task WhileKeptAsync(ChangeHistory history, string pod, Func<Task<bool>> until)
    {
        using var end = CancellationTokenSource.CreateLinkedTokenSource(Stop);
        var store = Store(history, pod);
        var running = store.RunAsync(end.Token);
        await Eventually.TrueAsync(async () => store.IsWriting && await until());
        await end.CancelAsync();
        await running.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }
}

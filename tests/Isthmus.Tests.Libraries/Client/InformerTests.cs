using System.Collections.Concurrent;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Watch;
using Isthmus.Rigs.Servers;
using Isthmus.Testing;
using Xunit;
using static Isthmus.Rigs.Servers.ScriptedServer;

namespace Isthmus.Tests.Libraries.Client;

/// <summary>What an informer does after each kind of failure, against an API server that follows a script.</summary>
public sealed class InformerTests : IAsyncDisposable
{
    private static readonly InformerSettings Settings = new() { FirstBackoff = TimeSpan.FromSeconds(1), LongestBackoff = TimeSpan.FromSeconds(8) };

    private readonly ScriptedServer _server = new();
    private readonly ImpatientClock _clock = new();
    private readonly ConcurrentQueue<string> _seen = new();
    private readonly CancellationTokenSource _stop = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
    private Task _run = Task.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _server.Dispose();
        await _run;
        _stop.Dispose();
    }

    [Fact]
    public async Task A_watch_that_ends_is_opened_again_after_a_short_pause_where_it_ended()
    {
        var informer = Begin();
        await (await _server.NextAsync()).ListAsync("10", Item("7"));
        var watch = await _server.NextAsync();
        await watch.EventAsync("MODIFIED", Item("20"));
        await Eventually.TrueAsync(() => _seen.Count == 2);
        var before = _clock.Waits.Count;
        await watch.EndAsync();

        var next = await _server.NextAsync();
        Assert.True(next.IsWatch);
        Assert.Equal("20", next.Version);
        Assert.Null(informer.LastError);
        Assert.InRange(_clock.Waits.Skip(before).Single(), Settings.FirstBackoff / 2, Settings.FirstBackoff);
        Assert.Equal(["one 7", "one 20"], _seen);
    }

    [Fact]
    public async Task A_server_that_ends_every_watch_at_once_is_asked_less_and_less_often_up_to_a_cap()
    {
        Begin();
        await (await _server.NextAsync()).ListAsync("10");
        for (var i = 0; i < 6; i++) await (await _server.NextAsync()).EndAsync();
        Assert.True((await _server.NextAsync()).IsWatch);
        Assert.Equal(6, _clock.Waits.Count);
        AssertGrows(_clock.Waits);
    }

    [Theory]
    [InlineData(429, "TooManyRequests")]
    [InlineData(503, "ServiceUnavailable")]
    public async Task A_busy_server_is_asked_again_after_the_time_it_names_without_a_list(int code, string reason)
    {
        var informer = Begin();
        await (await _server.NextAsync()).ListAsync("10", Item("7"));
        await (await _server.NextAsync()).RefuseAsync(code, reason, "30");
        var next = await _server.NextAsync();
        Assert.True(next.IsWatch);
        Assert.Equal("10", next.Version);
        Assert.Equal(code, Assert.IsType<Kubernetes.Client.KubeException>(informer.LastError).Code);
        Assert.InRange(_clock.Waits.Single(), TimeSpan.FromSeconds(30), TimeSpan.FromSeconds(31));
        Assert.Equal(["one 7"], _seen);
    }

    [Fact]
    public async Task A_busy_server_that_names_no_time_is_asked_with_growing_pauses_and_one_that_asks_for_days_is_not_obeyed()
    {
        Begin();
        for (var i = 0; i < 6; i++) await (await _server.NextAsync()).RefuseAsync(429, "TooManyRequests");
        await (await _server.NextAsync()).RefuseAsync(429, "TooManyRequests", "864000");
        await _server.NextAsync();
        AssertGrows([.. _clock.Waits.Take(6)]);
        Assert.InRange(_clock.Waits[6], TimeSpan.FromMinutes(1), TimeSpan.FromMinutes(2));
    }

    [Fact]
    public async Task A_version_that_is_no_longer_kept_is_listed_again_at_once_but_not_in_a_loop()
    {
        Begin();
        await (await _server.NextAsync()).ListAsync("10", Item("7"));
        await (await _server.NextAsync()).RefuseAsync(410, "Expired");
        var list = await _server.NextAsync();
        Assert.False(list.IsWatch);
        Assert.Empty(_clock.Waits);
        await list.ListAsync("12", Item("11"));
        await (await _server.NextAsync()).RefuseAsync(410, "Expired");
        Assert.False((await _server.NextAsync()).IsWatch);
        Assert.Single(_clock.Waits);
        Assert.Equal(["one 7", "one 11"], _seen);
    }

    [Fact]
    public async Task Another_answer_of_the_server_leads_to_a_list()
    {
        Begin();
        await (await _server.NextAsync()).ListAsync("10", Item("7"));
        await (await _server.NextAsync()).RefuseAsync(403, "Forbidden");
        Assert.False((await _server.NextAsync()).IsWatch);
    }

    [Fact]
    public async Task A_connection_that_breaks_is_made_again_with_growing_pauses_and_the_last_state_stays()
    {
        var informer = Begin();
        await (await _server.NextAsync()).ListAsync("10", Item("7"));
        for (var i = 0; i < 6; i++) await (await _server.NextAsync()).BreakAsync();
        var next = await _server.NextAsync();
        Assert.Equal("10", next.Version);
        Assert.IsNotType<Kubernetes.Client.KubeException>(informer.LastError);
        Assert.NotNull(informer.LastError);
        AssertGrows([.. _clock.Waits.Take(6)]);
        Assert.Equal(["one 7"], _seen);
    }

    [Fact]
    public async Task A_consumer_that_fails_gets_the_change_again_and_the_API_server_is_not_blamed()
    {
        var (failures, left) = (0, 3);
        var informer = Begin(Settings with { ConsumerFailed = _ => Interlocked.Increment(ref failures) }, key => key == "bad" && left-- > 0);
        await (await _server.NextAsync()).ListAsync("10", Item("7"));
        var watch = await _server.NextAsync();
        await watch.EventAsync("ADDED", Item("11", "bad"));
        await Eventually.TrueAsync(() => _seen.Contains("bad 11"));
        await Eventually.TrueAsync(() => informer.ConsumerError is null);
        Assert.Equal(3, failures);
        Assert.Null(informer.LastError);
        AssertGrows(_clock.Waits);
        // The watch has never ended.
        await watch.EventAsync("ADDED", Item("12", "two"));
        await Eventually.TrueAsync(() => _seen.Contains("two 12"));
        Assert.Equal(["one 7", "bad 11", "two 12"], _seen);
    }

    [Fact]
    public async Task An_object_that_the_consumer_cannot_take_holds_up_no_other_and_a_newer_version_of_it_replaces_it()
    {
        var informer = Begin(Settings, key => key == "bad" && !_seen.Contains("two 12"));
        await (await _server.NextAsync()).ListAsync("10", Item("7"));
        var watch = await _server.NextAsync();
        await watch.EventAsync("ADDED", Item("11", "bad"));
        await Eventually.TrueAsync(() => informer.ConsumerError is not null);
        await watch.EventAsync("ADDED", Item("12", "two"));
        await Eventually.TrueAsync(() => _seen.Contains("bad 11"));
        Assert.Equal(["one 7", "two 12", "bad 11"], _seen);
    }

    [Fact]
    public async Task A_first_list_that_the_consumer_fails_on_is_delivered_again_whole()
    {
        var left = 1;
        var informer = Begin(Settings, key => key == "two" && left-- > 0);
        await (await _server.NextAsync()).ListAsync("10", Item("7"), Item("8", "two"));
        var again = await _server.NextAsync();
        Assert.False(again.IsWatch);
        Assert.False(informer.Synced.IsCompleted);
        Assert.Null(informer.LastError);
        await again.ListAsync("10", Item("7"), Item("9", "two"));
        await informer.Synced.WaitAsync(TestContext.Current.CancellationToken);
        Assert.Equal(["one 7", "two 9"], _seen);
    }

    [Fact]
    public async Task What_is_kept_is_what_the_projection_makes_of_an_object()
    {
        var failures = 0;
        var informer = new Informer<Namespace, string>(_server.Client, Kinds.Namespace, ns => ns.Metadata.Labels["x"] switch
        {
            "bad" => throw new FormatException("bad"),
            "" => null,
            var label => label,
        }, Settings with { ConsumerFailed = _ => failures++ }, _clock);
        _run = informer.RunAsync(changes =>
        {
            foreach (var change in changes) _seen.Enqueue($"{change.Key} {change.Before}>{change.Object}");
            return ValueTask.CompletedTask;
        }, _stop.Token);
        await (await _server.NextAsync()).ListAsync("10", Item("7", "one", "a"), Item("8", "two"));
        var watch = await _server.NextAsync();
        await watch.EventAsync("MODIFIED", Item("11", "one", "b"));
        await watch.EventAsync("MODIFIED", Item("12", "one", "bad"));
        await watch.EventAsync("MODIFIED", Item("13", "one", "c"));
        await watch.EventAsync("MODIFIED", Item("14", "one"));
        await Eventually.TrueAsync(() => _seen.Count == 4);
        Assert.Equal(["one >a", "one a>b", "one b>c", "one c>"], _seen);
        Assert.Equal(1, failures);
        Assert.Null(informer.LastError);
    }

    [Fact]
    public async Task A_list_that_breaks_off_between_its_pages_loses_no_object()
    {
        Begin();
        await (await _server.NextAsync()).EndAsync($$$"""{"metadata":{"resourceVersion":"10","continue":"more"},"items":[{{{Item("7")}}}]}""");
        await (await _server.NextAsync()).RefuseAsync(500, "InternalError");
        await (await _server.NextAsync()).ListAsync("12", Item("7"), Item("8", "two"));
        await _server.NextAsync();
        Assert.Equal(["one 7", "two 8"], _seen);
    }

    [Fact]
    public async Task Objects_are_reduced_while_the_rest_of_their_list_is_on_its_way()
    {
        var reduced = new ConcurrentQueue<string>();
        var informer = new Informer<Namespace, string>(_server.Client, Kinds.Namespace, ns =>
        {
            reduced.Enqueue(ns.Metadata.Name);
            return ns.Metadata.ResourceVersion;
        }, Settings, _clock);
        _run = informer.RunAsync(changes =>
        {
            foreach (var change in changes) _seen.Enqueue($"{change.Key} {change.Object}");
            return ValueTask.CompletedTask;
        }, _stop.Token);
        var list = await _server.NextAsync();
        // The name of the second object is cut in two.
        var second = Item("8", "two");
        var cut = second.IndexOf("wo", StringComparison.Ordinal);
        await list.PartAsync($$$"""{"kind":"NamespaceList","items":[{{{Item("7")}}}, {{{second[..cut]}}}""");
        await Eventually.TrueAsync(() => !reduced.IsEmpty);
        Assert.Equal(["one"], reduced);
        Assert.Empty(_seen);
        await list.PartAsync($$$"""{{{second[cut..]}}}],"metadata":{"resourceVersion":"10","more":[{}]},"other":null}""");
        await list.EndAsync();
        await _server.NextAsync();
        Assert.Equal(["one 7", "two 8"], _seen);
    }

    /// <param name="fails">Whether the consumer fails on an object of this name.</param>
    private Informer<Namespace> Begin(InformerSettings? settings = null, Func<string, bool>? fails = null)
    {
        var informer = new Informer<Namespace>(_server.Client, Kinds.Namespace, settings ?? Settings, _clock);
        _run = informer.RunAsync(changes =>
        {
            foreach (var change in changes)
            {
                if (fails?.Invoke(change.Key) == true) throw new InvalidOperationException("the consumer cannot take it");
            }
            foreach (var change in changes) _seen.Enqueue($"{change.Key} {change.Object?.Metadata.ResourceVersion}");
            return ValueTask.CompletedTask;
        }, _stop.Token);
        return informer;
    }

    /// <summary>Each delay is between half of its step and all of it. Steps double up to the cap.</summary>
    private static void AssertGrows(IReadOnlyList<TimeSpan> waits)
    {
        for (var i = 0; i < waits.Count; i++)
        {
            var step = Settings.FirstBackoff * Math.Min(1 << i, Settings.LongestBackoff / Settings.FirstBackoff);
            Assert.InRange(waits[i], step / 2, step);
        }
    }
}

using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Watch;
using Isthmus.Rigs.Servers;
using Xunit;

namespace Isthmus.Tests.Libraries.Client;

/// <summary>While an API server rejects everybody, one of its watches tries for all.</summary>
public sealed class ServerOutageTests : IAsyncDisposable
{
    private readonly ScriptedServer _server = new();
    private readonly CancellationTokenSource _stop = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
    private readonly InformerSettings _settings = new()
    {
        FirstBackoff = TimeSpan.FromMilliseconds(1), LongestBackoff = TimeSpan.FromMilliseconds(2), Outage = new(TimeProvider.System)
    };
    private readonly List<Task> _running = [];

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _server.Dispose();
        await Task.WhenAll(_running);
        _stop.Dispose();
    }

    [Fact]
    public async Task Rejected_credentials_are_tried_by_one_watch_until_they_are_accepted()
    {
        Begin();
        await (await _server.NextAsync()).RefuseAsync(401, "Unauthorized");
        var call = await _server.NextAsync(); // The first watch tries again; from now on, the others wait.
        var others = Enumerable.Range(0, 5).Select(_ => Begin()).ToList();
        foreach (var other in others) Assert.Contains("scripted", (await other.FirstFailure).Message, StringComparison.Ordinal);

        var next = _server.NextAsync();
        Assert.False(next.IsCompleted);
        for (var i = 0; i < 5; i++)
        {
            await call.RefuseAsync(401, "Unauthorized");
            call = await next;
            next = _server.NextAsync();
            Assert.False(next.IsCompleted);
        }
        Assert.All(others, other => Assert.NotNull(other.LastError));

        await call.ListAsync("10");
        await ListUntilAsync(Task.WhenAll(others.Select(other => other.Synced)), next);
        Assert.All(others, other => Assert.Null(other.LastError));
    }

    [Fact]
    public async Task When_the_watch_that_tries_is_stopped_the_others_try()
    {
        using var first = new CancellationTokenSource();
        Begin(first.Token);
        await (await _server.NextAsync()).RefuseAsync(401, "Unauthorized");
        await _server.NextAsync();
        var other = Begin();
        await other.FirstFailure;
        await first.CancelAsync();

        await (await _server.NextAsync()).ListAsync("10");
        await other.Synced;
    }

    [Fact]
    public async Task A_missing_kind_does_not_keep_other_watches_waiting()
    {
        Begin();
        await (await _server.NextAsync()).RefuseAsync(404, "NotFound");
        var again = await _server.NextAsync();
        var other = Begin();
        await (await _server.NextAsync()).ListAsync("10");
        await other.Synced;
        await again.RefuseAsync(404, "NotFound");
    }

    [Fact]
    public async Task The_outage_ends_though_the_watch_that_tries_is_of_a_missing_kind()
    {
        Begin();
        await (await _server.NextAsync()).RefuseAsync(401, "Unauthorized");
        var again = await _server.NextAsync();
        var other = Begin();
        await other.FirstFailure;
        await again.RefuseAsync(404, "NotFound");

        // Both ask now: the watch of the missing kind again, and the one that waited.
        await ListUntilAsync(other.Synced, _server.NextAsync());
    }

    /// <summary>Answers every list, and leaves watches open: the watch of one informer may come before the list of another.</summary>
    private async Task ListUntilAsync(Task synced, Task<ScriptedCall> next)
    {
        while (await Task.WhenAny(synced, next) != synced)
        {
            if (await next is { IsWatch: false } call) await call.ListAsync("10");
            next = _server.NextAsync();
        }
    }

    private Informer<Namespace> Begin(CancellationToken? stop = null)
    {
        var informer = new Informer<Namespace>(_server.Client, Kinds.Namespace, _settings, TimeProvider.System);
        _running.Add(informer.RunAsync(_ => ValueTask.CompletedTask, stop ?? _stop.Token));
        return informer;
    }
}

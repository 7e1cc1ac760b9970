using System.Text.Json.Nodes;
using Isthmus.ControlPlane.Clusters;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Rigs.Servers;
using Isthmus.Testing;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Running;

/// <summary>Leases in the lab's own API server, with terms of one second to keep the tests short.</summary>
public sealed class LeaderElectionTests : IAsyncLifetime
{
    private const string Lease = "some-work";
    private readonly LoopbackCluster _cluster = new();
    private readonly CancellationTokenSource _stop = new();
    private KubeClient _client = null!;

    private int _leading;
    private int _most;

    public async ValueTask InitializeAsync() => _client = await _cluster.StartAsync();

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _cluster.DisposeAsync();
        _stop.Dispose();
    }

    [Fact]
    public async Task One_leads_at_a_time_and_the_next_takes_over_when_the_leader_stops()
    {
        using var stopFirst = new CancellationTokenSource();
        var (first, second) = (Election("first"), Election("second"));
        var running = first.RunAsync(WorkAsync, stopFirst.Token);
        await Eventually.TrueAsync(() => first.Leading);
        var other = second.RunAsync(WorkAsync, _stop.Token);
        Assert.Equal("first", await HolderAsync());
        await stopFirst.CancelAsync();
        await running;
        await Eventually.TrueAsync(() => second.Leading);
        Assert.Equal("second", await HolderAsync());
        Assert.Equal(1, _most);
        await _stop.CancelAsync();
        await other;
        Assert.Equal("", await HolderAsync());
    }

    [Fact]
    public async Task A_lease_whose_holder_died_is_taken_over_only_after_its_time_as_we_saw_it_pass()
    {
        // The clock of the dead holder was a day ahead: that must not matter.
        await WriteAsync("dead", DateTimeOffset.UtcNow.AddDays(1), seconds: 2);
        var begun = TimeProvider.System.GetTimestamp();
        var election = Election("heir");
        var running = election.RunAsync(WorkAsync, _stop.Token);
        await Eventually.TrueAsync(() => election.Leading);
        Assert.True(TimeProvider.System.GetElapsedTime(begun) >= TimeSpan.FromSeconds(2));
        Assert.Equal(1, (int?)(await _client.GetAsync(Kinds.Lease, "default", Lease, CancellationToken.None))["spec"]!["leaseTransitions"]);
        await _stop.CancelAsync();
        await running;
    }

    [Fact]
    public async Task A_leader_who_finds_its_lease_in_other_hands_stops_its_work_and_leads_again_when_it_may()
    {
        var election = Election("first");
        var running = election.RunAsync(WorkAsync, _stop.Token);
        await Eventually.TrueAsync(() => election.Leading);
        await WriteAsync("thief", DateTimeOffset.UtcNow, seconds: 4);
        await Eventually.TrueAsync(() => !election.Leading);
        Assert.Equal(0, _leading);
        await Eventually.TrueAsync(() => election.Leading);
        Assert.Equal("first", await HolderAsync());
        await _stop.CancelAsync();
        await running;
    }

    [Fact]
    public async Task The_same_identity_leads_again_at_once_after_its_death()
    {
        await WriteAsync("first", DateTimeOffset.UtcNow, seconds: 3600);
        var election = Election("first");
        var running = election.RunAsync(WorkAsync, _stop.Token);
        await Eventually.TrueAsync(() => election.Leading);
        await _stop.CancelAsync();
        await running;
    }

    [Fact]
    public async Task An_error_of_the_work_ends_the_election_and_lets_the_lease_go()
    {
        var election = Election("first");
        await Assert.ThrowsAsync<InvalidDataException>(() => election.RunAsync(_ => Task.FromException(new InvalidDataException("broken")), _stop.Token));
        Assert.Equal("", await HolderAsync());
    }

    private LeaderElection Election(string identity) => new(_client, new LeaseTerms("default", Lease, identity)
    {
        Duration = TimeSpan.FromSeconds(30), Deadline = TimeSpan.FromSeconds(20), RenewEvery = TimeSpan.FromMilliseconds(100),
        TryEvery = TimeSpan.FromMilliseconds(50),
    }, TimeProvider.System, NullLogger.Instance);

    private async Task WorkAsync(CancellationToken stop)
    {
        _most = Math.Max(_most, Interlocked.Increment(ref _leading));
        await Task.Delay(Timeout.Infinite, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        Interlocked.Decrement(ref _leading);
    }

    private async Task<string?> HolderAsync() =>
        (string?)(await _client.GetAsync(Kinds.Lease, "default", Lease, CancellationToken.None))["spec"]?["holderIdentity"] ?? "";

    private async Task WriteAsync(string holder, DateTimeOffset renewed, int seconds) => await _client.ApplyAsync(Kinds.Lease, new JsonObject
    {
        ["apiVersion"] = "coordination.k8s.io/v1",
        ["kind"] = "Lease",
        ["metadata"] = new JsonObject { ["name"] = Lease, ["namespace"] = "default" },
        ["spec"] = new JsonObject
        {
            ["holderIdentity"] = holder, ["leaseDurationSeconds"] = seconds, ["renewTime"] = $"{renewed.UtcDateTime:yyyy-MM-ddTHH:mm:ss.ffffff}Z"
        },
    }, CancellationToken.None);
}

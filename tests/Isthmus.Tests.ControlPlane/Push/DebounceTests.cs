using Isthmus.ControlPlane.Push;
using Isthmus.Mesh.Model;
using Isthmus.Rigs.Mesh;
using Isthmus.Testing;
using Isthmus.Wire.Xds;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;
using static Isthmus.Tests.ControlPlane.Push.PushEngineTests;

namespace Isthmus.Tests.ControlPlane.Push;

/// <summary>Which changes wait for quiet, and how long.</summary>
public sealed class DebounceTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);

    [Fact]
    public async Task Endpoints_go_at_once_while_configuration_waits_for_quiet()
    {
        var rig = new MeshRig("c1");
        using var stop = new CancellationTokenSource(Patience);
        var never = new PushSettings(TimeSpan.FromHours(1), TimeSpan.FromHours(2));
        var engine = new PushEngine(rig.Writer, never, TimeProvider.System, NullLogger<PushEngine>.Instance);
        var running = engine.RunAsync(stop.Token);
        await engine.PostAsync(_ => rig.App("c1", "orders", "10.96.0.10", "10.244.0.1"), stop.Token);
        var proxy = engine.Connect(Identity);
        await engine.MarkReadyAsync(stop.Token);
        var first = await NextAsync(proxy, null, stop.Token);
        Assert.Equal(["10.244.0.1:8080=1"], MeshRig.Endpoints(proxy, MeshRig.OutboundName("orders")));

        // The first push was one, so this change follows another.
        await engine.PostAsync(_ => rig.App("c1", "other", "10.96.0.11"), stop.Token);
        await engine.PostAsync(_ =>
        {
            rig.Pod("c1", "orders", "orders-2", "10.244.0.2");
            rig.Slice("c1", "orders", 8080, "http", ("orders-10.244.0.1", "10.244.0.1"), ("orders-2", "10.244.0.2"));
        }, stop.Token);
        var second = await NextAsync(proxy, first, stop.Token);
        while (MeshRig.Endpoints(proxy, MeshRig.OutboundName("orders")).Count < 2) second = await NextAsync(proxy, second, stop.Token);
        Assert.Same(first.Types[TypeUrls.Listener], second.Types[TypeUrls.Listener]);
        Assert.Same(first.Types[TypeUrls.Route], second.Types[TypeUrls.Route]);
        await stop.CancelAsync();
        await running;
    }

    [Fact]
    public async Task A_change_that_stands_alone_does_not_wait_and_a_burst_still_collects()
    {
        var rig = new MeshRig("c1");
        using var stop = new CancellationTokenSource(Patience);
        var clock = new ManualClock();
        var engine = new PushEngine(rig.Writer, new(TimeSpan.FromHours(1), TimeSpan.FromHours(5)), clock, NullLogger<PushEngine>.Instance);
        var running = engine.RunAsync(stop.Token);
        await engine.PostAsync(_ => rig.App("c1", "orders", "10.96.0.10", "10.244.0.1"), stop.Token);
        var proxy = engine.Connect(Identity);
        await engine.MarkReadyAsync(stop.Token);
        await NextAsync(proxy, null, stop.Token);

        clock.Advance(TimeSpan.FromHours(1));
        await engine.PostAsync(_ => rig.Service("c1", "alone", "10.96.0.11"), stop.Token);
        // The clock stands still: nothing that waits is published.
        await Eventually.TrueAsync(() => engine.IsPublishedAsync(stop.Token));
        Assert.NotNull(MeshRig.Cluster(proxy, MeshRig.OutboundName("alone")));

        foreach (var (name, ip) in new[] { ("second", "10.96.0.12"), ("third", "10.96.0.13") })
        {
            clock.Advance(TimeSpan.FromMinutes(30));
            await engine.PostAsync(_ => rig.Service("c1", name, ip), stop.Token);
            Assert.False(await engine.IsPublishedAsync(stop.Token));
        }
        Assert.Null(MeshRig.Cluster(proxy, MeshRig.OutboundName("second")));
        clock.Advance(TimeSpan.FromHours(1));
        await Eventually.TrueAsync(() => MeshRig.Cluster(proxy, MeshRig.OutboundName("third")) is not null);
        Assert.NotNull(MeshRig.Cluster(proxy, MeshRig.OutboundName("second")));
        await stop.CancelAsync();
        await running;
    }

    [Fact]
    public async Task New_addresses_of_a_headless_host_that_wait_are_not_forgotten_when_other_endpoints_go_first()
    {
        var rig = new MeshRig("c1");
        using var stop = new CancellationTokenSource(Patience);
        var clock = new ManualClock();
        var engine = new PushEngine(rig.Writer, new(TimeSpan.FromHours(1), TimeSpan.FromHours(5)), clock, NullLogger<PushEngine>.Instance);
        var running = engine.RunAsync(stop.Token);
        await engine.PostAsync(_ => rig.StatefulApp("c1", "ledger", "tcp", 5432, "10.244.0.1"), stop.Token);
        await engine.PostAsync(_ => rig.App("c1", "orders", "10.96.0.10", "10.244.1.1"), stop.Token);
        var proxy = engine.Connect(Identity);
        await engine.MarkReadyAsync(stop.Token);
        await NextAsync(proxy, null, stop.Token);

        // The push was just before, so this change waits for quiet.
        await engine.PostAsync(_ => rig.StatefulApp("c1", "ledger", "tcp", 5432, "10.244.0.1", "10.244.0.2"), stop.Token);
        Assert.False(await engine.IsPublishedAsync(stop.Token));
        await engine.PostAsync(_ => rig.App("c1", "orders", "10.96.0.10", "10.244.1.1", "10.244.1.2"), stop.Token);
        await Eventually.TrueAsync(() => MeshRig.Endpoints(proxy, MeshRig.OutboundName("orders")).Count == 2);
        Assert.Null(MeshRig.Listener(proxy, "10.244.0.2_5432"));
        clock.Advance(TimeSpan.FromHours(1));
        await Eventually.TrueAsync(() => MeshRig.Listener(proxy, "10.244.0.2_5432") is not null);
        await stop.CancelAsync();
        await running;
    }

    [Theory]
    [MemberData(nameof(ChangeReachTests.Changes), MemberType = typeof(ChangeReachTests))]
    public async Task An_object_of_any_kind_does_not_wait_when_it_stands_alone(string kind, string spec, string ns, int resolved, string offered)
    {
        Assert.InRange(resolved, 0, 1);
        var rig = new MeshRig("c1") { Software = ProxySoftware.Unknown with { RunsWasm = true } };
        ChangeReachTests.Fill(rig);
        using var stop = new CancellationTokenSource(Patience);
        var clock = new ManualClock();
        var engine = new PushEngine(rig.Writer, new(TimeSpan.FromHours(1), TimeSpan.FromHours(5)), clock, NullLogger<PushEngine>.Instance);
        var running = engine.RunAsync(stop.Token);
        ProxyFeed[] proxies = [.. new[] { rig.Sidecar("c1", ns: ns), ChangeReachTests.Front(rig) }.Select(proxy => engine.Connect(proxy.Proxy))];
        await engine.MarkReadyAsync(stop.Token);
        foreach (var proxy in proxies) await NextAsync(proxy, null, stop.Token);

        clock.Advance(TimeSpan.FromHours(1));
        var before = proxies.Select(proxy => proxy.Snapshot).ToList();
        await engine.PostAsync(_ => ChangeReachTests.Put(rig, kind, ns, spec.Replace("@", "3", StringComparison.Ordinal)), stop.Token);
        // The clock stands still: nothing that waits is published.
        await Eventually.TrueAsync(() => engine.IsPublishedAsync(stop.Token));
        Assert.Equal(offered.Length > 0, proxies.Zip(before).Any(pair => !ReferenceEquals(pair.First.Snapshot, pair.Second)));
        await stop.CancelAsync();
        await running;
    }

    [Fact]
    public void Debouncing_waits_for_quiet_but_never_longer_than_the_limit()
    {
        var start = DateTimeOffset.UnixEpoch;
        var alone = new Debounce(PushSettings.Default);
        Assert.Null(alone.Due);
        Assert.Equal(start, alone.Changed(start).Due);
        Assert.True(alone.Changed(start).IsDue(start));
        var debounce = alone.Changed(start - TimeSpan.FromMilliseconds(99)).Pushed();
        Assert.Null(debounce.Due);
        for (var i = 0; i < 200; i++) debounce = debounce.Changed(start + TimeSpan.FromMilliseconds(90 * i));
        Assert.Equal(start + TimeSpan.FromSeconds(10), debounce.Due);
        Assert.Equal(start + TimeSpan.FromMilliseconds(101), alone.Changed(start).Pushed().Changed(start + TimeSpan.FromMilliseconds(1)).Due);
        Assert.False(alone.Changed(start).Pushed().Changed(start + TimeSpan.FromMilliseconds(99)).IsDue(start + TimeSpan.FromMilliseconds(99)));
        // Quiet is over: the next one stands alone.
        Assert.Equal(start + TimeSpan.FromMilliseconds(100), alone.Changed(start).Pushed().Changed(start + TimeSpan.FromMilliseconds(100)).Due);
    }
}

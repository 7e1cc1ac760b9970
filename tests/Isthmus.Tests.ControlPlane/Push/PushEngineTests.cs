using Isthmus.Graph.Derive;
using Isthmus.ControlPlane.Push;
using Isthmus.Core.Net;
using Isthmus.Mesh.Model;
using Isthmus.Rigs.Mesh;
using Isthmus.Wire.Xds;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Push;

public sealed class PushEngineTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);

    [Fact]
    public async Task A_proxy_that_comes_before_the_mesh_is_known_waits_for_it()
    {
        var rig = new MeshRig("c1");
        using var stop = new CancellationTokenSource(Patience);
        var engine = new PushEngine(rig.Writer, PushSettings.Default, TimeProvider.System, NullLogger<PushEngine>.Instance);
        var running = engine.RunAsync(stop.Token);
        var proxy = engine.Connect(Identity);
        await engine.AskAsync(_ => 0, stop.Token);
        Assert.Null(proxy.Snapshot);
        await engine.MarkReadyAsync(stop.Token);
        Assert.NotEmpty((await NextAsync(proxy, null, stop.Token)).Types[TypeUrls.Cluster].All);
        await proxy.DisposeAsync();
        Assert.Empty(engine.Proxies);
        await stop.CancelAsync();
        await running;
    }

    [Fact]
    public async Task A_change_that_cannot_be_staged_is_counted_and_the_others_go_on()
    {
        var rig = new MeshRig("c1");
        using var stop = new CancellationTokenSource(Patience);
        var engine = new PushEngine(rig.Writer, PushSettings.Default, TimeProvider.System, NullLogger<PushEngine>.Instance);
        var running = engine.RunAsync(stop.Token);
        await engine.PostAsync(_ => throw new InvalidOperationException("a bug"), stop.Token);
        await engine.PostAsync(_ => rig.App("c1", "orders", "10.96.0.10", "10.244.0.1"), stop.Token);
        Assert.True(await engine.AskAsync(writer => writer.Mesh.Services.Items.ContainsKey("orders.shop.svc.cluster.local"), stop.Token));
        Assert.Equal(1, engine.Failures);
        await stop.CancelAsync();
        await running;
    }

    [Fact]
    public async Task Nothing_is_due_before_the_mesh_is_known()
    {
        var rig = new MeshRig("c1");
        using var stop = new CancellationTokenSource(Patience);
        var clock = new ReadClock();
        var engine = new PushEngine(rig.Writer, PushSettings.Default with { Quiet = TimeSpan.Zero }, clock, NullLogger<PushEngine>.Instance);
        var running = engine.RunAsync(stop.Token);
        await engine.PostAsync(_ => rig.App("c1", "orders", "10.96.0.10", "10.244.0.1"), stop.Token);
        await engine.AskAsync(_ => 0, stop.Token);
        var before = clock.Reads;
        const int Questions = 2000;
        for (var i = 0; i < Questions; i++) await engine.AskAsync(_ => 0, stop.Token);
        // A writer that looks at the clock again and again while nothing happens keeps a CPU busy.
        Assert.InRange(clock.Reads - before, 0, Questions);
        await stop.CancelAsync();
        await running;
    }

    private sealed class ReadClock : TimeProvider
    {
        private long _reads;

        internal long Reads => Interlocked.Read(ref _reads);

        public override DateTimeOffset GetUtcNow()
        {
            Interlocked.Increment(ref _reads);
            return base.GetUtcNow();
        }
    }

    [Fact]
    public async Task A_question_commits_nothing_and_sees_every_change_posted_before_it()
    {
        var rig = new MeshRig("c1");
        rig.Writer.Commit();
        using var stop = new CancellationTokenSource(Patience);
        var engine = new PushEngine(rig.Writer, PushSettings.Default, TimeProvider.System, NullLogger<PushEngine>.Instance);
        var running = engine.RunAsync(stop.Token);
        await engine.PostAsync(_ => rig.App("c1", "orders", "10.96.0.10", "10.244.0.1"), stop.Token);
        var first = await engine.AskAsync(writer => (writer.Mesh.Graph.Revision, writer.Mesh.Services.Count), stop.Token);
        Assert.Equal(1, first.Count);
        for (var i = 0; i < 10; i++) Assert.Equal(first, await engine.AskAsync(writer => (writer.Mesh.Graph.Revision, writer.Mesh.Services.Count), stop.Token));
        await Assert.ThrowsAsync<InvalidOperationException>(() => engine.AskAsync<int>(_ => throw new InvalidOperationException("no answer"), stop.Token));
        Assert.Equal(0, engine.Failures);
        await stop.CancelAsync();
        await running;
    }

    [Fact]
    public async Task A_commit_that_fails_is_counted_and_does_not_end_the_engine()
    {
        var rig = new MeshRig("c1");
        using var stop = new CancellationTokenSource(Patience);
        var engine = new PushEngine(rig.Writer, PushSettings.Default, TimeProvider.System, NullLogger<PushEngine>.Instance);
        var fail = true;
        rig.Mesh.Graph.Committed += _ =>
        {
            if (fail) throw new InvalidOperationException("a bug");
        };
        var running = engine.RunAsync(stop.Token);
        await engine.ChangeAsync(_ => 0, stop.Token);
        while (engine.Failures == 0) await engine.AskAsync(_ => 0, stop.Token);
        fail = false;
        var proxy = engine.Connect(Identity);
        await engine.PostAsync(_ => rig.App("c1", "orders", "10.96.0.10", "10.244.0.1"), stop.Token);
        await engine.MarkReadyAsync(stop.Token);
        await NextAsync(proxy, null, stop.Token);
        Assert.Equal(["10.244.0.1:8080=1"], MeshRig.Endpoints(proxy, MeshRig.OutboundName("orders")));
        Assert.Equal(1, engine.Failures);
        await stop.CancelAsync();
        await running;
    }

    [Fact]
    public void A_cluster_that_leaves_takes_along_what_is_staged_and_commits_nothing()
    {
        var rig = new MeshRig("c1", "c2");
        rig.App("c2", "orders", "10.96.0.10", "10.244.0.1");
        var revision = rig.Mesh.Graph.Revision;
        rig.Writer.RemoveCluster("c2");
        Assert.Equal(revision, rig.Mesh.Graph.Revision);
        rig.Writer.Commit();
        Assert.Empty(rig.Mesh.Services.Items);
        Assert.DoesNotContain(rig.Mesh.Sources.Workloads.Items.Keys, key => key.Cluster == "c2");
        Assert.DoesNotContain("c2", rig.Mesh.Sources.Clusters.Items.Keys);
    }

    [Fact]
    public void What_a_proxy_said_is_told_type_by_type()
    {
        var feed = new ProxyFeed(Identity, TimeProvider.System, _ => { });
        feed.Observe(new(XdsEventKind.Sent, TypeUrls.Cluster, "n1", "v1", 3, ""));
        Assert.Equal(("n1", ""), (feed.Status.Types[0].Sent, feed.Status.Types[0].Acked));
        feed.Observe(new(XdsEventKind.Acknowledged, TypeUrls.Cluster, "n1", "v1", 0, ""));
        feed.Observe(new(XdsEventKind.Sent, TypeUrls.Listener, "n2", "v1", 3, ""));
        feed.Observe(new(XdsEventKind.Rejected, TypeUrls.Listener, "n2", "v1", 0, "no such filter"));
        Assert.Equal("n1", feed.Status.Types[0].Acked);
        Assert.Equal("no such filter", feed.Status.Types[1].Error);
        // The tools say what it holds back.
        var refusal = Assert.Single(feed.Refusals);
        Assert.Equal(("ISM1032", $"proxy {feed.Proxy.Id}", "listener"), (refusal.Code, refusal.Object, refusal.Path));
        Assert.StartsWith(
            "refused by the proxy: no such filter; it keeps the last version that it accepted, so changes of AuthorizationPolicies, RequestAuthentications,",
            refusal.Message, StringComparison.Ordinal);
        Assert.EndsWith("most likely an EnvoyFilter", refusal.Remedy, StringComparison.Ordinal);
    }

    [Fact]
    public void What_to_do_about_a_certificate_that_a_proxy_refuses_is_in_its_Secret()
    {
        var feed = new ProxyFeed(Identity, TimeProvider.System, _ => { });
        feed.Observe(new(XdsEventKind.Sent, TypeUrls.Secret, "n1", "v1", 1, ""));
        feed.Observe(new(XdsEventKind.Rejected, TypeUrls.Secret, "n1", "v1", 0, "no PEM"));
        var refusal = Assert.Single(feed.Refusals);
        Assert.Equal("certificate", refusal.Path);
        Assert.Contains("into the Secret or ConfigMap that the reason names", refusal.Remedy, StringComparison.Ordinal);
    }

    /// <summary>The newest snapshot, as soon as there is another one than the last.</summary>
    internal static async Task<XdsSnapshot> NextAsync(ProxyFeed proxy, XdsSnapshot? last, CancellationToken stop)
    {
        XdsSnapshot? next;
        for (var told = new SemaphoreSlim(0); (next = proxy.Newer(last)) is null; await told.WaitAsync(stop)) proxy.Follow(() => told.Release());
        return next;
    }

    internal static ProxyIdentity Identity { get; } = new(
        ProxyKind.Sidecar, "client", MeshRig.Namespace, "shop.svc.cluster.local", "c1", "net-c1", default, [Address.Parse("10.244.0.7")], default, "default",
        "client", "node", "REDIRECT", true, false, "", "", Locality.Unknown);
}

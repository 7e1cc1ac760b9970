using Isthmus.ControlPlane.LastKnown;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Rigs.Servers;
using Xunit;

namespace Isthmus.Tests.ControlPlane.LastKnown;

/// <summary>Snapshots in the ConfigMaps of a real API server.</summary>
public sealed class SnapshotStoreTests(RunningApiServer server) : IClassFixture<RunningApiServer>
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task What_a_killed_control_plane_left_goes_with_the_cluster_or_after_a_while()
    {
        using var client = new KubeClient(server.Access);
        var ns = await server.NamespaceAsync();
        var clock = new Clock();
        await new SnapshotStore(client, ns, clock).SaveAsync("one", Snapshot("a"), clock.GetUtcNow(), Stop);
        // One writer was killed between the new index and the end of the old part. Another cluster's was killed before its
        // index.
        foreach (var (cluster, generation) in ((string, string)[])[("one", "left"), ("two", "left"), ("three", "named")])
            await client.ApplyAsync(Kinds.ConfigMap, SnapshotMaps.Parts(ns, cluster, Snapshot(generation))[0], Stop);

        var store = new SnapshotStore(client, ns, clock);
        Assert.Equal("one", Assert.Single((await store.LoadAsync(Stop)).Found).Cluster);
        await store.SaveAsync("three", Snapshot("named"), clock.GetUtcNow(), Stop);
        await store.SweepAsync(Stop);
        Assert.Equal(2 + 1 + 1 + 2, await CountAsync(client, ns));
        await store.DropAsync("one", Stop);
        Assert.Equal(1 + 2, await CountAsync(client, ns));
        clock.Ahead = TimeSpan.FromMinutes(11);
        await store.SweepAsync(Stop);
        Assert.Equal(["three"], (await store.LoadAsync(Stop)).Found.Select(found => found.Cluster));
        Assert.Equal(2, await CountAsync(client, ns));
    }

    private static EncodedSnapshot Snapshot(string generation) => new(generation, [[1, 2, 3]]);

    private static async Task<int> CountAsync(KubeClient client, string ns) =>
        (await client.ListAllAsync<ConfigMap>(Kinds.ConfigMap, ns, new ListOptions { LabelSelector = SnapshotMaps.Label }, Stop)).Count;

    private sealed class Clock : TimeProvider
    {
        internal TimeSpan Ahead { get; set; }

        public override DateTimeOffset GetUtcNow() => System.GetUtcNow() + Ahead;
    }
}

using System.Collections.Concurrent;
using System.Text.Json.Nodes;
using Isthmus.ControlPlane.Ca;
using Isthmus.Graph.History;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;
using Isthmus.Rigs.Servers;
using Isthmus.Testing;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Ca;

/// <summary>What is remembered of writes of the Secret <c>cacerts</c>: that there were some, and by whom.</summary>
public sealed class WrittenCaTests
{
    private const string Namespace = "istio-system";

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Each_write_of_the_CA_is_remembered_without_its_values()
    {
        await using var cluster = new LoopbackCluster();
        var client = await cluster.StartAsync();
        await client.CreateAsync(Kinds.Namespace,
            new JsonObject { ["apiVersion"] = "v1", ["kind"] = "Namespace", ["metadata"] = new JsonObject { ["name"] = Namespace } }, Stop);
        var end = DateTimeOffset.UtcNow.AddDays(9);
        var made = await ChainedCa.CreateAsync(client, Namespace, end, end);
        var ca = new CaState(client, Namespace, () => "cluster.local", TimeProvider.System, NullLogger<CaState>.Instance);
        var told = new ConcurrentQueue<(ChangeVerb Verb, ObjectWrite? Write)>();
        ca.Written += (verb, write) => told.Enqueue((verb, write));
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(Stop);
        var run = ca.RunAsync(ending.Token);
        await ca.Ready.WaitAsync(Stop);

        await PatchAsync(client, new JsonObject { ["metadata"] = new JsonObject { ["labels"] = new JsonObject { ["rotated"] = "yes" } } });
        await Eventually.TrueAsync(() => told.Count == 1);
        await PatchAsync(client, new JsonObject { ["data"] = new JsonObject { ["ca-cert.pem"] = "AAAA" } });
        await Eventually.TrueAsync(() => told.Count == 2);
        await client.DeleteAsync(Kinds.Secret, Namespace, "cacerts", Stop);
        await Eventually.TrueAsync(() => told.Count == 3);
        await ChainedCa.CreateAsync(client, Namespace, end, end);
        await Eventually.TrueAsync(() => told.Count == 4);

        // What was there at the beginning is no change, and another root waits for a restart.
        Assert.Equal([ChangeVerb.Changed, ChangeVerb.Invalid, ChangeVerb.Deleted, ChangeVerb.Created], told.Select(one => one.Verb));
        Assert.Equal(client.FieldManager, told.First().Write?.Manager);
        Assert.Null(told.ElementAt(2).Write);
        var key = made["data"]!["ca-key.pem"]!.ToString();
        Assert.All(told, one => Assert.DoesNotContain(key[..40], $"{one}", StringComparison.Ordinal));
        await ending.CancelAsync();
        await run;
    }

    /// <summary>A push that follows is not its effect.</summary>
    [Fact]
    public void A_change_apart_has_no_effect_on_proxies()
    {
        var history = new ChangeHistory(new ManualClock());
        history.Start([]);
        history.NoteApart(new(new ObjectRef("c1", "Secret", Namespace, "cacerts"), ChangeVerb.Changed, Reach.Everything));
        history.Pushed(history.Take(), new PushEffect(3, default));
        var remembered = Assert.Single(history.After(default));
        Assert.Null(remembered.Effect);
        Assert.True(remembered.Change.Reach.IsEverything);
    }

    private static Task PatchAsync(KubeClient client, JsonObject patch) =>
        client.PatchAsync(Kinds.Secret, Namespace, "cacerts", patch, PatchType.Merge, Stop);
}

using FsCheck;
using FsCheck.Fluent;
using Isthmus.Rigs.Servers;
using Isthmus.Testing;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Xds;
using Xunit;
using static Isthmus.Rigs.Servers.XdsRig;

namespace Isthmus.Tests.Libraries.Wire.Xds;

public sealed class DeltaTests
{
    private const string C = TypeUrls.Cluster, E = TypeUrls.Endpoints, L = TypeUrls.Listener;

    [Fact]
    public void Client_ends_up_with_exactly_what_the_server_has_after_any_history() =>
        Prop.ForAll(ArbMap.Default.ArbFor<int>(), seed =>
        {
            var random = new Random(seed);
            var pair = new DeltaPair(C, L);
            var last = XdsSnapshot.Empty;
            for (var step = 0; step < 60; step++)
            {
                var what = random.Next(12);
                if (what == 0) pair.Reconnect();
                else if (what <= 3) pair.Publish(last = RandomSnapshot(random, step));
                else pair.Step(random.Next(2) == 0);
            }
            pair.Drain();
            Assert.Equal(Expected(last), pair.Sink.Held.OrderBy(h => h.Key).Select(h => (h.Key.Type, h.Key.Name, h.Value)));
        }).MustHold(300);

    [Fact]
    public void Same_snapshot_sends_nothing_again()
    {
        var pair = new DeltaPair(C);
        pair.Publish(Snapshot("1", (C, "a", "1"), (E, "a", "1")));
        pair.Drain();
        pair.Publish(Snapshot("2", (C, "a", "1"), (E, "a", "1")));
        pair.Drain();

        Assert.Equal([(C, 1), (E, 1)], pair.Events.Where(e => e.Kind == XdsEventKind.Sent).Select(e => (e.TypeUrl, e.Count)));
    }

    [Fact]
    public void Reconnecting_client_gets_only_what_it_lacks_and_loses_what_is_gone()
    {
        var pair = new DeltaPair(C);
        pair.Publish(Snapshot("1", (C, "kept", "1"), (C, "gone", "1"), (C, "old", "1")));
        pair.Drain();
        pair.Publish(Snapshot("2", (C, "kept", "1"), (C, "old", "2")));
        pair.Reconnect();
        var before = pair.Sink.Batches.Count;
        pair.Drain();

        var news = pair.Sink.Batches.Skip(before).Where(b => b.TypeUrl == C).ToArray();
        Assert.Equal(["old"], news.SelectMany(b => b.Changed).Select(r => r.Name));
        Assert.Equal(["gone"], news.SelectMany(b => b.Removed));
    }

    [Fact]
    public void Rejected_resource_leaves_its_neighbours_in_force_and_is_not_sent_again_until_it_changes()
    {
        var pair = new DeltaPair(C);
        pair.Publish(Snapshot("1", (C, "x", "bad"), (C, "y", "1")));
        pair.Drain();
        Assert.Equal([(C, "y")], pair.Sink.Held.Keys);
        Assert.Contains(pair.Events, e => e is { Kind: XdsEventKind.Rejected, Detail: "x: is bad" });

        pair.Events.Clear();
        pair.Publish(Snapshot("2", (C, "x", "bad"), (C, "y", "1")));
        pair.Drain();
        Assert.DoesNotContain(pair.Events, e => e.Kind == XdsEventKind.Sent);

        pair.Publish(Snapshot("3", (C, "x", "good"), (C, "y", "1")));
        pair.Drain();
        Assert.Equal("x@good", pair.Sink.Held[(C, "x")]);
    }

    [Fact]
    public void A_rejection_lasts_until_its_resource_is_accepted_or_gone()
    {
        var pair = new DeltaPair(C);
        string Rejections() => pair.Events.Last(e => e.Kind is XdsEventKind.Acknowledged or XdsEventKind.Rejected && e.TypeUrl == C).Detail;
        pair.Publish(Snapshot("1", (C, "x", "bad"), (C, "y", "1"), (C, "z", "1")));
        pair.Drain();
        pair.Publish(Snapshot("2", (C, "x", "bad"), (C, "y", "2"), (C, "z", "1")));
        pair.Drain();
        // The answer to the change of a neighbour says nothing about it.
        Assert.Equal((XdsEventKind.Acknowledged, "x: is bad"), (pair.Events[^1].Kind, Rejections()));
        pair.Publish(Snapshot("3", (C, "x", "bad"), (C, "y", "2"), (C, "z", "bad")));
        pair.Drain();
        Assert.Equal("x: is bad; z: is bad", Rejections());
        pair.Publish(Snapshot("4", (C, "x", "good"), (C, "y", "2"), (C, "z", "bad")));
        pair.Drain();
        Assert.Equal("z: is bad", Rejections());
        pair.Publish(Snapshot("5", (C, "x", "good"), (C, "y", "2")));
        pair.Drain();
        Assert.Equal("", Rejections());
    }

    [Fact]
    public void Endpoints_come_again_after_their_cluster_changed()
    {
        var pair = new DeltaPair(C);
        pair.Publish(Snapshot("1", (C, "a", "1"), (E, "a", "1"), (C, "b", "1"), (E, "b", "1")));
        pair.Drain();
        var before = pair.Sink.Batches.Count;
        pair.Publish(Snapshot("2", (C, "a", "2"), (E, "a", "1"), (C, "b", "1"), (E, "b", "1")));
        pair.Drain();

        Assert.Equal([(C, "a"), (E, "a")], pair.Sink.Batches.Skip(before).SelectMany(b => b.Changed.Select(r => (b.TypeUrl, r.Name))));
    }

    [Fact]
    public void Cluster_that_leaves_is_let_go_only_after_the_listeners_have_changed()
    {
        var pair = new DeltaPair(C, L);
        pair.Publish(Snapshot("1", (C, "a", "1"), (L, "l", "1")));
        pair.Drain();
        var before = pair.Sink.Batches.Count;
        pair.Publish(Snapshot("2", (C, "b", "1"), (L, "l", "2")));
        pair.Drain();

        var order = pair.Sink.Batches.Skip(before).Where(b => b.TypeUrl != E)
            .SelectMany(b => b.Changed.Select(r => $"+{r.Name}").Concat(b.Removed.Select(r => $"-{r}")));
        Assert.Equal(["+b", "+l", "-a"], order);
    }

    [Fact]
    public void Type_with_an_unanswered_response_is_not_pushed_again_until_it_is_answered()
    {
        var server = new DeltaStream("n", _ => { });
        server.Update(Snapshot("1", (C, "a", "1")));
        var first = Assert.Single(server.Receive(new() { TypeUrl = C }));
        Assert.Empty(server.Update(Snapshot("2", (C, "a", "2"))));
        Assert.Empty(server.Update(Snapshot("3", (C, "a", "3"))));

        var next = Assert.Single(server.Receive(new() { TypeUrl = C, ResponseNonce = first.Nonce }));
        Assert.Equal("3", Assert.Single(next.Resources).Version);
    }

    [Fact]
    public void Type_that_is_not_served_is_not_answered_and_a_name_that_does_not_exist_is_answered_as_removed()
    {
        var server = new DeltaStream("n", _ => { });
        server.Update(Snapshot("1", (C, "a", "1"), (E, "a", "1")));

        Assert.Empty(server.Receive(new() { TypeUrl = TypeUrls.NameTable }));
        var answer = Assert.Single(server.Receive(new() { TypeUrl = E, ResourceNamesSubscribe = { "a", "none" } }));
        Assert.Equal(["a"], answer.Resources.Select(r => r.Name));
        Assert.Equal(["none"], answer.RemovedResources);
    }

    [Fact]
    public void Who_subscribes_to_a_name_again_gets_it_again_and_who_left_hears_no_more()
    {
        var server = new DeltaStream("n", _ => { });
        server.Update(Snapshot("1", (E, "a", "1")));
        server.Receive(new() { TypeUrl = E, ResourceNamesSubscribe = { "a" } });
        var again = Assert.Single(server.Receive(new() { TypeUrl = E, ResourceNamesSubscribe = { "a" } }));
        Assert.Equal(["a"], again.Resources.Select(r => r.Name));

        server.Receive(new() { TypeUrl = E, ResponseNonce = again.Nonce, ResourceNamesUnsubscribe = { "a" } });
        Assert.Empty(server.Update(Snapshot("2", (E, "a", "2"))));
    }

    /// <summary>A server of a gateway, and its Secret, go at once.</summary>
    [Fact]
    public void What_a_client_does_not_ask_for_any_more_it_does_not_reject_either()
    {
        var seen = new List<XdsEvent>();
        var server = new DeltaStream("n", seen.Add);
        server.Update(Snapshot("1", (E, "a", "1"), (E, "b", "1")));
        var first = Assert.Single(server.Receive(new() { TypeUrl = E, ResourceNamesSubscribe = { "a", "b" } }));
        server.Receive(new() { TypeUrl = E, ResponseNonce = first.Nonce, ErrorDetail = new() { Message = "a: no" } });
        Assert.Equal((XdsEventKind.Rejected, "a: no"), (seen[^1].Kind, seen[^1].Detail));
        server.Receive(new() { TypeUrl = E, ResourceNamesUnsubscribe = { "b" } });
        Assert.DoesNotContain(seen, one => one.Kind == XdsEventKind.Withdrawn);
        server.Receive(new() { TypeUrl = E, ResourceNamesUnsubscribe = { "a" } });
        Assert.Equal("", Assert.Single(seen, one => one.Kind == XdsEventKind.Withdrawn).Detail);
    }

    [Fact]
    public void An_answer_counts_although_another_response_has_followed()
    {
        var seen = new List<XdsEvent>();
        var server = new DeltaStream("n", seen.Add);
        server.Update(Snapshot("1", (E, "a", "1"), (E, "b", "1")));
        var first = Assert.Single(server.Receive(new() { TypeUrl = E, ResourceNamesSubscribe = { "a" } }));
        var second = Assert.Single(server.Receive(new() { TypeUrl = E, ResourceNamesSubscribe = { "b" } }));
        server.Receive(new() { TypeUrl = E, ResponseNonce = first.Nonce, ErrorDetail = new() { Message = "a: no" } });
        server.Receive(new() { TypeUrl = E, ResponseNonce = second.Nonce });
        Assert.Equal([(XdsEventKind.Rejected, "a: no"), (XdsEventKind.Acknowledged, "a: no")], seen[^2..].Select(one => (one.Kind, one.Detail)));
        // Both are answered: what changes is sent, and a nonce that is unknown answers nothing.
        server.Receive(new() { TypeUrl = E, ResponseNonce = "unknown" });
        Assert.Single(server.Update(Snapshot("2", (E, "a", "2"), (E, "b", "1"))));
        Assert.Empty(server.Update(Snapshot("3", (E, "a", "3"), (E, "b", "1"))));
    }

    private static XdsSnapshot RandomSnapshot(Random random, int step)
    {
        var resources = new List<(string, string, string)>();
        foreach (var type in new[] { C, E, L })
            for (var i = 0; i < 5; i++)
                if (random.Next(3) > 0) resources.Add((type, $"r{i}", random.Next(3).ToString()));
        return Snapshot($"{step}", [.. resources, (L, "always", "1"), (C, "always", "1"), (E, "always", "1")]);
    }

    private static IEnumerable<(string, string, string)> Expected(XdsSnapshot snapshot)
    {
        if (!snapshot.Types.TryGetValue(C, out var clusters)) return [];
        return snapshot.Types
            .SelectMany(t => t.Value.All.Where(r => t.Key != E || clusters.TryGet(r.Name, out _)).Select(r => (t.Key, r.Name, r.Text())))
            .OrderBy(r => (r.Key, r.Name));
    }
}

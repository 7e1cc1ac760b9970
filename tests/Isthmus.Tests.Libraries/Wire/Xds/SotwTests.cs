using FsCheck;
using FsCheck.Fluent;
using Isthmus.Testing;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Xds;
using Xunit;
using static Isthmus.Rigs.Servers.XdsRig;

namespace Isthmus.Tests.Libraries.Wire.Xds;

public sealed class SotwTests
{
    private const string C = TypeUrls.Cluster, E = TypeUrls.Endpoints;

    [Fact]
    public void Client_ends_up_with_exactly_what_the_server_has_after_any_history() =>
        Prop.ForAll(ArbMap.Default.ArbFor<int>(), seed =>
        {
            var random = new Random(seed);
            var server = new SotwStream("n", null, _ => { });
            var client = new ModelClient();
            var up = new Queue<DiscoveryRequest>([new() { TypeUrl = C }, new() { TypeUrl = E, ResourceNames = { "r0", "r1" } }]);
            var down = new Queue<DiscoveryResponse>();
            var last = XdsSnapshot.Empty;
            for (var step = 0; step < 60 || up.Count + down.Count > 0; step++)
            {
                if (step < 60 && random.Next(4) == 0)
                    foreach (var r in server.Update(last = RandomSnapshot(random, step))) down.Enqueue(r);
                if (random.Next(2) == 0 && up.TryDequeue(out var request))
                    foreach (var r in server.Receive(request)) down.Enqueue(r);
                if (random.Next(2) == 0 && down.TryDequeue(out var response)) up.Enqueue(client.Receive(response));
            }
            var expected = last.Types
                .SelectMany(t => t.Value.All.Where(r => t.Key == C || r.Name is "r0" or "r1").Select(r => (t.Key, r.Text())))
                .ToHashSet();
            // The client keeps a removed name: state of the world by name cannot express a removal.
            Assert.Superset(expected, client.Held.Select(h => (h.Key.Type, h.Value)).ToHashSet());
            Assert.Equal(expected.Where(e => e.Key == C).Order(), client.Held.Where(h => h.Key.Type == C).Select(h => (h.Key.Type, h.Value)).Order());
        }).MustHold(300);

    [Fact]
    public void Endpoint_change_sends_that_cluster_only()
    {
        var (server, sent) = Subscribed();
        server.Receive(new() { TypeUrl = E, ResponseNonce = sent[E].Nonce, ResourceNames = { "a", "b" } });

        var push = Assert.Single(server.Update(Snapshot("2", (C, "a", "1"), (C, "b", "1"), (E, "a", "1"), (E, "b", "2"))));

        Assert.Equal((E, "2", 1), (push.TypeUrl, push.VersionInfo, push.Resources.Count));
        Assert.Equal("b@2", push.Resources[0].Value.ToStringUtf8());
    }

    [Fact]
    public void Cluster_that_left_is_left_out_of_the_whole_set()
    {
        var (server, sent) = Subscribed();
        server.Receive(new() { TypeUrl = C, ResponseNonce = sent[C].Nonce });

        var push = Assert.Single(server.Update(Snapshot("2", (C, "b", "1"))), r => r.TypeUrl == C);

        Assert.Equal(["b@1"], push.Resources.Select(r => r.Value.ToStringUtf8()));
    }

    [Fact]
    public void Rejected_response_is_not_sent_again_and_other_types_go_on()
    {
        var (server, sent) = Subscribed();
        server.Receive(new() { TypeUrl = E, ResponseNonce = sent[E].Nonce, ResourceNames = { "a", "b" } });

        Assert.Empty(server.Receive(new() { TypeUrl = C, ResponseNonce = sent[C].Nonce, ErrorDetail = new() { Message = "no" } }));
        var next = server.Update(Snapshot("2", (C, "a", "1"), (C, "b", "1"), (E, "a", "2"), (E, "b", "1")));

        Assert.Equal([E], next.Select(r => r.TypeUrl));
    }

    [Fact]
    public void Newly_asked_names_are_answered_alone_and_stale_nonces_are_ignored()
    {
        var (server, sent) = Subscribed();
        Assert.Empty(server.Receive(new() { TypeUrl = E, ResponseNonce = "other-1", ResourceNames = { "a", "b", "c" } }));
        server.Update(Snapshot("2", (C, "a", "1"), (C, "b", "1"), (E, "a", "1"), (E, "b", "1"), (E, "c", "1")));

        var answer = Assert.Single(server.Receive(new() { TypeUrl = E, ResponseNonce = sent[E].Nonce, ResourceNames = { "a", "b", "c" } }));

        Assert.Equal(["c@1"], answer.Resources.Select(r => r.Value.ToStringUtf8()));
    }

    [Fact]
    public void Nonce_of_an_earlier_stream_gets_the_full_state()
    {
        var server = new SotwStream("n", null, _ => { });
        server.Update(Snapshot("1", (C, "a", "1")));

        var answer = Assert.Single(server.Receive(new() { TypeUrl = C, VersionInfo = "1", ResponseNonce = "other-7" }));

        Assert.Single(answer.Resources);
    }

    [Fact]
    public void Push_and_acknowledgement_cost_what_changed()
    {
        const int names = 5000;
        var all = new CountedSet(Enumerable.Range(0, names).ToDictionary(i => $"r{i}", i => Resource(E, $"r{i}", "1")), []);
        var server = new SotwStream("n", null, _ => { });
        server.Update(new("1", new Dictionary<string, IXdsResources> { [E] = all }));
        var subscribed = new DiscoveryRequest { TypeUrl = E };
        subscribed.ResourceNames.AddRange(all.All.Select(resource => resource.Name));
        var first = Assert.Single(server.Receive(subscribed));
        Assert.Equal(names, first.Resources.Count);

        var next = new CountedSet(new(all.ByName) { ["r7"] = Resource(E, "r7", "2") }, ["r7"]);
        subscribed.ResponseNonce = first.Nonce;
        var least = Allocations.Least(() => server.Receive(subscribed));
        Assert.InRange(least, 0, 2000);
        all.Asked = 0;
        var push = Assert.Single(server.Update(new("2", new Dictionary<string, IXdsResources> { [E] = next })));
        Assert.Equal(["r7@2"], push.Resources.Select(r => r.Value.ToStringUtf8()));
        Assert.InRange(all.Asked + next.Asked, 1, 10);
    }

    [Fact]
    public void Name_that_is_also_in_the_wildcard_is_sent_once()
    {
        var server = new SotwStream("n", null, _ => { });
        server.Update(Snapshot("1", (C, "a", "1"), (C, "b", "1")));

        var answer = Assert.Single(server.Receive(new() { TypeUrl = C, ResourceNames = { "*", "a" } }));

        Assert.Equal(["a@1", "b@1"], answer.Resources.Select(r => r.Value.ToStringUtf8()).Order());
    }

    /// <summary>Counts what it is asked.</summary>
    private sealed class CountedSet(Dictionary<string, XdsResource> byName, IReadOnlyCollection<string> changed) : IXdsResources
    {
        public Dictionary<string, XdsResource> ByName => byName;

        public int Asked { get; set; }

        public IReadOnlyCollection<XdsResource> All => byName.Values;

        public bool TryGet(string name, [System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out XdsResource? resource)
        {
            Asked++;
            return byName.TryGetValue(name, out resource);
        }

        public IReadOnlyCollection<string>? ChangedSince(IXdsResources earlier) => changed;
    }

    private static (SotwStream Server, Dictionary<string, DiscoveryResponse> Sent) Subscribed()
    {
        var server = new SotwStream("n", null, _ => { });
        server.Update(Snapshot("1", (C, "a", "1"), (C, "b", "1"), (E, "a", "1"), (E, "b", "1")));
        var sent = server.Receive(new() { TypeUrl = C }).Concat(server.Receive(new() { TypeUrl = E, ResourceNames = { "a", "b" } }));
        return (server, sent.ToDictionary(r => r.TypeUrl));
    }

    private static XdsSnapshot RandomSnapshot(Random random, int step)
    {
        var resources = new List<(string, string, string)>();
        foreach (var type in new[] { C, E })
            for (var i = 0; i < 4; i++)
                if (random.Next(3) > 0) resources.Add((type, $"r{i}", random.Next(3).ToString()));
        return Snapshot($"{step}", [.. resources, (C, "always", "1"), (E, "always", "1")]);
    }

    private sealed class ModelClient
    {
        public Dictionary<(string Type, string Name), string> Held { get; } = [];

        public DiscoveryRequest Receive(DiscoveryResponse response)
        {
            if (response.TypeUrl == C)
                foreach (var key in Held.Keys.Where(k => k.Type == C).ToArray()) Held.Remove(key);
            foreach (var resource in response.Resources)
            {
                var text = resource.Value.ToStringUtf8();
                Held[(response.TypeUrl, text.Split('@')[0])] = text;
            }
            var ack = new DiscoveryRequest { TypeUrl = response.TypeUrl, ResponseNonce = response.Nonce, VersionInfo = response.VersionInfo };
            if (response.TypeUrl == E) ack.ResourceNames.Add(["r0", "r1"]);
            return ack;
        }
    }
}

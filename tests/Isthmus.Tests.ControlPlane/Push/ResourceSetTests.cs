using Google.Protobuf;
using Isthmus.ControlPlane.Push;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Xds;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Push;

public sealed class ResourceSetTests
{
    private const int Names = 12;

    [Fact]
    public void A_set_tells_what_changed_since_those_before_it_and_nothing_about_strangers()
    {
        var first = ResourceSet.Empty.With([], [Made("a", 1), Made("b", 1)]);
        var second = first.With([], [Made("b", 2)]);
        var third = second.With(["a"], [Made("c", 1)]);
        Assert.Equal(["b"], second.ChangedSince(first)!);
        Assert.Equal(["a", "b", "c"], third.ChangedSince(first)!.Order());
        Assert.Empty(third.ChangedSince(third)!);
        Assert.Null(first.ChangedSince(third));
        Assert.Null(third.ChangedSince(ResourceSet.Empty.With([], [Made("a", 1)])));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public void A_stream_that_looks_at_changes_only_ends_where_one_that_looks_at_everything_does(int seed)
    {
        var random = new Random(seed);
        var set = ResourceSet.Empty;
        var stream = new DeltaStream("n", _ => { });
        stream.Update(Snapshot(set, 0));
        var client = new Client(stream);
        client.Receive(new() { TypeUrl = TypeUrls.Endpoints, ResourceNamesSubscribe = { "r0", "r1", "r2", "r99" } });
        for (var i = 1; i < 2000; i++)
        {
            var name = $"r{random.Next(Names)}";
            switch (random.Next(8))
            {
                case 0: set = set.With([name], []); break;
                case 1: client.Receive(new() { TypeUrl = TypeUrls.Endpoints, ResourceNamesSubscribe = { name } }); break;
                case 2: client.Unsubscribe(name); break;
                case 3: client.Acknowledge(); break;
                case 4: set = set.With([], [.. Enumerable.Range(0, Names).Select(n => Made($"r{n}", i))]); break;
                default: set = set.With([], [Made(name, i)]); break;
            }
            client.Take(stream.Update(Snapshot(set, i)));
        }
        client.Acknowledge();
        client.Acknowledge();
        Assert.Equal(client.Subscribed.Where(set.Items.ContainsKey).Order().Select(name => (name, set.Items[name].Version)),
            client.Has.OrderBy(item => item.Key).Select(item => (item.Key, item.Value)));
    }

    private static XdsSnapshot Snapshot(ResourceSet set, int version) =>
        new($"{version}", new Dictionary<string, IXdsResources> { [TypeUrls.Endpoints] = set });

    private static XdsResource Made(string name, int content) => EncodedResource.Of(TypeUrls.Endpoints, name, ByteString.CopyFromUtf8($"{name} {content}"));

    /// <summary>Accepts whatever it receives.</summary>
    private sealed class Client(DeltaStream stream)
    {
        private string _nonce = "";

        public HashSet<string> Subscribed { get; } = [];

        public Dictionary<string, string> Has { get; } = [];

        public void Receive(DeltaDiscoveryRequest request)
        {
            Subscribed.UnionWith(request.ResourceNamesSubscribe);
            Take(stream.Receive(request));
        }

        public void Unsubscribe(string name)
        {
            Subscribed.Remove(name);
            Has.Remove(name);
            Take(stream.Receive(new() { TypeUrl = TypeUrls.Endpoints, ResourceNamesUnsubscribe = { name } }));
        }

        public void Acknowledge()
        {
            if (_nonce.Length > 0) Take(stream.Receive(new() { TypeUrl = TypeUrls.Endpoints, ResponseNonce = _nonce }));
        }

        public void Take(IReadOnlyList<DeltaDiscoveryResponse> answers)
        {
            foreach (var answer in answers)
            {
                _nonce = answer.Nonce;
                foreach (var resource in answer.Resources) Has[resource.Name] = resource.Version;
                foreach (var name in answer.RemovedResources) Has.Remove(name);
            }
        }
    }
}

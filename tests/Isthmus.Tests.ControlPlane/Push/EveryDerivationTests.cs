using System.Collections.Immutable;
using Isthmus.ControlPlane.Push;
using Isthmus.Core.Live;
using Isthmus.Graph.Derive;
using Isthmus.Graph.Intake;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Resolve;
using Isthmus.Rigs.Mesh;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Push;

/// <summary>Live equals fresh on every derivation: whatever happened, each collection of the graph is what a graph computes that is told the final objects
/// alone, and each proxy has what a control plane would give it that starts then.</summary>
public sealed class EveryDerivationTests
{
    private const int Changes = 100, Rounds = 5;

    [Fact]
    public void Every_derivation_of_a_mesh_that_changes_is_that_of_a_fresh_one() => Seeded(random =>
    {
        var run = new Run(random, 2, MeshSamples.Of);
        run.All();
        run.AssertEveryNodeChanged();
    });

    /// <summary>The same with every field of the objects, a third of them in each run.</summary>
    [Fact]
    public void Every_field_of_an_object_is_taken_back_with_it() =>
        Seeded(random => new Run(random, 8, kinds =>
            [.. MeshSamples.Of(kinds).Where(sample => sample.Cluster != "c3"), .. MeshSamples.OfFields(kinds).Where(_ => random.Next(3) == 0)]).All());

    private static void Seeded(Action<Random> run)
    {
        var seed = (int)(PropertyCheck.Seed & int.MaxValue);
        try
        {
            run(new(seed));
        }
        catch (Exception e)
        {
            throw new PropertyFailedException($"{e.Message}\nTo repeat: {PropertyCheck.SeedVariable}={seed}", e);
        }
    }

    [Fact]
    public void There_is_a_sample_of_every_kind_that_the_mesh_reads()
    {
        var kinds = new MeshRig().Writer.Kinds;
        var read = MeshSamples.Of(kinds).SelectMany(sample => sample.Kinds).ToHashSet();
        Assert.Empty(kinds.All.Where((_, index) => !read.Contains(index))
            .Select(kind => $"{kind.Resource.ApiVersion} {kind.Descriptor.Name} ({kind.GetType().Name})"));
    }

    /// <summary>It takes whatever an Envoy can take.</summary>
    private static readonly ProxySoftware Envoy =
        new(true, true, IstioFilters.All) { IsRecent = true, NamesMetadataSources = true, RunsWasm = true, HasQuic = true };

    private sealed class Run
    {
        private readonly Random _random;
        private readonly int _pace;
        private readonly MultiClusterSettings _multiCluster;
        private readonly MeshRig _live;
        private readonly IReadOnlyList<MeshSample> _samples;
        private readonly SortedDictionary<string, (MeshSample Sample, int Variant)> _told = new(StringComparer.Ordinal);
        private readonly List<NodeHistory> _nodes;
        private readonly List<ProxyFeed> _proxies = [];
        private MeshChanges _waiting = new();

        /// <param name="random">Decides what happens.</param>
        /// <param name="pace">One step in so many is checked.</param>
        /// <param name="samples">What the mesh is told.</param>
        public Run(Random random, int pace, Func<MeshKinds, IReadOnlyList<MeshSample>> samples)
        {
            (_random, _pace) = (random, pace);
            _multiCluster = MultiClusterSettings.Default with { Discovery = random.Next(2) == 0 };
            _live = new(_multiCluster);
            _samples = samples(_live.Writer.Kinds);
            _nodes = [.. _live.Mesh.Graph.Nodes.Select(NodeHistory.Of)];
            _live.Mesh.Graph.Committed += _ => _nodes.ForEach(node => node.Note());
        }

        public void All()
        {
            foreach (var sample in Shuffled(_samples)) Put(sample, 1);
            _live.Push();
            Connect();
            AssertFresh("at first");
            // Each has its turn while everything else is there, also those that replace each other. Some that are needed together may have missed each other.
            for (var round = 0; round == 0 || (round < Rounds && _nodes.Exists(node => node.Added == 0)); round++)
            {
                foreach (var sample in Shuffled(_samples))
                {
                    Put(sample, _random.Next(1, MeshSamples.Variants + 1));
                    Step("in turn");
                }
            }
            for (var i = 0; i < Changes; i++)
            {
                Change();
                if (_random.Next(3) == 0) Commit();
                if (_random.Next(4) == 0) Step($"after {i + 1} changes");
            }
            Publish();
            AssertFresh("after all changes");
            foreach (var (identity, (sample, _)) in Shuffled([.. _told]))
            {
                if (sample.Remove is null) continue;
                sample.Remove(_live.Writer);
                Forget(identity, sample);
                if (_random.Next(10) == 0) Publish();
            }
            Publish();
            AssertFresh("after everything is gone");
            Assert.Equal(0, _live.Mesh.Graph.Failures);
        }

        /// <summary>Most steps are compared with what follows from the same graph, which costs less.</summary>
        private void Step(string when)
        {
            Publish();
            if (_random.Next(40) == 0) AssertFresh(when);
            else if (_random.Next(_pace) == 0) AssertGiven(when, _live.Mesh.View());
        }

        private void Change()
        {
            if (_random.Next(40) == 0)
            {
                var cluster = MeshSamples.Clusters[_random.Next(1, MeshSamples.Clusters.Length)];
                _live.Writer.RemoveCluster(cluster);
                Leave(cluster);
                return;
            }
            var sample = _samples[_random.Next(_samples.Count)];
            if (sample.Remove is { } remove && _told.ContainsKey(sample.Identity) && _random.Next(3) == 0)
            {
                remove(_live.Writer);
                Forget(sample.Identity, sample);
            }
            else
            {
                Put(sample, _random.Next(1, MeshSamples.Variants + 1));
            }
        }

        private void Put(MeshSample sample, int variant)
        {
            sample.Put(_live.Writer, variant);
            _told[sample.Identity] = (sample, variant);
        }

        private void Forget(string identity, MeshSample sample)
        {
            _told.Remove(identity);
            if (identity.StartsWith("contact", StringComparison.Ordinal)) Leave(sample.Cluster);
        }

        private void Leave(string cluster)
        {
            foreach (var gone in _told.Where(item => item.Value.Sample.Cluster == cluster).ToList()) _told.Remove(gone.Key);
            // The Pods of gateways that are still connected.
            foreach (var stays in _samples.Where(sample => sample.Cluster == cluster && sample.Remove is null)) Put(stays, 1);
        }

        private void Commit()
        {
            var changes = _live.Writer.Commit();
            // As the engine does: endpoints may go before the rest, which waits.
            if (_random.Next(3) == 0) _live.Publisher.PublishEndpoints(_live.Mesh.View(), changes.Endpoints);
            _waiting.Add(changes);
        }

        private void Publish()
        {
            Commit();
            _live.Publisher.PublishAll(_live.Mesh.View(), _waiting);
            _waiting = new();
        }

        private void Connect()
        {
            _proxies.AddRange(
            [
                _live.Sidecar("c1"), _live.Sidecar("c1", "orders-0", "10.1.0.1"), _live.Sidecar("c2", "orders-0", "10.2.0.1"),
                _live.Sidecar("c1", "guest", "10.1.8.1", ns: "other"), _live.Sidecar("c2", "plain", "10.2.8.1", dnsCapture: false),
                Router("c1", "eastwest", "none"), _live.Router("c2", "eastwest", sniDnat: true, labels: Labels("eastwest", "none")),
                Router("c1", "front", "door"),
                _live.Sidecar("c1", "web-0", "10.1.5.1"), Router("c1", "inner", "front"),
            ]);
            foreach (var proxy in (ProxyFeed[])[_proxies[1], _proxies[5], _proxies[7]]) _proxies.Add(_live.Connect(proxy.Proxy with { Software = Envoy }));
            // What the routers of the rig told.
            foreach (var (sample, variant) in _told.Values.ToList()) Put(sample, variant);
            _live.Writer.RemoveSecretAccess(new("c2", "shop", "eastwest"));
            _live.Push();
        }

        private ProxyFeed Router(string cluster, string app, string served) => _live.Router(cluster, app, labels: Labels(app, served));

        /// <summary>As its Pod has them, in the samples.</summary>
        private static Dictionary<string, string> Labels(string app, string served) => new()
        {
            ["app"] = app, ["istio"] = app == "front" ? "ingressgateway" : "eastwest", ["gateway.networking.k8s.io/gateway-name"] = served,
        };

        private void AssertFresh(string when)
        {
            Assert.Empty(_live.Mesh.Graph.Verify());
            Assert.Equal(0, _live.Mesh.Graph.Conflicts); // Who holds a key depends on history.
            var fresh = new MeshRig(_multiCluster);
            foreach (var (sample, variant) in _told.Values) sample.Put(fresh.Writer, variant);
            fresh.Writer.Allocator.Import(_live.Writer.Allocator.Export()); // Allocated addresses depend on history by design.
            fresh.Writer.Commit();
            foreach (var (node, again) in _nodes.Zip(fresh.Mesh.Graph.Nodes))
            {
                if (node.Differences(again).ToList() is { Count: > 0 } differences)
                    Assert.Fail($"{when}, '{node.Name}' is not what a fresh graph has:\n{string.Join('\n', differences)}");
            }
            AssertGiven(when, fresh.Mesh.View());
        }

        private void AssertGiven(string when, MeshView view)
        {
            var publisher = new Publisher(TimeProvider.System);
            publisher.PublishAll(view, null);
            foreach (var proxy in _proxies)
            {
                var (has, right) = (MeshRig.Versions(proxy), MeshRig.Versions(MeshRig.Again(proxy, publisher)));
                if (right.SequenceEqual(has)) continue;
                Assert.Fail($"{when}, {proxy.Proxy.Id} of {proxy.Proxy.Cluster} has not what a fresh control plane would give it: "
                    + $"-[{string.Join(", ", right.Except(has).Select(pair => pair.Key))}] +[{string.Join(", ", has.Except(right).Select(pair => pair.Key))}]");
            }
        }

        public void AssertEveryNodeChanged()
        {
            Assert.Equal(_nodes.Select(node => node.Name).Distinct(), _nodes.Select(node => node.Name));
            Assert.Empty(_nodes.Where(node => node.Added == 0).Select(node => $"{node.Name} never has an item"));
            // By chance, settings may have been told in one way only, and some nodes have but one item, which depends on them.
            if (_nodes.Exists(NeverChanged)) Vary();
            Assert.Empty(_nodes.Where(NeverChanged).Select(node => $"{node.Name} never changes"));
        }

        private static bool NeverChanged(NodeHistory node) => node.Replaced + node.Removed == 0;

        /// <summary>Tells each sample in each way.</summary>
        private void Vary()
        {
            foreach (var sample in Shuffled(_samples))
            {
                for (var variant = 1; variant <= MeshSamples.Variants; variant++)
                {
                    Put(sample, variant);
                    Publish();
                }
            }
            AssertFresh("in each way");
        }

        private IEnumerable<T> Shuffled<T>(IReadOnlyList<T> items)
        {
            var all = items.ToArray();
            _random.Shuffle(all);
            return all;
        }
    }

    /// <summary>What happened to a collection of the graph.</summary>
    private abstract class NodeHistory(string name)
    {
        public string Name { get; } = name;

        public int Added { get; protected set; }

        public int Replaced { get; protected set; }

        public int Removed { get; protected set; }

        public static NodeHistory Of(LiveNode node)
        {
            var type = node.GetType();
            while (!type.IsGenericType || type.GetGenericTypeDefinition() != typeof(Live<,>)) type = type.BaseType!;
            return (NodeHistory)Activator.CreateInstance(typeof(Of<,>).MakeGenericType(type.GetGenericArguments()), node)!;
        }

        public abstract void Note();

        public abstract IEnumerable<string> Differences(LiveNode fresh);
    }

    private sealed class Of<TKey, T>(Live<TKey, T> node) : NodeHistory(node.Name) where TKey : notnull where T : IEquatable<T>
    {
        private ImmutableDictionary<TKey, T> _before = node.Items;

        public override void Note()
        {
            foreach (var key in node.Changed)
            {
                if (!node.Items.ContainsKey(key)) Removed++;
                else if (_before.ContainsKey(key)) Replaced++;
                else Added++;
            }
            _before = node.Items;
        }

        public override IEnumerable<string> Differences(LiveNode fresh)
        {
            var (has, wanted) = (node.Items, ((Live<TKey, T>)fresh).Items);
            foreach (var key in has.Keys.Union(wanted.Keys))
            {
                if (!wanted.TryGetValue(key, out var right)) yield return $"'{key}' should be gone: {has[key]}";
                else if (!has.TryGetValue(key, out var kept)) yield return $"'{key}' is missing: {right}";
                else if (!kept.Equals(right)) yield return $"'{key}' is {kept} instead of {right}";
            }
        }
    }
}

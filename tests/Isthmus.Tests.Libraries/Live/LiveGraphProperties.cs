using FsCheck;
using FsCheck.Fluent;
using Isthmus.Core.Collections;
using Isthmus.Core.Live;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Libraries.Live;

/// <summary>Laws that hold after every history of changes and commits.</summary>
public sealed class LiveGraphProperties
{
    private abstract record Step
    {
        /// <summary>An input that produces several keys, which others may produce too.</summary>
        public sealed record Put(int Input, int First, int Count) : Step;
        public sealed record Remove(int Input) : Step;
        public sealed record Factor(int Key, int Value) : Step;
        public sealed record Commit : Step;
    }

    private sealed record Range(int First, int Count);

    private static readonly Gen<Step> Steps = Gen.Frequency<Step>(
        (6, from input in Gen.Choose(0, 4) from first in Gen.Choose(0, 4) from count in Gen.Choose(0, 3) select (Step)new Step.Put(input, first, count)),
        (3, Gen.Choose(0, 4).Select(input => (Step)new Step.Remove(input))),
        (3, from key in Gen.Choose(0, 4) from value in Gen.Choose(0, 3) select (Step)new Step.Factor(key, value)),
        (4, Gen.Constant((Step)new Step.Commit())));

    private sealed class Rig
    {
        public Rig()
        {
            Ranges = new(Graph, "ranges");
            Factors = new(Graph, "factors");
            Made = Ranges.Derive((read, range) => Enumerable.Range(range.First, range.Count)
                .Select(n => KeyValuePair.Create(n, $"{range.First}*{read.Get(Factors, n)}")),
                "made");
            ByFactor = Made.GroupByMany(text => text.Split('*'), "by part");
            Sizes = ByFactor.Derive((_, group) => group.Take(1).Select(first => KeyValuePair.Create(first, group.Count)), "sizes");
        }

        public LiveGraph Graph { get; } = new();
        public Source<int, Range> Ranges { get; }
        public Source<int, int> Factors { get; }
        public Live<int, string> Made { get; }
        public Live<string, ValueList<string>> ByFactor { get; }
        public Live<string, int> Sizes { get; }

        public void Apply(Step step)
        {
            switch (step)
            {
                case Step.Put put: Ranges.Put(put.Input, new(put.First, put.Count)); break;
                case Step.Remove remove: Ranges.Remove(remove.Input); break;
                case Step.Factor factor: Factors.Put(factor.Key, factor.Value); break;
                default: Graph.Commit(); break;
            }
        }
    }

    [Fact]
    public void What_increments_made_is_what_a_fresh_start_makes() => Prop.ForAll(Arb.From(Steps.ListOf(60)), history =>
    {
        var rig = new Rig();
        foreach (var step in history)
        {
            rig.Apply(step);
            Assert.Empty(rig.Graph.Verify());
        }
        rig.Graph.Commit();
        Assert.Empty(rig.Graph.Verify());
        Assert.Equal(0, rig.Graph.Failures);
    }).MustHold();

    /// <summary>The naive graph: for each key a list of the inputs that produce it, in the order in which they
    /// came.</summary>
    [Fact]
    public void The_oldest_input_holds_each_key() => Prop.ForAll(Arb.From(Steps.ListOf(60)), history =>
    {
        var rig = new Rig();
        var queues = Enumerable.Range(0, 10).Select(_ => new List<int>()).ToArray();
        foreach (var step in history.Append(new Step.Commit()))
        {
            rig.Apply(step);
            if (step is not Step.Commit) continue;
            for (var key = 0; key < queues.Length; key++)
            {
                var makers = rig.Ranges.Items.Where(item => key >= item.Value.First && key < item.Value.First + item.Value.Count).Select(item => item.Key)
                    .Order().ToList();
                queues[key].RemoveAll(input => !makers.Contains(input));
                queues[key].AddRange(makers.Except(queues[key]).ToList());
                var expected = queues[key] is [var holder, ..] ? $"{rig.Ranges.Items[holder].First}*{rig.Factors.Items.GetValueOrDefault(key)}" : null;
                Assert.Equal(expected, rig.Made.Items.GetValueOrDefault(key));
            }
            Assert.Equal(
                queues.Select((queue, key) => (queue, key)).Where(item => item.queue.Count > 1).Select(item => $"{item.key}: {string.Join(' ', item.queue)}"),
                rig.Made.Conflicts.Select(conflict => $"{conflict.Key}: {conflict.Holder} {string.Join(' ', conflict.Waiting)}").Order(StringComparer.Ordinal));
        }
    }).MustHold();

    [Fact]
    public void Batches_make_no_difference_where_no_key_is_contested() => Prop.ForAll(Arb.From(Steps.ListOf(40)), history =>
    {
        var (many, one) = (new Rig(), new Rig());
        foreach (var step in history.Select(Apart))
        {
            many.Apply(step);
            if (step is not Step.Commit) one.Apply(step);
        }
        many.Graph.Commit();
        one.Graph.Commit();
        Assert.Equal(one.Made.Items.OrderBy(item => item.Key), many.Made.Items.OrderBy(item => item.Key));
        Assert.Equal(one.ByFactor.Items.OrderBy(item => item.Key, StringComparer.Ordinal),
            many.ByFactor.Items.OrderBy(item => item.Key, StringComparer.Ordinal));
    }).MustHold();

    /// <summary>Each input with its own keys.</summary>
    private static Step Apart(Step step) => step is Step.Put put ? put with { First = put.Input * 10 + put.First } : step;
}

using System.Runtime.CompilerServices;
using Isthmus.Core.Collections;

namespace Isthmus.Core.Live;

/// <summary>An index of another collection: each group's items in key order.</summary>
internal sealed class Grouped<TInKey, TIn, TGroup> : Live<TGroup, ValueList<TIn>>
    where TInKey : notnull, IComparable<TInKey>
    where TIn : IEquatable<TIn>
    where TGroup : notnull
{
    private readonly Live<TInKey, TIn> _input;
    private readonly Func<TIn, IEnumerable<TGroup>> _groupsOf;
    private readonly Dictionary<TInKey, TGroup[]> _last = [];
    private readonly Dictionary<TGroup, SortedDictionary<TInKey, TIn>> _groups = [];

    internal Grouped(Live<TInKey, TIn> input, Func<TIn, IEnumerable<TGroup>> groupsOf, string name)
        : base(input.Graph, name) => (_input, _groupsOf) = (input, groupsOf);

    internal override void Step()
    {
        if (_input.Changed.Count == 0) return;
        var touched = new HashSet<TGroup>();
        foreach (var key in _input.Changed)
        {
            if (_last.Remove(key, out var was))
            {
                foreach (var group in was)
                {
                    _groups[group].Remove(key);
                    touched.Add(group);
                }
            }
            if (!_input.Items.TryGetValue(key, out var item)) continue;
            var groups = GroupsOf(item, was);
            foreach (var group in groups)
            {
                (_groups.TryGetValue(group, out var members) ? members : _groups[group] = []).Add(key, item);
                touched.Add(group);
            }
            _last[key] = groups;
        }
        Apply(touched.ToDictionary(group => group, group => _groups[group].Count == 0
            ? default
            : new Option<ValueList<TIn>>(true, new([.. _groups[group].Values]))));
        foreach (var group in touched)
        {
            if (_groups[group].Count == 0) _groups.Remove(group);
        }
    }

    /// <summary>A function that throws is a bug: the item stays in its previous groups, and the graph continues.</summary>
    private TGroup[] GroupsOf(TIn item, TGroup[]? before)
    {
        try
        {
            // Most items are in one group.
            var groups = _groupsOf(item);
            return groups is TGroup[] { Length: < 2 } few ? few : [.. groups.Distinct()];
        }
        catch (Exception bug)
        {
            Fail(bug);
            return before ?? [];
        }
    }

    internal override IEnumerable<string> Verify()
    {
        var fresh = new Dictionary<TGroup, SortedDictionary<TInKey, TIn>>();
        foreach (var (key, item) in _input.Items)
        {
            TGroup[] groups;
            try { groups = [.. _groupsOf(item).Distinct()]; }
            catch (Exception) { groups = _last.GetValueOrDefault(key) ?? []; } // its previous groups
            if (!_last.TryGetValue(key, out var kept) || !groups.SequenceEqual(kept)) yield return $"{Name}: '{key}' is in the wrong groups";
            foreach (var group in groups) (fresh.TryGetValue(group, out var members) ? members : fresh[group] = []).Add(key, item);
        }
        foreach (var key in _last.Keys)
        {
            if (!_input.Items.ContainsKey(key)) yield return $"{Name}: '{key}' is gone, but not from its groups";
        }
        foreach (var (group, members) in fresh)
        {
            if (!Items.TryGetValue(group, out var kept)) yield return $"{Name}: group '{group}' is missing";
            else
            {
                if (!kept.SequenceEqual(members.Values)) yield return $"{Name}: group '{group}' is stale";
                if (!_groups.TryGetValue(group, out var indexed) || !indexed.SequenceEqual(members))
                    yield return $"{Name}: the index of group '{group}' is stale";
            }
        }
        foreach (var group in Items.Keys.Union(_groups.Keys))
        {
            if (!fresh.ContainsKey(group)) yield return $"{Name}: group '{group}' should be gone";
        }
    }
}

public static class LiveExtensions
{
    /// <summary>
    /// A collection made from <paramref name="input"/>: each item yields any number of outputs. The transform must be pure;
    /// it reads other collections through the reader only, and runs again for an item when what it read changes.
    /// If several items produce one key, the oldest holds it, and <see cref="LiveNode.Conflicts"/> lists them.
    /// </summary>
    public static Live<TKey, T> Derive<TInKey, TIn, TKey, T>(
        this Live<TInKey, TIn> input,
        Func<Reader, TIn, IEnumerable<KeyValuePair<TKey, T>>> transform,
        [CallerArgumentExpression(nameof(transform))] string name = "")
        where TInKey : notnull
        where TIn : IEquatable<TIn>
        where TKey : notnull
        where T : IEquatable<T>
        => new Derived<TInKey, TIn, TKey, T>(input, transform, name);

    /// <summary>An index: the items of each group in key order. Keep groups to a few thousand items, a change rebuilds its group.</summary>
    public static Live<TGroup, ValueList<TIn>> GroupBy<TInKey, TIn, TGroup>(
        this Live<TInKey, TIn> input,
        Func<TIn, TGroup> groupOf,
        [CallerArgumentExpression(nameof(groupOf))] string name = "")
        where TInKey : notnull, IComparable<TInKey>
        where TIn : IEquatable<TIn>
        where TGroup : notnull
        => new Grouped<TInKey, TIn, TGroup>(input, item => [groupOf(item)], name);

    /// <summary>As <see cref="GroupBy{TInKey,TIn,TGroup}"/>, for items that belong to several groups or none.</summary>
    public static Live<TGroup, ValueList<TIn>> GroupByMany<TInKey, TIn, TGroup>(
        this Live<TInKey, TIn> input,
        Func<TIn, IEnumerable<TGroup>> groupsOf,
        [CallerArgumentExpression(nameof(groupsOf))] string name = "")
        where TInKey : notnull, IComparable<TInKey>
        where TIn : IEquatable<TIn>
        where TGroup : notnull
        => new Grouped<TInKey, TIn, TGroup>(input, groupsOf, name);
}

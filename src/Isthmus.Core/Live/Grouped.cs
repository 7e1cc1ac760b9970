using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
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

    /// <summary>The groups of each item that is in some.</summary>
    private readonly Dictionary<TInKey, TGroup[]> _last = [];
    private readonly Dictionary<TGroup, Members> _groups = [];

    /// <summary>A group. Most have few members, or one: two arrays are smaller than a tree, and a change copies the list anyway.</summary>
    /// <param name="keys">In order.</param>
    /// <param name="items">Those under the keys.</param>
    private sealed class Members(TInKey[] keys, ImmutableArray<TIn> items)
    {
        public static readonly Members None = new([], []);

        public TInKey[] Keys { get; } = keys;

        public ImmutableArray<TIn> Items { get; } = items;

        /// <param name="edits">Of different keys, in order.</param>
        public Members With(List<Edit> edits)
        {
            var count = Keys.Length;
            foreach (var edit in edits) count += (edit.IsMember ? 1 : 0) - (Array.BinarySearch(Keys, edit.Key) >= 0 ? 1 : 0);
            if (count == 0) return None;
            var (newKeys, newItems) = (new TInKey[count], new TIn[count]);
            var (from, to) = (0, 0);
            foreach (var edit in edits)
            {
                var found = Array.BinarySearch(Keys, from, Keys.Length - from, edit.Key);
                Copy(found >= 0 ? found : ~found);
                if (found >= 0) from++;
                if (edit.IsMember) (newKeys[to], newItems[to++]) = (edit.Key, edit.Item!);
            }
            Copy(Keys.Length);
            return new(newKeys, ImmutableCollectionsMarshal.AsImmutableArray(newItems));

            void Copy(int end)
            {
                Array.Copy(Keys, from, newKeys, to, end - from);
                Items.CopyTo(from, newItems, to, end - from);
                (from, to) = (end, to + end - from);
            }
        }
    }

    /// <summary>A change of a group: the item that a key has in it now, or that it has none.</summary>
    private sealed class Edit(TInKey key, bool isMember, TIn? item)
    {
        public TInKey Key { get; } = key;

        public bool IsMember { get; } = isMember;

        public TIn? Item { get; } = item;
    }

    internal Grouped(Live<TInKey, TIn> input, Func<TIn, IEnumerable<TGroup>> groupsOf, string name)
        : base(input.Graph, name) => (_input, _groupsOf) = (input, groupsOf);

    internal override void Step()
    {
        if (_input.Changed.Count == 0) return;
        var edits = new Dictionary<TGroup, List<Edit>>();
        foreach (var key in _input.Changed)
        {
            if (_last.Remove(key, out var was))
            {
                foreach (var group in was) Note(group, new(key, false, default));
            }
            if (!_input.Items.TryGetValue(key, out var item)) continue;
            var groups = GroupsOf(item, was);
            foreach (var group in groups) Note(group, new(key, true, item));
            if (groups.Length > 0) _last[key] = groups;
        }
        var staged = new Dictionary<TGroup, Option<ValueList<TIn>>>(edits.Count);
        foreach (var (group, list) in edits)
        {
            if (list.Count > 1) list.Sort((one, other) => one.Key.CompareTo(other.Key));
            var members = (_groups.GetValueOrDefault(group) ?? Members.None).With(list);
            if (members.Keys.Length == 0) _groups.Remove(group);
            else _groups[group] = members;
            staged[group] = members.Keys.Length == 0 ? default : new(true, new(members.Items));
        }
        Apply(staged);

        void Note(TGroup group, Edit edit)
        {
            var list = edits.TryGetValue(group, out var known) ? known : edits[group] = [];
            // What leaves a group and is in it again has only changed.
            if (list.Count > 0 && list[^1].Key.CompareTo(edit.Key) == 0) list[^1] = edit;
            else list.Add(edit);
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
            if (!groups.SequenceEqual(_last.GetValueOrDefault(key) ?? [])) yield return $"{Name}: '{key}' is in the wrong groups";
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
                if (!_groups.TryGetValue(group, out var indexed) || !indexed.Keys.SequenceEqual(members.Keys)
                    || !indexed.Items.SequenceEqual(members.Values))
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

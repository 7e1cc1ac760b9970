using Isthmus.Core.Collections;
using Isthmus.Core.Live;
using Xunit;

namespace Isthmus.Tests.Libraries.Live;

/// <summary>The live graph alone, with numbers and text as objects.</summary>
public sealed class LiveGraphTests
{
    private readonly LiveGraph _graph = new();

    [Fact]
    public void A_transform_runs_again_for_its_input_and_for_what_it_read_and_for_nothing_else()
    {
        var prices = new Source<string, int>(_graph, "prices");
        var orders = new Source<string, string>(_graph, "orders");
        var runs = new List<string>();
        var totals = orders.Derive((read, fruit) =>
        {
            runs.Add(fruit);
            return One(fruit, read.Get(prices, fruit));
        });
        orders.Put("1", "apple");
        orders.Put("2", "pear");
        prices.Put("apple", 3);
        _graph.Commit();
        Assert.Equal(["apple", "pear"], runs.Order());
        runs.Clear();

        prices.Put("pear", 4);
        prices.Put("plum", 5);
        _graph.Commit();
        Assert.Equal(["pear"], runs);
        Assert.Equal(4, totals.Items["pear"]);
        runs.Clear();

        prices.Put("pear", 4);
        _graph.Commit();
        Assert.Empty(runs);
    }

    [Fact]
    public void Equal_values_stop_a_change()
    {
        var numbers = new Source<string, int>(_graph, "numbers");
        var parities = numbers.Derive((_, n) => One("parity", n % 2));
        var runs = 0;
        parities.Derive((_, parity) =>
        {
            runs++;
            return One("seen", parity);
        });
        numbers.Put("n", 1);
        _graph.Commit();
        numbers.Put("n", 3);
        _graph.Commit();
        Assert.Equal(1, runs);
    }

    [Fact]
    public void A_transform_may_not_read_a_collection_that_was_made_after_its_own()
    {
        var numbers = new Source<string, int>(_graph, "numbers");
        Source<string, int>? later = null;
        var copies = numbers.Derive((read, n) => One("n", n + read.Get(later!, "n")));
        later = new(_graph, "later");
        numbers.Put("n", 1);
        _graph.Commit();
        Assert.Equal(1, copies.Failures);
        Assert.Contains("created before", copies.LastFailure!.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_transform_that_throws_keeps_its_last_output_and_the_others_go_on()
    {
        var numbers = new Source<string, int>(_graph, "numbers");
        var halves = numbers.Derive((_, n) => n % 2 == 0 ? One($"{n / 10}", n / 2) : throw new InvalidOperationException("odd"));
        numbers.Put("a", 10);
        numbers.Put("b", 20);
        _graph.Commit();
        numbers.Put("a", 11);
        numbers.Put("b", 22);
        _graph.Commit();
        Assert.Equal((5, 11), (halves.Items["1"], halves.Items["2"]));
        Assert.Equal((1L, 1L), (halves.Failures, _graph.Failures));
        Assert.Empty(_graph.Verify());
        Assert.Equal(1, _graph.Failures);
    }

    [Fact]
    public void Groups_are_in_key_order_and_end_with_their_last_item()
    {
        var fruits = new Source<int, string>(_graph, "fruits");
        var byLetter = fruits.GroupBy(fruit => fruit[..1]);
        fruits.Put(2, "apple");
        fruits.Put(1, "apricot");
        fruits.Put(3, "pear");
        _graph.Commit();
        Assert.Equal(["apricot", "apple"], byLetter.Items["a"].Items.ToArray());
        fruits.Put(3, "avocado");
        _graph.Commit();
        Assert.Equal(["apricot", "apple", "avocado"], byLetter.Items["a"].Items.ToArray());
        Assert.DoesNotContain("p", byLetter.Items.Keys);
    }

    [Fact]
    public void What_a_reduced_collection_leaves_out_changes_nothing_behind_it()
    {
        var texts = new Source<int, string>(_graph, "texts");
        var words = texts.Reduce(text => text.Length > 9 ? throw new InvalidOperationException("long") : text.Trim());
        var runs = new List<string>();
        var seen = words.Derive((_, word) =>
        {
            runs.Add(word);
            return (KeyValuePair<string, int>[])[new(word, word.Length)];
        });
        texts.Put(1, "a ");
        texts.Put(2, "b");
        _graph.Commit();
        texts.Put(1, " a");
        _graph.Commit();
        Assert.Equal(["a", "b"], runs.Order());
        texts.Put(1, "c");
        texts.Put(2, "much too long");
        _graph.Commit();
        Assert.Equal(["b", "c"], seen.Items.Keys.Order());
        Assert.Equal(1, words.Failures);
        texts.Remove(2);
        _graph.Commit();
        Assert.Equal(["c"], seen.Items.Keys);
        Assert.Empty(_graph.Verify());
    }

    [Fact]
    public void Groups_follow_items_that_come_change_and_go_together()
    {
        var fruits = new Source<int, string>(_graph, "fruits");
        var byLetter = fruits.GroupBy(fruit => fruit[..1]);
        foreach (var key in (int[])[5, 1, 9, 3, 7]) fruits.Put(key, $"a{key}");
        _graph.Commit();
        fruits.Remove(1);
        fruits.Put(2, "a2");
        fruits.Put(5, "a5 again");
        fruits.Put(7, "b7");
        fruits.Put(10, "a10");
        _graph.Commit();
        Assert.Equal(["a2", "a3", "a5 again", "a9", "a10"], byLetter.Items["a"].Items.ToArray());
        Assert.Equal(["b7"], byLetter.Items["b"].Items.ToArray());
        Assert.Empty(_graph.Verify());
    }

    [Fact]
    public void An_item_whose_groups_cannot_be_told_stays_where_it_was()
    {
        var numbers = new Source<int, int>(_graph, "numbers");
        var byHalf = numbers.GroupBy(n => n >= 0 ? n / 10 : throw new InvalidOperationException("negative"));
        numbers.Put(1, 15);
        _graph.Commit();
        numbers.Put(1, -1);
        numbers.Put(2, 25);
        _graph.Commit();
        Assert.Equal([-1], byHalf.Items[1].Items.ToArray());
        Assert.Equal([25], byHalf.Items[2].Items.ToArray());
        Assert.Equal(1, byHalf.Failures);
        Assert.Empty(_graph.Verify());
    }

    [Fact]
    public void Of_two_inputs_that_make_one_key_the_older_holds_it_and_the_other_takes_over_when_it_goes()
    {
        var owners = new Source<string, string>(_graph, "owners");
        var names = owners.Derive((_, name) => One(name, $"{name}!"), "names");
        var lengths = owners.Derive((_, name) => One(name.Length, name), "by length");
        owners.Put("zoe", "shared");
        _graph.Commit();
        owners.Put("adam", "shared");
        owners.Put("eve", "single");
        _graph.Commit();
        var conflict = Assert.Single(names.Conflicts);
        Assert.Equal(("shared", "zoe"), (conflict.Key, conflict.Holder));
        Assert.Equal(["adam"], conflict.Waiting);
        Assert.Equal(1, names.ConflictCount);
        // All three words have six letters: one key from three inputs.
        Assert.Equal((1, "shared"), (lengths.ConflictCount, lengths.Items[6]));
        Assert.Equal(2, _graph.Conflicts);

        owners.Remove("zoe");
        _graph.Commit();
        Assert.Equal("shared!", names.Items["shared"]);
        Assert.Empty(names.Conflicts);
        Assert.Equal("adam", Assert.Single(lengths.Conflicts).Holder);
        Assert.Empty(_graph.Verify());

        owners.Remove("adam");
        _graph.Commit();
        Assert.DoesNotContain("shared", names.Items.Keys);
        Assert.Equal("single", lengths.Items[6]);
    }

    [Fact]
    public void An_input_that_changes_keeps_its_place_among_those_that_make_a_key()
    {
        var owners = new Source<string, int>(_graph, "owners");
        var best = owners.Derive((_, n) => One("key", n));
        owners.Put("first", 1);
        _graph.Commit();
        owners.Put("second", 2);
        _graph.Commit();
        owners.Put("first", 10);
        owners.Put("second", 20);
        _graph.Commit();
        Assert.Equal(10, best.Items["key"]);
        owners.Remove("first");
        owners.Put("second", 30);
        _graph.Commit();
        Assert.Equal(30, best.Items["key"]);
    }

    [Fact]
    public void A_key_may_move_from_one_input_to_another_in_one_commit()
    {
        var owners = new Source<string, string>(_graph, "owners");
        var names = owners.Derive((_, name) => One(name, name.Length));
        owners.Put("a", "one");
        owners.Put("b", "two");
        _graph.Commit();
        owners.Put("a", "two");
        owners.Put("b", "one");
        _graph.Commit();
        Assert.Equal(["one", "two"], names.Items.Keys.Order());
        Assert.Equal(0, names.ConflictCount);
        Assert.Empty(_graph.Verify());
    }

    [Fact]
    public void Inputs_of_one_commit_are_ordered_by_their_keys()
    {
        foreach (var order in (string[][])[["a", "b", "c"], ["c", "b", "a"], ["b", "c", "a"]])
        {
            var graph = new LiveGraph();
            var owners = new Source<string, string>(graph, "owners");
            var names = owners.Derive((_, name) => One("key", name));
            foreach (var key in order) owners.Put(key, key);
            graph.Commit();
            Assert.Equal("a", names.Items["key"]);
            Assert.Equal(["b", "c"], Assert.Single(names.Conflicts).Waiting);
        }
    }

    [Fact]
    public void Of_a_union_the_first_collection_counts_and_the_second_comes_back()
    {
        var first = new Source<string, int>(_graph, "first");
        var second = new Source<string, int>(_graph, "second");
        var both = first.UnionWith(second);
        first.Put("k", 1);
        second.Put("k", 2);
        _graph.Commit();
        Assert.Equal(1, both.Items["k"]);
        first.Remove("k");
        _graph.Commit();
        Assert.Equal(2, both.Items["k"]);
    }

    [Fact]
    public void Removing_by_a_condition_removes_what_is_staged_too()
    {
        var numbers = new Source<int, string>(_graph, "numbers");
        numbers.Put(1, "old");
        numbers.Put(2, "kept");
        _graph.Commit();
        numbers.Put(3, "staged");
        numbers.RemoveWhere(key => key % 2 == 1);
        var revision = _graph.Revision;
        Assert.Equal(2, numbers.Count);
        _graph.Commit();
        Assert.Equal([2], numbers.Items.Keys);
        Assert.Equal(revision + 1, _graph.Revision);
    }

    [Fact]
    public void Verifying_finds_an_item_that_does_not_follow_from_its_input()
    {
        var factor = 1;
        var numbers = new Source<string, int>(_graph, "numbers");
        // An impure function, which plants a difference.
        var products = numbers.Derive((_, n) => One("n", n * factor), "products");
        products.GroupBy(n => n, "by value");
        numbers.Put("n", 2);
        _graph.Commit();
        Assert.Empty(_graph.Verify());
        factor = 3;
        Assert.Equal(["products: 'n' is stale"], _graph.Verify());
    }

    [Fact]
    public void Verifying_finds_keys_that_are_missing_or_should_be_gone()
    {
        var name = "old";
        var numbers = new Source<string, int>(_graph, "numbers");
        numbers.Derive((_, n) => One(name, n), "named");
        numbers.Put("n", 2);
        _graph.Commit();
        name = "new";
        Assert.Equal(["named: 'new' is claimed by the wrong inputs", "named: 'new' is missing", "named: 'old' should be gone"], _graph.Verify());
    }

    [Fact]
    public void Verifying_finds_what_an_input_that_waits_for_a_key_would_make_now()
    {
        var factor = 1;
        var numbers = new Source<string, int>(_graph, "numbers");
        numbers.Derive((_, n) => One("shared", n > 2 ? n * factor : n), "products");
        numbers.Put("a", 2);
        numbers.Put("b", 3);
        _graph.Commit();
        Assert.Empty(_graph.Verify());
        factor = 3;
        Assert.Equal(["products: 'shared' of the waiting 'b' is stale"], _graph.Verify());
    }

    [Fact]
    public void Verifying_finds_an_input_that_fails_only_now()
    {
        var fails = false;
        var numbers = new Source<string, int>(_graph, "numbers");
        numbers.Derive((_, n) => fails ? throw new InvalidOperationException("now") : One("n", n), "named");
        numbers.Put("n", 2);
        _graph.Commit();
        Assert.Empty(_graph.Verify());
        fails = true;
        Assert.Equal(["named: input 'n' fails now, and what it made before is served"], _graph.Verify());
    }

    [Fact]
    public void Verifying_finds_an_index_that_is_wrong()
    {
        var size = 10;
        var numbers = new Source<string, int>(_graph, "numbers");
        numbers.GroupBy(n => n / size, "tens");
        numbers.Put("n", 25);
        _graph.Commit();
        Assert.Empty(_graph.Verify());
        size = 20;
        Assert.Equal(["tens: 'n' is in the wrong groups", "tens: group '1' is missing", "tens: group '2' should be gone"], _graph.Verify());
    }

    [Fact]
    public void Verifying_changes_nothing_and_does_not_read_what_is_staged()
    {
        var numbers = new Source<string, int>(_graph, "numbers");
        var doubles = numbers.Derive((_, n) => n > 0 ? One("n", n * 2) : throw new InvalidOperationException("negative"));
        numbers.Put("n", 1);
        _graph.Commit();
        var revision = _graph.Revision;
        numbers.Put("n", -1);
        Assert.Empty(_graph.Verify());
        Assert.Equal((revision, 0L, 2), (_graph.Revision, _graph.Failures, doubles.Items["n"]));
        Assert.Null(doubles.LastFailure);
    }

    [Fact]
    public void A_listener_that_throws_does_not_leave_the_changes_of_its_commit_behind()
    {
        var numbers = new Source<string, int>(_graph, "numbers");
        var doubles = numbers.Derive((_, n) => One("n", n * 2));
        var fail = true;
        _graph.Committed += _ =>
        {
            if (fail) throw new InvalidOperationException("a bug");
        };
        numbers.Put("n", 1);
        Assert.Throws<InvalidOperationException>(() => _graph.Commit());
        Assert.Empty(doubles.Changed);
        fail = false;
        numbers.Put("m", 2);
        _graph.Commit();
        Assert.Empty(_graph.Verify());
    }

    private static KeyValuePair<TKey, T>[] One<TKey, T>(TKey key, T value) => [KeyValuePair.Create(key, value)];
}

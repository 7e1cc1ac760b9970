using System.Text.Json.Nodes;
using FsCheck;
using FsCheck.Fluent;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Storage;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Lab.ApiServer.Storage;

public sealed class ObjectStoreTests : IDisposable
{
    private static readonly GroupResource Things = new("example.com", "things");
    private readonly string _directory = Directory.CreateTempSubdirectory("store").FullName;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(_directory, true);

    [Fact]
    public async Task A_name_is_taken_once_and_a_stale_write_is_refused()
    {
        using var store = Open();
        var first = await store.CreateAsync(Things, Thing("a", 1), Stop);
        Assert.Null(await store.CreateAsync(Things, Thing("a", 2), Stop));
        var second = await store.UpdateAsync(Things, Thing("a", 3), first!, Stop);
        Assert.Null(await store.UpdateAsync(Things, Thing("a", 4), first!, Stop));
        Assert.Null(await store.DeleteAsync(Things, first!, null, Stop));
        Assert.Equal(second!.Revision, store.Find(Things, "n", "a")!.Revision);
        Assert.NotNull(await store.DeleteAsync(Things, second, null, Stop));
        Assert.Null(store.Find(Things, "n", "a"));
    }

    [Fact]
    public async Task Watches_see_each_change_once_in_order_with_what_was_before()
    {
        using var store = Open();
        var from = store.Revision;
        await Write(store, 20);
        var watch = store.Watch(Things, from);
        var seen = new List<ObjectChange>();
        while (watch.TryRead(out var change)) seen.Add(change);
        Assert.Equal(20, seen.Count);
        Assert.Equal(seen.Select(change => change.Revision).Order(), seen.Select(change => change.Revision));
        Assert.Equal(store.Revision, watch.SeenRevision);
        var live = watch.WaitAsync(Stop);
        await store.CreateAsync(Things, Thing("late", 1), Stop);
        await live;
        Assert.True(watch.TryRead(out var late));
        Assert.Equal((ChangeType.Added, "late"), (late.Type, late.Object.Name));
    }

    [Fact]
    public async Task A_restart_resumes_revisions_objects_old_lists_and_watches()
    {
        long middle;
        List<string> before;
        long end;
        using (var store = Open())
        {
            await Write(store, 10);
            middle = store.Revision;
            before = Keys(store.List(Things));
            await Write(store, 15, seed: 7);
            end = store.Revision;
        }
        using var again = Open();
        Assert.Equal(end, again.Revision);
        Assert.Equal(before, Keys(again.ListAt(Things, null, middle)));
        var watch = again.Watch(Things, middle);
        var seen = 0;
        while (watch.TryRead(out var change)) Assert.Equal(middle + ++seen, change.Revision);
        Assert.Equal(15, seen);
        Assert.Equal(end + 1, (await again.CreateAsync(Things, Thing("next", 1), Stop))!.Revision);
    }

    [Fact]
    public async Task What_lags_too_far_is_told_so()
    {
        using var store = Open(kept: 8);
        var start = store.Revision;
        await Write(store, 40);
        var e = Assert.Throws<CompactedException>(() => store.Watch(Things, start));
        Assert.StartsWith($"too old resource version: {start} (", e.Message, StringComparison.Ordinal);
        Assert.Throws<CompactedException>(() => store.ListAt(Things, null, start));
        var watch = store.Watch(Things, store.Revision - 5);
        var seen = 0;
        while (watch.TryRead(out _)) seen++;
        Assert.Equal(5, seen);
    }

    [Fact]
    public void Every_old_list_is_what_was_there_then()
    {
        var steps = Gen.ListOf(from name in Gen.Elements("a", "b", "c") from delete in Gen.Elements(true, false, false) select (name, delete));
        Prop.ForAll(steps.ToArbitrary(), history =>
        {
            using var store = new ObjectStore(Path.Combine(_directory, Guid.NewGuid().ToString("N")), false);
            var lists = new List<(long, List<string>)>();
            foreach (var (name, delete) in history)
            {
                Step(store, name, delete).GetAwaiter().GetResult();
                lists.Add((store.Revision, Keys(store.List(Things))));
            }
            return lists.TrueForAll(list => Keys(store.ListAt(Things, null, list.Item1)).SequenceEqual(list.Item2));
        }).MustHold(15);
    }

    [Fact]
    public async Task Writers_below_the_api_do_not_lose_each_others_changes()
    {
        using var store = Open();
        await store.CreateAsync(Things, Thing("a", 0), Stop);
        await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(async () =>
        {
            for (var i = 0; i < 25; i++)
                await store.ChangeAsync(Things, "n", "a", o => (o["value"] = (int)o["value"]! + 1) is not null, Stop);
        }, Stop)));
        Assert.Equal(200, (int)store.Find(Things, "n", "a")!.Parse()["value"]!);
    }

    private ObjectStore Open(int kept = 8192) => new(Path.Combine(_directory, "state.db"), false, kept);

    private static List<string> Keys(ObjectList list) => [.. list.Items.Select(o => $"{o.Key}@{o.Revision}")];

    private static async Task Write(ObjectStore store, int count, int seed = 3)
    {
        var random = new Random(seed);
        for (var i = 0; i < count; i++) await Step(store, $"o{random.Next(4)}", random.Next(4) == 0);
    }

    private static async Task Step(ObjectStore store, string name, bool delete)
    {
        var current = store.Find(Things, "n", name);
        if (current is null) await store.CreateAsync(Things, Thing(name, 1), CancellationToken.None);
        else if (delete) await store.DeleteAsync(Things, current, null, CancellationToken.None);
        else await store.UpdateAsync(Things, Thing(name, 2), current, CancellationToken.None);
    }

    private static JsonObject Thing(string name, int value) => new()
    {
        ["metadata"] = new JsonObject { ["name"] = name, ["namespace"] = "n", ["uid"] = name, ["labels"] = new JsonObject { ["x"] = "y" } },
        ["value"] = value,
        ["kind"] = "Thing",
        ["apiVersion"] = "example.com/v1",
    };
}

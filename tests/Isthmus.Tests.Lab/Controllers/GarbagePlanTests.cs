using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.Controllers.Framework;
using Isthmus.Lab.Controllers.Lifecycle;
using Xunit;

namespace Isthmus.Tests.Lab.Controllers;

public class GarbagePlanTests
{
    [Fact]
    public void What_has_lost_all_owners_is_deleted() =>
        Assert.Equal((WriteVerb.Delete, "Background"), Verb(GarbagePlan.For(Node("pod", owners: ["a"]), [OwnerState.Absent], [])));

    [Fact]
    public void What_keeps_one_owner_only_forgets_the_others()
    {
        var write = GarbagePlan.For(Node("pod", owners: ["a", "b"]), [OwnerState.Absent, OwnerState.Present], []).Writes.Single();
        Assert.Equal(WriteVerb.Patch, write.Verb);
        Assert.Equal("b", (string?)write.Body!["metadata"]!["ownerReferences"]!.AsArray().Single()!["uid"]);
    }

    [Fact]
    public void Foreground_goes_down_first_and_comes_up_when_nothing_blocks()
    {
        var set = Node("set", owners: ["web"]);
        var pod = Node("pod", owners: ["set"]);
        Assert.Equal((WriteVerb.Delete, "Foreground"), Verb(GarbagePlan.For(set, [OwnerState.WaitsForDependents], [pod])));
        var leaving = Node("web", leaving: true, finalizers: [GraphNode.Foreground]);
        Assert.Empty(GarbagePlan.For(leaving, [], [set]).Writes);
        Assert.Null(GarbagePlan.For(leaving, [], []).Writes.Single().Body!["metadata"]!["finalizers"]);
    }

    [Fact]
    public void Orphans_are_freed_before_their_owner_goes()
    {
        var writes = GarbagePlan.For(Node("web", leaving: true, finalizers: [GraphNode.Orphan, "other"]), [], [Node("set", owners: ["web"])]).Writes;
        Assert.Equal(["set", "web"], writes.Select(write => write.Name));
        Assert.Null(writes[0].Body!["metadata"]!["ownerReferences"]);
        Assert.Equal("other", (string?)writes[1].Body!["metadata"]!["finalizers"]!.AsArray().Single());
    }

    [Fact]
    public void The_graph_knows_dependents_whatever_came_first()
    {
        var graph = new OwnerGraph();
        Assert.Equal(["pod"], graph.Put(Kinds.Pod, Node("pod", owners: ["set"]).Metadata));
        graph.Put(Kinds.ReplicaSet, Node("set").Metadata);
        Assert.Equal("pod", graph.Dependents("set").Single().Uid);
        Assert.Equal(["pod"], graph.Remove("set"));
        graph.Remove("pod");
        Assert.Empty(graph.Dependents("set"));
    }

    private static (WriteVerb, string) Verb(Plan plan) => (plan.Writes.Single().Verb, plan.Writes.Single().Propagation);

    private static GraphNode Node(string name, string[]? owners = null, bool leaving = false, string[]? finalizers = null) =>
        new(Kinds.ReplicaSet, new ObjectMeta
    {
        Name = name, Uid = name, Namespace = "n", DeletionTimestamp = leaving ? PlanText.Now : null, Finalizers = [.. finalizers ?? []],
        OwnerReferences = [.. (owners ?? [])
            .Select(uid => new OwnerReference
            {
                Uid = uid, Kind = "ReplicaSet", ApiVersion = "apps/v1", Name = uid, Controller = true, BlockOwnerDeletion = true
            })],
    });
}

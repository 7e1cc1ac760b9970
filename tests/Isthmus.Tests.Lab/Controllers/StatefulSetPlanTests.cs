using System.Text.Json;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.Controllers.Framework;
using Isthmus.Lab.Controllers.Workloads;
using Xunit;

namespace Isthmus.Tests.Lab.Controllers;

public class StatefulSetPlanTests
{
    private const string Db = """
        apiVersion: apps/v1
        kind: StatefulSet
        metadata: {name: db, namespace: shop, uid: s1, generation: 1}
        spec:
          replicas: 3
          serviceName: db
          podManagementPolicy: OrderedReady
          selector: {matchLabels: {app: db}}
          template:
            metadata: {labels: {app: db}}
            spec: {containers: [{name: c, image: "db:1"}]}
        ---

        """;

    private static readonly string Revision = For(Db).Writes.Single(write => write.Kind == Kinds.ControllerRevision).Name;

    [Fact]
    public void Pods_come_one_after_the_other_with_stable_names()
    {
        var first = For(Db).Writes.Single(write => write.Kind == Kinds.Pod);
        Assert.Equal("db-0", first.Name);
        Assert.Equal(("db-0", "db"), ((string?)first.Body!["spec"]!["hostname"], (string?)first.Body["spec"]!["subdomain"]));
        Assert.Equal(["db-1"], Pods(For(Db + Pod(0, ready: true))));
        Assert.Empty(Pods(For(Db + Pod(0, ready: false))));
        Assert.Equal(["db-0", "db-1", "db-2"], Pods(For(Db.Replace("OrderedReady", "Parallel"))));
    }

    [Fact]
    public void The_highest_goes_first_when_it_shrinks()
    {
        var plan = For(Db.Replace("replicas: 3", "replicas: 1") + Pod(0, true) + Pod(1, true) + Pod(2, true));
        Assert.Equal(["db-2"], plan.Writes.Where(write => write.Verb == WriteVerb.Delete).Select(write => write.Name));
    }

    [Fact]
    public void An_update_replaces_from_the_highest_down_to_the_partition()
    {
        var old = Db + Pod(0, true, "db-old") + Pod(1, true, "db-old") + Pod(2, true, "db-old");
        Assert.Equal(["db-2"], Pods(For(old), WriteVerb.Delete));
        Assert.Equal(["db-1"], Pods(For(Db + Pod(0, true, "db-old") + Pod(1, true, "db-old") + Pod(2, true)), WriteVerb.Delete));
        Assert.Empty(Pods(For(Db + Pod(0, true, "db-old") + Pod(1, true, "db-old") + Pod(2, false)), WriteVerb.Delete));
        var parted = Db.Replace("serviceName: db", "serviceName: db\n  updateStrategy: {type: RollingUpdate, rollingUpdate: {partition: 2}}");
        Assert.Empty(Pods(For(parted + Pod(0, true, "db-old") + Pod(1, true, "db-old") + Pod(2, true)), WriteVerb.Delete));
    }

    [Fact]
    public void When_all_is_done_the_update_revision_becomes_the_current_one()
    {
        var status = For(Db + Pod(0, true) + Pod(1, true) + Pod(2, true)).Writes.Single(write => write.Subresource == "status").Body!["status"]!;
        Assert.Equal(((string?)status["updateRevision"], 3, 3),
            ((string?)status["currentRevision"], (int)status["readyReplicas"]!, (int)status["updatedReplicas"]!));
    }

    [Fact]
    public void A_daemon_runs_once_on_each_node_that_suits_it()
    {
        var yaml = Db.Replace("kind: StatefulSet", "kind: DaemonSet").Replace("  serviceName: db\n", "");
        var set = PlanText.Read<DaemonSet>(yaml, "DaemonSet").Single();
        Node[] nodes = [new() { Metadata = new() { Name = "a" } },
            new() { Metadata = new() { Name = "b" }, Spec = new() { Taints = [new() { Key = "gpu", Effect = "NoSchedule" }] } }];
        var plan = DaemonSetPlan.For(set, [], nodes, [], PlanText.Now);
        var made = JsonSerializer.Deserialize(plan.Writes.Single(write => write.Kind == Kinds.Pod).Body!, KubeJson.Of<Pod>())!;
        Assert.Contains("\"values\":[\"a\"]", made.Spec.Affinity!.ToJsonString(), StringComparison.Ordinal);
        Assert.Equal(1, (int)plan.Writes.Single(write => write.Subresource == "status").Body!["status"]!["desiredNumberScheduled"]!);
    }

    private static Plan For(string yaml) =>
        StatefulSetPlan.For(PlanText.Read<StatefulSet>(yaml, "StatefulSet").Single(), PlanText.Pods(yaml), [], PlanText.Now);

    private static IEnumerable<string> Pods(Plan plan, WriteVerb verb = WriteVerb.Create) =>
        plan.Writes.Where(write => write.Kind == Kinds.Pod && write.Verb == verb).Select(write => write.Name);

    private static string Pod(int ordinal, bool ready, string? revision = null) => $$"""
        apiVersion: v1
        kind: Pod
        metadata:
          name: db-{{ordinal}}
          namespace: shop
          uid: p{{ordinal}}
          labels: {app: db, controller-revision-hash: {{revision ?? Revision}} }
          ownerReferences: [{apiVersion: apps/v1, kind: StatefulSet, name: db, uid: s1, controller: true}]
        status: {phase: Running, conditions: [{type: Ready, status: "{{(ready ? "True" : "False")}}", lastTransitionTime: 2030-01-01T08:00:00Z}]}
        ---

        """;
}

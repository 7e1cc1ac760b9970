using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.Controllers.Framework;
using Isthmus.Lab.Controllers.Workloads;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Lab.Controllers;

public class ReplicaSetPlanTests
{
    private const string Set = """
        apiVersion: apps/v1
        kind: ReplicaSet
        metadata: {name: web-1, namespace: shop, uid: r1, generation: 3}
        spec:
          replicas: 2
          selector: {matchLabels: {app: web}}
          template:
            metadata: {labels: {app: web}, annotations: {note: kept}}
            spec: {containers: [{name: c, image: i}]}
        ---

        """;

    [Fact]
    public void Missing_pods_are_made_of_the_template() => Golden.Verify(PlanText.Print(For(Set + Pod("a", "Running", ready: true))), "one_missing");

    [Fact]
    public void The_least_useful_pods_go_first()
    {
        var plan = For(Set + Pod("ready-old", "Running", true, "10:00") + Pod("ready-young", "Running", true, "11:00")
            + Pod("cheap", "Running", true, "09:00", cost: -5) + Pod("starting", "Running", false) + Pod("pending", "Pending", false));
        Assert.Equal(["pending", "starting", "cheap"], plan.Writes.Where(write => write.Verb == WriteVerb.Delete).Select(write => write.Name));
    }

    [Fact]
    public void An_orphan_that_matches_is_adopted_and_an_own_pod_that_does_not_is_released()
    {
        var orphan = Pod("orphan", "Running", true).Replace(Owner, "");
        var strayed = Pod("strayed", "Running", true).Replace("{app: web}", "{app: other}");
        var plan = For(Set + orphan + strayed + Pod("own", "Running", true));
        Assert.Equal(["orphan", "strayed"],
            plan.Writes.Where(write => write is { Verb: WriteVerb.Patch, Subresource: null }).Select(write => write.Name).Order());
        Assert.DoesNotContain(plan.Writes, write => write.Verb is WriteVerb.Create or WriteVerb.Delete);
    }

    [Fact]
    public void Why_pods_cannot_be_made_is_told_once_until_they_are_there()
    {
        var set = PlanText.Read<ReplicaSet>(Set, "ReplicaSet").Single();
        Assert.Contains("""{"type":"ReplicaFailure","status":"True","reason":"FailedCreate","message":"no such template",""",
            ReplicaSetPlan.Failed(set, "no such template", PlanText.Now)!.Body!.ToJsonString(), StringComparison.Ordinal);
        set.Status = new() { ObservedGeneration = 3, Conditions = [new() { Type = "ReplicaFailure", Status = "True", Message = "no such template" }] };
        Assert.Null(ReplicaSetPlan.Failed(set, "no such template for web-x7k2p", PlanText.Now));
        Assert.DoesNotContain(ReplicaSetPlan.For(set, [], PlanText.Now).Writes, write => write.Subresource == "status");
        var full = ReplicaSetPlan.For(set, PlanText.Pods(Pod("a", "Running", true) + Pod("b", "Running", true)), PlanText.Now);
        var status = Assert.Single(full.Writes, write => write.Subresource == "status").Body!["status"]!.AsObject();
        Assert.True(status.ContainsKey("conditions") && status["conditions"] is null);
    }

    [Fact]
    public void Somebody_elses_pods_are_left_alone()
    {
        var foreign = Pod("foreign", "Running", true).Replace("uid: r1", "uid: r2");
        Assert.Equal(2, For(Set + foreign).Writes.Count(write => write.Verb == WriteVerb.Create));
    }

    [Fact]
    public void A_pod_that_leaves_or_has_ended_is_replaced()
    {
        var leaving = Pod("leaving", "Running", true).Replace("uid: leaving", "uid: leaving, deletionTimestamp: 2030-01-01T11:59:59Z");
        Assert.Equal(2, For(Set + leaving + Pod("failed", "Failed", false)).Writes.Count(write => write.Verb == WriteVerb.Create));
    }

    private const string Owner = ", ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: web-1, uid: r1, controller: true}]";

    private static Plan For(string yaml) => ReplicaSetPlan.For(PlanText.Read<ReplicaSet>(yaml, "ReplicaSet").Single(), PlanText.Pods(yaml), PlanText.Now);

    private static string Pod(string name, string phase, bool ready, string since = "08:00", int cost = 0) => $$"""
        apiVersion: v1
        kind: Pod
        metadata: {name: {{name}}, namespace: shop, uid: {{name}}, labels: {app: web}, annotations: {controller.kubernetes.io/pod-deletion-cost: "{{cost}}"}{{Owner}}}
        spec: {nodeName: n1}
        status: {phase: {{phase}}, conditions: [{type: Ready, status: "{{(ready ? "True" : "False")}}", lastTransitionTime: 2030-01-01T{{since}}:00Z}]}
        ---

        """;
}

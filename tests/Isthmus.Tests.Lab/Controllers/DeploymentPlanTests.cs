using System.Text.Json;
using System.Text.Json.Nodes;
using FsCheck;
using FsCheck.Fluent;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Lab.Controllers.Framework;
using Isthmus.Lab.Controllers.Workloads;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Lab.Controllers;

public class DeploymentPlanTests
{
    private const string Web = """
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: web, namespace: shop, uid: d1, generation: 2, resourceVersion: "7", annotations: {team: blue, kubectl.kubernetes.io/last-applied-configuration: x}}
        spec:
          replicas: 4
          minReadySeconds: 0
          selector: {matchLabels: {app: web}}
          strategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 25%, maxUnavailable: 25%}}
          template:
            metadata: {creationTimestamp: null, labels: {app: web}}
            spec: {containers: [{name: c, image: "web:2"}]}
        ---

        """;

    [Fact]
    public void A_new_deployment_gets_a_replica_set_with_its_template_and_revision() =>
        Golden.Verify(PlanText.Print(For(Web)), "first");

    [Fact]
    public void An_old_replica_set_gives_way_step_by_step() =>
        Golden.Verify(PlanText.Print(For(Web + OldSet(replicas: 4, available: 4) + NewSet(replicas: 1, available: 1))), "step");

    [Fact]
    public void A_deployment_says_why_its_newest_replica_set_has_no_pods()
    {
        var plan = For(Web + NewSet(replicas: 4, available: 0).Replace("status: {",
            "status: {conditions: [{type: ReplicaFailure, status: \"True\", reason: FailedCreate, message: no such template}], ", StringComparison.Ordinal));
        Assert.Contains("no such template", PlanText.Print(plan), StringComparison.Ordinal);
        Assert.DoesNotContain("ReplicaFailure", PlanText.Print(For(Web + NewSet(replicas: 4, available: 0))), StringComparison.Ordinal);
    }

    [Fact]
    public void A_paused_deployment_scales_but_does_not_roll()
    {
        var plan = For(Web.Replace("replicas: 4", "replicas: 6\n  paused: true") + OldSet(4, 4));
        Assert.DoesNotContain(plan.Writes, write => write.Verb == WriteVerb.Create);
        Assert.Contains(plan.Writes, write => write.Kind == Kinds.ReplicaSet && (int?)write.Body!["spec"]?["replicas"] == 6);
        Assert.Contains("DeploymentPaused", PlanText.Print(plan), StringComparison.Ordinal);
    }

    [Fact]
    public void Recreate_waits_for_the_last_old_pod()
    {
        var recreate = Web.Replace("{type: RollingUpdate, rollingUpdate: {maxSurge: 25%, maxUnavailable: 25%}}", "{type: Recreate}") + OldSet(4, 4);
        var waiting = For(recreate, oldPodsRun: true);
        Assert.Contains(waiting.Writes, write => (int?)write.Body?["spec"]?["replicas"] == 0);
        Assert.DoesNotContain(waiting.Writes, write => write.Verb == WriteVerb.Create);
        var next = For(recreate.Replace("replicas: 4\n  selector: {matchLabels: {app: web, pod", "replicas: 0\n  selector: {matchLabels: {app: web, pod"),
            oldPodsRun: false);
        Assert.Equal(4, (int?)next.Writes.Single(write => write.Verb == WriteVerb.Create).Body!["spec"]!["replicas"]);
    }

    [Fact]
    public void A_finished_rollout_says_so_and_asks_for_nothing_more()
    {
        var done = For(Web + OldSet(0, 0) + NewSet(4, 4));
        var text = PlanText.Print(done);
        Assert.Contains("NewReplicaSetAvailable", text, StringComparison.Ordinal);
        Assert.Contains("updatedReplicas: 4", text, StringComparison.Ordinal);
        Assert.Null(done.Again);
    }

    [Fact]
    public void The_hash_of_a_template_does_not_depend_on_the_order_of_its_fields()
    {
        static JsonObject Template(string json) => (JsonObject)JsonNode.Parse(json)!;
        var one = Template("""{"metadata":{"labels":{"a":"1","pod-template-hash":"x"}},"spec":{"x":1,"y":[{"b":2,"a":1}]}}""");
        var two = Template("""{"spec":{"y":[{"a":1,"b":2}],"x":1,"z":null},"metadata":{"creationTimestamp":null,"labels":{"a":"1"}}}""");
        var other = Template("""{"spec":{"y":[{"a":1,"b":3}],"x":1},"metadata":{"labels":{"a":"1"}}}""");
        var hashes = new[] { one, two, other }.Select(template => (string)DeploymentPlan.NewReplicaSet(Deployed(template), 1, 1)["metadata"]!["name"]!)
            .ToList();
        Assert.Equal(hashes[0], hashes[1]);
        Assert.NotEqual(hashes[0], hashes[2]);
    }

    [Fact]
    public void A_rolling_update_never_leaves_its_bounds_and_always_ends()
    {
        var shapes = from wanted in Gen.Choose(0, 12)
                     from surge in Gen.Choose(0, 4)
                     from unavailable in Gen.Choose(0, 4)
                     from seed in Gen.Choose(0, 10000)
                     select (wanted, surge, unavailable: surge == 0 && unavailable == 0 ? 1 : Math.Min(unavailable, wanted), seed);
        Prop.ForAll(shapes.ToArbitrary(), shape => Simulate(shape.wanted, shape.surge, Math.Max(shape.unavailable, shape.surge == 0 ? 1 : 0), shape.seed))
            .MustHold(500);
    }

    /// <summary>Simulates a rollout with Pods that become ready in random order. Every state must keep the
    /// limits.</summary>
    private static bool Simulate(int wanted, int surge, int unavailable, int seed)
    {
        var random = new System.Random(seed);
        var (old, oldReady, young, youngReady) = (wanted, wanted, 0, 0);
        for (var step = 0; step < 200; step++)
        {
            if (old == 0 && young == wanted && youngReady == wanted) return true;
            young = Rollout.NextOfNewest(wanted, surge, young, old + young);
            Assert.True(old + young <= wanted + surge, $"{old}+{young} Pods of {wanted}+{surge}");
            var next = Rollout.NextOfOld(wanted, unavailable, new("new", young, youngReady, PlanText.Now), [new("old", old, oldReady, PlanText.Now)])["old"];
            old = next;
            // The ReplicaSet controller deletes Pods that are not ready first.
            oldReady = Math.Min(oldReady, old);
            Assert.True(oldReady + youngReady >= wanted - unavailable, $"{oldReady}+{youngReady} ready of {wanted}-{unavailable}");
            if (youngReady < young && random.Next(3) > 0) youngReady++;
        }
        return false;
    }

    private static Plan For(string yaml, bool oldPodsRun = false) =>
        DeploymentPlan.For(PlanText.Read<Deployment>(yaml, "Deployment").Single(), PlanText.Read<ReplicaSet>(yaml, "ReplicaSet"), oldPodsRun, PlanText.Now);

    private static Deployment Deployed(JsonObject template) =>
        new() { Metadata = new() { Name = "d", Namespace = "n", Uid = "u" }, Spec = new() { Template = template } };

    private static string OldSet(int replicas, int available) => Set("web-old", "web:1", replicas, available, 1);

    private static string NewSet(int replicas, int available) => Set("web-new", "web:2", replicas, available, 2);

    private static string Set(string name, string image, int replicas, int available, int revision) => $$$"""
        apiVersion: apps/v1
        kind: ReplicaSet
        metadata:
          name: {{{name}}}
          namespace: shop
          uid: {{{name}}}
          resourceVersion: "9"
          creationTimestamp: 2030-01-01T0{{{revision}}}:00:00Z
          labels: {app: web, pod-template-hash: {{{name}}} }
          annotations: {team: blue, deployment.kubernetes.io/revision: "{{{revision}}}", deployment.kubernetes.io/desired-replicas: "4", deployment.kubernetes.io/max-replicas: "5"}
          ownerReferences: [{apiVersion: apps/v1, kind: Deployment, name: web, uid: d1, controller: true, blockOwnerDeletion: true}]
        spec:
          replicas: {{{replicas}}}
          selector: {matchLabels: {app: web, pod-template-hash: {{{name}}} } }
          template:
            metadata: {labels: {app: web, pod-template-hash: {{{name}}} } }
            spec: {containers: [{name: c, image: "{{{image}}}"}]}
        status: {replicas: {{{replicas}}}, readyReplicas: {{{available}}}, availableReplicas: {{{available}}} }
        ---

        """;
}

using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.Controllers.Nodes;
using Xunit;

namespace Isthmus.Tests.Lab.Controllers;

public class PlacementTests
{
    [Fact]
    public void The_emptier_node_is_taken()
    {
        var choice = Placement.Choose(new Pod(), [Node("a"), Node("b")], node => node == "a" ? [new Pod()] : []);
        Assert.Equal("b", choice.Node);
    }

    [Fact]
    public void What_rules_nodes_out_is_counted_and_said()
    {
        var pod = new Pod { Spec = new() { NodeSelector = new() { ["disk"] = "ssd" } } };
        var choice = Placement.Choose(pod, [Node("a"), Node("b", ready: false), Node("c", taint: "gpu")], _ => []);
        Assert.Equal(
            "0/3 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, 1 node(s) had untolerated taint {gpu: }, 1 node(s) were not ready.",
            choice.Reason);
        Assert.Equal("0/0 nodes are available.", Placement.Choose(pod, [], _ => []).Reason);
    }

    [Fact]
    public void A_toleration_opens_a_tainted_node()
    {
        var pod = new Pod { Spec = new() { Tolerations = [new() { Key = "gpu", Operator = "Exists" }] } };
        Assert.Equal("c", Placement.Choose(pod, [Node("c", taint: "gpu")], _ => []).Node);
    }

    [Theory]
    [InlineData("NoExecute", null, null, 0)]
    [InlineData("NoSchedule", null, null, null)]
    [InlineData("NoExecute", "gpu", null, null)]
    [InlineData("NoExecute", "gpu", 30L, 30)]
    [InlineData("NoExecute", "other", null, 0)]
    public void A_taint_drives_away_what_does_not_tolerate_it(string effect, string? tolerated, long? seconds, int? stays)
    {
        var pod = new Pod
        {
            Spec = new() { Tolerations = tolerated is null ? [] : [new() { Key = tolerated, Operator = "Exists", TolerationSeconds = seconds }] }
        };
        var expected = stays is { } limit ? TimeSpan.FromSeconds(limit) : (TimeSpan?)null;
        Assert.Equal(expected, TaintTolerance.Of(pod, [new() { Key = "gpu", Effect = effect }]));
    }

    [Theory]
    [InlineData("""{"key":"zone","operator":"In","values":["z1"]}""", "a")]
    [InlineData("""{"key":"zone","operator":"NotIn","values":["z1"]}""", "b")]
    [InlineData("""{"key":"zone","operator":"DoesNotExist"}""", "b")]
    public void Node_affinity_is_heeded(string rule, string expected)
    {
        var affinity =
            $$$$"""{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[{"matchExpressions":[{{{{rule}}}}]}]}}}""";
        var pod = new Pod { Spec = new() { Affinity = (JsonObject)JsonNode.Parse(affinity)! } };
        Assert.Equal(expected, Placement.Choose(pod, [Node("a", zone: "z1"), Node("b")], _ => []).Node);
    }

    [Fact]
    public void Pods_that_avoid_each_other_do_not_share_a_node()
    {
        var affinity =
            """{"podAntiAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":[{"topologyKey":"kubernetes.io/hostname","labelSelector":{"matchLabels":{"app":"x"}}}]}}""";
        var pod = new Pod { Metadata = new() { Uid = "1" }, Spec = new() { Affinity = (JsonObject)JsonNode.Parse(affinity)! } };
        var other = new Pod { Metadata = new() { Uid = "2", Labels = new() { ["app"] = "x" } } };
        Assert.Equal("b", Placement.Choose(pod, [Node("a"), Node("b")], node => node == "a" ? [other] : [new Pod(), new Pod()]).Node);
    }

    /// <summary>Nodes share one machine, so that only a Pod is turned away which none of them could ever hold.</summary>
    [Theory]
    [InlineData("3", "1Gi", "", "0/1 nodes are available: 1 Insufficient cpu.")]
    [InlineData("500m", "8Gi", "", "0/1 nodes are available: 1 Insufficient memory.")]
    [InlineData("2", "1Gi", "", "")]
    [InlineData("1", "1Gi", "2500m", "0/1 nodes are available: 1 Insufficient cpu.")]
    [InlineData("1", "1Gi", "1500m", "")]
    public void A_Pod_that_requests_more_than_a_node_has_stays_without_one(string cpu, string memory, string before, string reason)
    {
        static Container Asking(string name, string cpu, string memory) => new()
        {
            Name = name, Resources = new() { Requests = new() { ["cpu"] = cpu, ["memory"] = memory } },
        };
        var pod = new Pod { Spec = new() { Containers = [Asking("web", cpu, memory)] } };
        if (before.Length > 0) pod.Spec.InitContainers = [Asking("first", before, "1Mi")];
        var node = Node("a");
        node.Status.Allocatable = new() { ["cpu"] = "2", ["memory"] = "4194304Ki", ["pods"] = "110" };
        var choice = Placement.Choose(pod, [node], _ => [pod, pod]);
        Assert.Equal((reason.Length > 0 ? null : "a", reason), (choice.Node, choice.Reason));
    }

    private static Node Node(string name, bool ready = true, string? taint = null, string? zone = null)
    {
        var labels = new Dictionary<string, string> { ["kubernetes.io/hostname"] = name };
        if (zone is not null) labels["zone"] = zone;
        return new()
        {
            Metadata = new() { Name = name, Labels = labels },
            Spec = new() { Taints = taint is null ? [] : [new() { Key = taint, Effect = "NoSchedule" }] },
            Status = new() { Conditions = [new() { Type = "Ready", Status = ready ? "True" : "False" }] },
        };
    }
}

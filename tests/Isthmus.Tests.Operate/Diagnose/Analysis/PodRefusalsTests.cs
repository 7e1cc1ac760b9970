using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Operate.Diagnose.Analysis;
using Xunit;
using static Isthmus.Tests.Operate.Diagnose.Analysis.MeshText;

namespace Isthmus.Tests.Operate.Diagnose.Analysis;

/// <summary>Pods of StatefulSets and DaemonSets that the API server refuses: only events say so.</summary>
public sealed class PodRefusalsTests
{
    private const string Why = "create Pod db-0 in StatefulSet db failed error: pods \"db-0\" is forbidden: exceeded quota: small";

    [Theory]
    [InlineData("StatefulSet", "replicas: 2", "replicas: 1", true)]
    [InlineData("StatefulSet", "replicas: 1", "replicas: 1", false)]
    [InlineData("DaemonSet", "", "currentNumberScheduled: 0, desiredNumberScheduled: 1", true)]
    [InlineData("DaemonSet", "", "currentNumberScheduled: 1, desiredNumberScheduled: 1", false)]
    public void Refused_Pods_are_found_while_they_are_lacking(string kind, string spec, string status, bool isFound)
    {
        var cluster = Clusters(Join(Root, Namespace("shop"),
            $"{{apiVersion: apps/v1, kind: {kind}, metadata: {{name: db, namespace: shop}}, spec: {{ {spec} }}, status: {{ {status} }} }}"))[0]
            .WithRefusals(new Dictionary<string, string> { [$"{kind} shop/db"] = Why }.ToValueMap());
        var found = Isthmus.Operate.Diagnose.Analysis.Analysis.Run([cluster]).Where(finding => finding.Problem.Code == "ISM1494").ToList();
        Assert.Equal(isFound ? 1 : 0, found.Count);
        Assert.All(found, finding =>
        {
            Assert.Equal(($"{kind} shop/db", "status"), (finding.Problem.Object, finding.Problem.Path));
            Assert.Contains("raise the quota", finding.Problem.Remedy, StringComparison.Ordinal);
        });
    }

    [Fact]
    public void The_last_event_says_why()
    {
        JsonObject Event(string kind, string reason, string at, string message) => (JsonObject)YamlText.Parse(
            $"{{involvedObject: {{kind: {kind}, namespace: shop, name: db}}, reason: {reason}, lastTimestamp: '{at}', message: {message}}}", "event")!;
        var refusals = InventoryReader.Refusals([Event("StatefulSet", "FailedCreate", "2026-01-01T00:00:01Z", "old"),
            Event("StatefulSet", "FailedCreate", "2026-01-01T00:00:02Z", "new"), Event("ReplicaSet", "FailedCreate", "2026-01-01T00:00:03Z", "other"),
            Event("DaemonSet", "SuccessfulCreate", "2026-01-01T00:00:03Z", "made")]);
        Assert.Equal([KeyValuePair.Create("StatefulSet shop/db", "new")], refusals);
    }
}

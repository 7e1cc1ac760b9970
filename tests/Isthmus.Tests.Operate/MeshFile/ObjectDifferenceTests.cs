using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Operate.MeshFile;
using Xunit;

namespace Isthmus.Tests.Operate.MeshFile;

public sealed class ObjectDifferenceTests
{
    [Theory]
    [InlineData("{spec: {replicas: 1}}", "{spec: {replicas: 1, paused: false}, status: {replicas: 1}}")]
    [InlineData("{spec: {ports: [{port: 80}]}}", "{spec: {ports: [{port: 80, protocol: TCP, nodePort: 30000}]}}")]
    [InlineData("{spec: {env: [{name: A, value: ''}], volumes: [], options: {}}}", "{spec: {env: [{name: A}]}}")]
    [InlineData("{spec: {resources: {requests: {memory: 1024Mi, cpu: 2000m}}}}", "{spec: {resources: {requests: {memory: 1Gi, cpu: '2'}}}}")]
    [InlineData("{webhooks: [{name: a, failurePolicy: Ignore}]}", "{webhooks: [{name: a, failurePolicy: Fail, clientConfig: {caBundle: eA==}}]}")]
    [InlineData("{apiVersion: a/v1beta1, kind: A}", "{apiVersion: a/v1, kind: A}")]
    public void What_nobody_asked_for_is_no_difference(string wanted, string live) => Assert.Empty(Find(wanted, live));

    [Theory]
    [InlineData("{spec: {replicas: 1}}", "{spec: {replicas: 2}}", "spec.replicas: 1 / 2")]
    [InlineData("{spec: {env: [{name: A}]}}", "{spec: {env: [{name: A}, {name: B}]}}", "spec.env[B]:  / {\"name\":\"B\"}")]
    [InlineData("{spec: {env: [{name: A, value: a}, {name: B}]}}", "{spec: {env: [{name: C}, {name: A, value: x}, {name: D}]}}",
        "spec.env[0].value: a / x; spec.env[1].name: B / ; spec.env[C]:  / {\"name\":\"C\"}; spec.env[D]:  / {\"name\":\"D\"}")]
    [InlineData("{spec: {ports: [{port: 80}]}}", "{spec: {ports: [{port: 80}, {port: 81}]}}", "spec.ports: [{\"port\":80}] / [{\"port\":80},{\"port\":81}]")]
    [InlineData("{metadata: {labels: {a: b}}}", "{metadata: {}}", "metadata.labels.a: b / ")]
    [InlineData("{spec: {resources: {limits: {memory: 1Gi}}}}", "{spec: {resources: {limits: {memory: 1G}}}}", "spec.resources.limits.memory: 1Gi / 1G")]
    [InlineData("{spec: {replicas: 0}}", "{spec: {replicas: 3}}", "spec.replicas: 0 / 3")]
    [InlineData("{spec: {paused: false}}", "{spec: {paused: true}}", "spec.paused: false / true")]
    [InlineData("{webhooks: [{failurePolicy: Fail}]}", "{webhooks: [{failurePolicy: Ignore}]}", "webhooks[0].failurePolicy: Fail / Ignore")]
    public void A_field_that_differs_is_named_with_both_values(string wanted, string live, string words) =>
        Assert.Equal(words, string.Join("; ", Find(wanted, live).Select(field => $"{field.Path}: {field.Wanted} / {field.Found}")));

    private static IReadOnlyList<FieldDifference> Find(string wanted, string live) =>
        ObjectDifference.Find((JsonObject)YamlText.Parse(wanted, "wanted")!, (JsonObject)YamlText.Parse(live, "live")!);
}

using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Mesh.Config;
using Isthmus.Operate.Diagnose;
using Isthmus.Operate.Diagnose.Analysis;
using Isthmus.Operate.Inventory;
using Isthmus.Testing;

namespace Isthmus.Tests.Operate.Diagnose.Analysis;

/// <summary>Small meshes as text: the objects of clusters, each object in a line.</summary>
internal static class MeshText
{
    /// <summary>Begins the next cluster.</summary>
    internal const string Next = "===";

    /// <summary>The namespace that shows that a cluster has a mesh.</summary>
    internal const string Root = "{apiVersion: v1, kind: Namespace, metadata: {name: istio-system, labels: {topology.istio.io/network: network1} } }";

    internal static string Namespace(string name, string labels = "istio-injection: enabled") =>
        $$"""{apiVersion: v1, kind: Namespace, metadata: {name: {{name}}, labels: { {{labels}} } } }""";

    /// <summary>A Pod with a sidecar.</summary>
    internal static string Pod(string ns, string name, string labels, string spec = "", string status = "") =>
        Workload(ns, name, labels, $"containers: [{{name: app, image: app}}, {{name: istio-proxy, image: proxy}}]{(spec.Length > 0 ? ", " : "")}{spec}",
            status);

    /// <summary>A Pod without a sidecar.</summary>
    internal static string Bare(string ns, string name, string labels, string status = "") =>
        Workload(ns, name, labels, "containers: [{name: app, image: app}]", status);

    internal static string Workload(string ns, string name, string labels, string spec, string status = "") =>
        LongLines.Joined($$"""
            {apiVersion: v1, kind: Pod, metadata: {name: {{name}}, namespace: {{ns}}, labels: { {{labels}} } }, spec: { {{spec}} }, \
            status: {phase: Running, \
            conditions: [{type: Ready, status: "{{(status.Length > 0 ? "False" : "True")}}"}]{{(status.Length > 0 ? ", " : "")}}{{status}} } }
            """);

    internal static string Deployment(string ns, string name, string labels, string spec = "containers: [{name: app, image: app}]", string annotations = "",
        int replicas = 1) =>
        LongLines.Joined($$"""
            {apiVersion: apps/v1, kind: Deployment, metadata: {name: {{name}}, namespace: {{ns}} }, \
            spec: {replicas: {{replicas}}, template: {metadata: {labels: { {{labels}} }, annotations: { {{annotations}} } }, spec: { {{spec}} } } } }
            """);

    internal static string Service(string ns, string name, string selector, string ports = "{name: http, port: 80}", string more = "") =>
        $$"""{apiVersion: v1, kind: Service, metadata: {name: {{name}}, namespace: {{ns}} }, spec: {clusterIP: 10.0.0.1, selector: { {{selector}} }, ports: [{{ports}}] {{more}} } }""";

    /// <summary>An object of Istio.</summary>
    internal static string Istio(string kind, string ns, string name, string spec, string created = "2026-01-01T00:00:00Z")
    {
        var known = MeshApi.Istio.Single(known => known.Kind == kind);
        return $$"""{apiVersion: {{known.Group}}/{{known.ReadVersion}}, kind: {{kind}}, metadata: {name: {{name}}, namespace: {{ns}}, creationTimestamp: '{{created}}'}, spec: { {{spec}} } }""";
    }

    /// <summary>The Service <c>web</c> with a Pod.</summary>
    internal static readonly string Web = Join(Root, Namespace("shop"), Service("shop", "web", "app: web"), Pod("shop", "web-1", "app: web, version: v1"));

    internal static string Join(params string[] objects) => string.Join('\n', objects);

    /// <summary>What the analysis finds, without what it finds in every mesh of the tests.</summary>
    internal static IReadOnlyList<Finding> Analyze(string text) => Isthmus.Operate.Diagnose.Analysis.Analysis.Run(Clusters(text));

    internal static IReadOnlyList<ClusterInventory> Clusters(string text) =>
        [.. text.Split(Next).Index().Select(cluster => ClusterInventory.From($"c{cluster.Index + 1}",
        cluster.Item.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => (JsonObject)YamlText.Parse(line, line)!)))];

    internal static IEnumerable<string> Warnings(IEnumerable<Finding> findings) =>
        findings.Where(finding => finding.Problem.Severity != Severity.Info).Select(finding => $"{finding.Cluster}: {finding.Problem.Code} {finding.Problem}");
}

using Isthmus.Core.Names;
using Isthmus.Explain.Tracing;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Operate.Diagnose.History;
using Isthmus.Operate.Install;
using Xunit;

namespace Isthmus.Tests.LoopbackMesh;

/// <summary>What changed, as running control planes remember it: <c>isthmus history</c>, and what <c>isthmus trace</c> says of it.</summary>
[Collection(nameof(SharedLoopbackMesh))]
public sealed class HistoryTests(LoopbackMeshRig mesh)
{
    private const string Objects = """
        apiVersion: v1
        kind: Namespace
        metadata: {name: remembered, labels: {istio-injection: enabled}}
        ---
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: caller, namespace: remembered, annotations: {in-cluster: cluster1}}
        spec:
          selector: {matchLabels: {app: caller}}
          template:
            metadata: {labels: {app: caller}}
            spec: {containers: [{name: shell, image: host.lab.internal/rootfs, command: [sleep, infinity]}]}
        ---
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: called, namespace: remembered, annotations: {in-cluster: cluster2}}
        spec:
          strategy: {type: Recreate}
          selector: {matchLabels: {app: called}}
          template:
            metadata: {labels: {app: called}}
            spec: {containers: [{name: web, image: "docker.io/istio/examples-helloworld-v1:1.0", ports: [{containerPort: 5000}]}]}
        ---
        apiVersion: v1
        kind: Service
        metadata: {name: called, namespace: remembered}
        spec: {selector: {app: called}, ports: [{name: http, port: 5000}]}
        """;

    private const string Denial = """
        apiVersion: security.istio.io/v1
        kind: AuthorizationPolicy
        metadata: {name: deny-all, namespace: remembered}
        spec: {selector: {matchLabels: {app: called}}}
        """;

    private const string Elsewhere = """
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {name: unrelated, namespace: remembered}
        spec: {hosts: [unrelated.example.com], http: [{route: [{destination: {host: called}}]}]}
        """;

    private static readonly ResourceKind Policies = Manifests.ResourceOf(MeshApi.FindIstio("security.istio.io/v1", "AuthorizationPolicy")!);
    private static readonly ResourceKind Routes = Manifests.ResourceOf(MeshApi.FindIstio("networking.istio.io/v1", "VirtualService")!);

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_failing_call_names_what_changed_and_who_changed_it()
    {
        // What vanishes in the moment of a change counts as its effect.
        await mesh.UntilAsync(async () => string.Join(' ',
            (await Task.WhenAll(LoopbackMeshRig.Clusters.Select(cluster => mesh.Client(cluster)
                .ListAllAsync<Namespace>(Kinds.Namespace, null, new ListOptions(), Stop))))
            .SelectMany(list => list).Where(ns => ns.Metadata.DeletionTimestamp is not null).Select(ns => ns.Metadata.Name)), leaving => leaving.Length == 0,
            "the namespaces of other tests are gone");
        await Task.WhenAll(LoopbackMeshRig.Clusters.Select(cluster => mesh.ApplyAsync(cluster, Objects)));
        await UntilTracedAsync(text => text.Contains("✔ The call", StringComparison.Ordinal));

        // A change that concerns another host, and one of the callee in the callee's own cluster.
        await mesh.ApplyAsync("cluster1", Elsewhere);
        await mesh.ApplyAsync("cluster2", Denial);
        var text = await UntilTracedAsync(text => text.Contains("ISM2064", StringComparison.Ordinal)
            && text.Contains("Shortly before:", StringComparison.Ordinal));
        Assert.Matches(@"created \d+s ago: AuthorizationPolicy remembered/deny-all in cluster2, by \S+ \(user [^)]+\)", text);
        Assert.DoesNotContain("unrelated", text[text.IndexOf("Shortly before:", StringComparison.Ordinal)..], StringComparison.Ordinal);

        // Each control plane remembers what it sees when it sees it, and what that did to proxies when they have it.
        MeshHistory history = null!;
        await mesh.UntilAsync(async () => string.Join('\n',
            (history = await HistoryAsync("called.remembered")).Changes.Concat((await HistoryAsync("")).Changes)
                .Select(change => $"{change.Verb} {change.Object} {change.Cluster} {change.Proxies}")),
            text => history.Changes.Any(change => change is { Kind: "AuthorizationPolicy", Namespace: "remembered", Proxies: > 0 })
                && history.Changes.Count(change => change is { Kind: "Service", Name: "called", Verb: "created" }) == 2
                && text.Contains("unrelated", StringComparison.Ordinal) && history.ControlPlanes.All(plane => plane.Since is not null),
                "both control planes remember the changes");
        // Policies of the root namespace that other tests made concern this host, too.
        var policy = Assert.Single(history.Changes, change => change is { Kind: "AuthorizationPolicy", Namespace: "remembered" });
        Assert.Equal(("created", "cluster2", mesh.Client("cluster2").FieldManager, 1), (policy.Verb, policy.Cluster, policy.FieldManager, policy.Proxies));
        Assert.Equal(["listeners"], policy.Resources.Select(type => type.Type));
        // Both control planes saw the Services of both clusters: each is shown once.
        Assert.Equal(["cluster1", "cluster2"],
            history.Changes.Where(change => change is { Kind: "Service", Name: "called", Verb: "created" }).Select(change => change.Cluster)
                .Order(StringComparer.Ordinal));
        Assert.DoesNotContain(history.Changes, change => change.Name == "unrelated");
        Assert.Equal(2, history.ControlPlanes.Count(plane => plane.Since is not null));

        // The policy goes: the call gets through, and nothing is blamed any more.
        await mesh.Client("cluster2").DeleteAsync(Policies, "remembered", "deny-all", Stop);
        Assert.DoesNotContain("Shortly before", await UntilTracedAsync(text => text.Contains("✔ The call", StringComparison.Ordinal)),
            StringComparison.Ordinal);
        await mesh.UntilAsync(async () => string.Join('\n',
            (await HistoryAsync("called.remembered")).Changes.Select(change => $"{change.Verb} {change.Object} {change.User}")),
            text => text.Contains("deleted AuthorizationPolicy remembered/deny-all", StringComparison.Ordinal), "the deletion is remembered");
        // A route that changes tells in which field.
        await mesh.ApplyAsync("cluster1", Elsewhere.Replace("http: [{route", "http: [{timeout: 3s, route", StringComparison.Ordinal));
        await mesh.UntilAsync(async () => string.Join('\n',
            (await HistoryAsync("")).Changes.Select(change => $"{change.Verb} {change.Object}: {string.Join(' ', change.Fields)}")),
            text => text.Contains("changed VirtualService remembered/unrelated: spec.http[0].timeout", StringComparison.Ordinal), "the changed field is told");
        await mesh.Client("cluster1").DeleteAsync(Routes, "remembered", "unrelated", Stop);

        // A template whose Pods are not ready: control planes do not watch it.
        await mesh.ApplyAsync("cluster2", Objects.Split("\n---\n")[2].Replace("ports: [{containerPort: 5000}]",
            "ports: [{containerPort: 5000}], readinessProbe: {httpGet: {port: 5000, path: /absent}, periodSeconds: 1}", StringComparison.Ordinal));
        Assert.Matches(@"changed \d+s ago: Deployment remembered/called in cluster2, by \S+: was rolled out",
            await UntilTracedAsync(text => text.Contains("ISM2047", StringComparison.Ordinal) && text.Contains("was rolled out", StringComparison.Ordinal)));
        await mesh.ApplyAsync("cluster2", Objects.Split("\n---\n")[2]);
        await UntilTracedAsync(text => text.Contains("✔ The call", StringComparison.Ordinal));
    }

    private Task<string> UntilTracedAsync(Func<string, bool> wanted) =>
        mesh.UntilAsync(async () => TraceText.Write(await mesh.TraceAsync("deployment/caller", "remembered", "called:5000/hello"), details: false), wanted,
            "the trace says what is expected");

    private async Task<MeshHistory> HistoryAsync(string host)
    {
        var clients = LoopbackMeshRig.Clusters.Select(cluster => new KubeClient(mesh.Access(cluster))).ToList();
        try
        {
            return await MeshHistory.AskAsync(clients.Select(client => (client, WellKnown.SystemNamespace)), new(host, "", TimeSpan.FromHours(1)), Stop);
        }
        finally
        {
            foreach (var client in clients) client.Dispose();
        }
    }
}

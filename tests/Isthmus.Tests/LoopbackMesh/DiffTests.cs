using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Explain.Tracing;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.WhatIf;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Yaml;
using Xunit;

namespace Isthmus.Tests.LoopbackMesh;

/// <summary><c>isthmus diff</c> against running control planes: what files would change, said before they are applied.</summary>
[Collection(nameof(SharedLoopbackMesh))]
public sealed class DiffTests(LoopbackMeshRig mesh)
{
    private const string Objects = """
        apiVersion: v1
        kind: Namespace
        metadata: {name: foreseen, labels: {istio-injection: enabled}}
        ---
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: caller, namespace: foreseen, annotations: {in-cluster: cluster1}}
        spec:
          selector: {matchLabels: {app: caller}}
          template:
            metadata: {labels: {app: caller}}
            spec: {containers: [{name: shell, image: host.lab.internal/rootfs, command: [sleep, infinity]}]}
        ---
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: called, namespace: foreseen, annotations: {in-cluster: cluster1}}
        spec:
          selector: {matchLabels: {app: called}}
          template:
            metadata: {labels: {app: called, version: v1}}
            spec: {containers: [{name: web, image: "docker.io/istio/examples-helloworld-v1:1.0", ports: [{containerPort: 5000}]}]}
        ---
        apiVersion: v1
        kind: Service
        metadata: {name: called, namespace: foreseen}
        spec: {selector: {app: called}, ports: [{name: http, port: 5000}]}
        ---
        apiVersion: networking.istio.io/v1
        kind: DestinationRule
        metadata: {name: called, namespace: foreseen}
        spec: {host: called, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}
        ---
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {name: called, namespace: foreseen}
        spec: {hosts: [called], http: [{route: [{destination: {host: called, subset: v1}}]}]}
        """;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task What_files_would_change_is_said_in_words_and_nothing_changes()
    {
        await Task.WhenAll(LoopbackMeshRig.Clusters.Select(cluster => mesh.ApplyAsync(cluster, Objects)));
        await mesh.UntilAsync(TraceAsync, text => text.Contains("✔ The call gets through", StringComparison.Ordinal), "the call gets through");
        // What is applied already changes nothing.
        await mesh.UntilAsync(() => DiffAsync("cluster1", Objects[Objects.IndexOf("apiVersion: v1\nkind: Service", StringComparison.Ordinal)..]),
            text => text.Length == 0, "no difference");

        await ForeseesAsync("""
            apiVersion: networking.istio.io/v1
            kind: VirtualService
            metadata: {name: called, namespace: foreseen}
            spec: {hosts: [called], http: [{timeout: 3s, route: [{destination: {host: called, subset: v1}, weight: 90}, {destination: {host: called, subset: v2}, weight: 10}]}]}
            """, "caller.foreseen | ~ calls to called.foreseen:5000: 90 % v1, 10 % v2, timeout 3s instead of all to v1");
        var denial = await ForeseesAsync("""
            apiVersion: security.istio.io/v1
            kind: AuthorizationPolicy
            metadata: {name: known, namespace: foreseen}
            spec: {selector: {matchLabels: {app: called}}, rules: [{from: [{source: {principals: [cluster.local/ns/other/sa/friend]}}]}]}
            ---
            apiVersion: security.istio.io/v1
            kind: PeerAuthentication
            metadata: {name: locked, namespace: foreseen}
            spec: {selector: {matchLabels: {app: called}}, mtls: {mode: STRICT}}
            """, "called.foreseen | ~ requests are now denied, except those that AuthorizationPolicy foreseen/known (rule 0) allows",
            "+ AuthorizationPolicy foreseen/known (rule 0) allows requests from spiffe://cluster.local/ns/other/sa/friend",
            "~ plain text is no longer accepted on port 5000: callers need mutual TLS");
        Assert.DoesNotContain("caller.foreseen", denial, StringComparison.Ordinal);
        const string nobody = "called.foreseen | ~ requests are now denied: AuthorizationPolicy foreseen/nobody allows nobody";
        await mesh.UntilAsync(() => DiffAsync("cluster1", """
            apiVersion: security.istio.io/v1
            kind: AuthorizationPolicy
            metadata: {name: nobody, namespace: foreseen}
            spec: {selector: {matchLabels: {app: called}}}
            """), text => text == nobody, nobody);
        var patience = await ForeseesAsync("""
            apiVersion: networking.istio.io/v1
            kind: DestinationRule
            metadata: {name: patience, namespace: foreseen}
            spec: {host: istiod.istio-system.svc.cluster.local, trafficPolicy: {connectionPool: {tcp: {connectTimeout: 3s}}}}
            """, "connect_timeout: 10s → 3s");
        Assert.DoesNotContain("filter_metadata", patience, StringComparison.Ordinal);
        await ForeseesAsync("""
            apiVersion: v1
            kind: Service
            metadata: {name: called, namespace: foreseen}
            spec: {selector: {app: called}, ports: [{name: http, port: 5000}, {name: admin, port: 7000, targetPort: 5000}]}
            """, "istio-eastwestgateway.istio-system | + accepts TLS for outbound_.7000_._.called.foreseen", "+ connections to called.foreseen:7000 become possible");

        var refused = await Assert.ThrowsAsync<KubeException>(() => DiffAsync("cluster1", """
            apiVersion: networking.istio.io/v1
            kind: VirtualService
            metadata: {name: called, namespace: foreseen}
            spec: {hosts: [called], http: [{timeout: soon, route: [{destination: {host: called}}]}]}
            """));
        Assert.Contains("timeout", refused.Message, StringComparison.Ordinal);

        // Nothing of this was applied.
        await mesh.UntilAsync(() => DiffAsync("cluster1", Objects[Objects.IndexOf("apiVersion: networking", StringComparison.Ordinal)..]),
            text => text.Length == 0, "no difference again");
        await mesh.UntilAsync(TraceAsync, text => text.Contains("✔ The call gets through", StringComparison.Ordinal), "the call still gets through");
    }

    /// <summary>A preview is for the proxies that are connected at this moment, and one may just be connecting again.</summary>
    private Task<string> ForeseesAsync(string yaml, params string[] parts) =>
        mesh.UntilAsync(() => DiffAsync("cluster1", yaml), text => parts.All(part => text.Contains(part, StringComparison.Ordinal)), string.Join("; ", parts));

    private async Task<string> TraceAsync() => TraceText.Write(await mesh.TraceAsync("deployment/caller", "foreseen", "called:5000/hello"), details: false);

    /// <summary>Each change as <c>WORKLOADS | SIGN TEXT</c>.</summary>
    private async Task<string> DiffAsync(string cluster, string yaml)
    {
        var clients = LoopbackMeshRig.Clusters.Select(name => new KubeClient(mesh.Access(name))).ToList();
        try
        {
            var target = clients[Array.IndexOf(LoopbackMeshRig.Clusters, cluster)];
            var objects = new List<JsonObject>();
            foreach (var item in YamlText.ParseAll(yaml, "test").OfType<JsonObject>()) objects.Add((await DryRun.ApplyAsync(target, item, Stop))!);
            var diff = await MeshDiff.AskAsync(target, clients, WellKnown.SystemNamespace, objects, Stop);
            Assert.Empty(diff.Unused);
            if (diff.Connected < 2) return $"{diff.Connected} proxies are connected";
            var text = string.Join('\n', diff.Groups.SelectMany(group => group.Changes.Select(change =>
                $"{string.Join(' ', group.Proxies.Select(proxy => $"{proxy.Workload}.{proxy.Namespace}").Distinct())} | {change.Sign} {change.Text}")));
            TestContext.Current.TestOutputHelper?.WriteLine($"{text}\n");
            return text;
        }
        finally
        {
            foreach (var client in clients) client.Dispose();
        }
    }
}

using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Explain.Tracing;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Operate.Install;
using Xunit;

namespace Isthmus.Tests.LoopbackMesh;

/// <summary>A mesh whose sidecars call one another through tunnels (docs/hbone.md).</summary>
[Trait("shard", "LoopbackMesh")]
public sealed class TunnelledMeshTests(LoopbackMeshRig mesh) : IClassFixture<LoopbackMeshRig>
{
    private const string Cluster = "cluster1", Namespace = "tunnelled", System = WellKnown.SystemNamespace;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Calls_go_through_tunnels_once_both_settings_say_so_and_policies_know_the_caller()
    {
        var client = mesh.Client(Cluster);
        await SendAsync(client);
        var settings = (await client.GetAsync(Kinds.ConfigMap, System, "istio", Stop))["data"]!["mesh"]!.ToString();
        const string Captured = "ISTIO_META_DNS_CAPTURE: 'true'";
        Assert.Contains(Captured, settings, StringComparison.Ordinal);
        await mesh.PatchAsync(Cluster, Kinds.ConfigMap, System, "istio", new()
        {
            ["data"] = new JsonObject { ["mesh"] = settings.Replace(Captured, $"{Captured}\n    ISTIO_META_ENABLE_HBONE: 'true'", StringComparison.Ordinal) },
        });
        // A Pod has its label once its control plane has read that.
        await mesh.UntilAsync(async () =>
        {
            await mesh.ApplyAsync(Cluster, Objects);
            await new Applier(client, TimeProvider.System).ReadyAsync(
                [await client.GetAsync(Kinds.Deployment, Namespace, "web", Stop), await client.GetAsync(Kinds.Deployment, Namespace, "caller", Stop)],
                TimeSpan.FromSeconds(60), Stop);
            var label = mesh.Pod(Cluster, Namespace, "web").Pod.Metadata.Labels.GetValueOrDefault(Labels.Tunnel, "");
            if (label.Length == 0) await client.DeleteAsync(Kinds.Namespace, null, Namespace, Stop);
            return label;
        }, label => label == Labels.HttpTunnel, "injection labels Pods");

        var trace = await TraceAsync(trace => trace.Failure is null && trace.Hops.Any(hop => hop.Name == "tunnel"));
        Assert.Equal(200, trace.Call!.Status);
        Assert.Contains(trace.Hops, hop => hop is { Name: "tunnel", Status: HopStatus.Ok });

        await mesh.ApplyAsync(Cluster, Policy("other"));
        var denied = await TraceAsync(trace => trace.Failure is not null);
        Assert.Equal((403, "inbound", $"AuthorizationPolicy {Namespace}/web in {Cluster}"),
            (denied.Call!.Status, denied.Failure!.Name, denied.Failure.Problem!.Object));
        await mesh.ApplyAsync(Cluster, Policy("caller"));
        await TraceAsync(trace => trace.Failure is null && trace.Call is { Status: 200 });
    }

    private async Task<CallTrace> TraceAsync(Predicate<CallTrace> wanted)
    {
        CallTrace trace = null!;
        await mesh.UntilAsync(async () =>
        {
            trace = await mesh.TraceAsync("deployment/caller", Namespace, "web:5000/hello");
            return $"{trace.Failure?.Name} {trace.Failure?.Problem?.Message} {trace.Call?.Status} {string.Join(',', trace.Hops.Select(hop => hop.Name))}"
                + (wanted(trace) ? " as wanted" : "");
        }, answer => answer.EndsWith(" as wanted", StringComparison.Ordinal), "the trace is as expected");
        return trace;
    }

    /// <summary>Has the control plane let proxies send HBONE, also to workloads that accept mutual TLS.</summary>
    private static async Task SendAsync(KubeClient client)
    {
        var plane = await client.GetAsync(Kinds.Deployment, System, "istiod", Stop);
        var containers = plane["spec"]!["template"]!["spec"]!["containers"]!.DeepClone().AsArray();
        foreach (var name in (string[])["PILOT_ENABLE_SENDING_HBONE", "PILOT_PREFER_SENDING_HBONE"])
            containers[0]!["env"]!.AsArray().Add(new JsonObject { ["name"] = name, ["value"] = "true" });
        await client.PatchAsync(Kinds.Deployment, System, "istiod", new JsonObject
        {
            ["spec"] = new JsonObject { ["template"] = new JsonObject { ["spec"] = new JsonObject { ["containers"] = containers } } },
        }, PatchType.Merge, Stop);
        await new Applier(client, TimeProvider.System).ReadyAsync(
            [await client.GetAsync(Kinds.Deployment, System, "istiod", Stop)], TimeSpan.FromSeconds(60), Stop);
    }

    private static string Policy(string caller) => $$"""
        apiVersion: security.istio.io/v1
        kind: AuthorizationPolicy
        metadata: {name: web, namespace: {{Namespace}} }
        spec: {action: ALLOW, rules: [{from: [{source: {principals: ["cluster.local/ns/{{Namespace}}/sa/{{caller}}"]} }] }] }
        """;

    private const string Objects = $$"""
        apiVersion: v1
        kind: Namespace
        metadata: {name: {{Namespace}}, labels: {istio-injection: enabled} }
        ---
        apiVersion: v1
        kind: ServiceAccount
        metadata: {name: caller, namespace: {{Namespace}} }
        ---
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: caller, namespace: {{Namespace}} }
        spec:
          selector: {matchLabels: {app: caller} }
          template:
            metadata: {labels: {app: caller} }
            spec: {serviceAccountName: caller, containers: [{name: sleep, image: curlimages/curl}]}
        ---
        apiVersion: v1
        kind: Service
        metadata: {name: web, namespace: {{Namespace}} }
        spec: {selector: {app: web}, ports: [{name: http, port: 5000}]}
        ---
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: web, namespace: {{Namespace}} }
        spec:
          selector: {matchLabels: {app: web} }
          template:
            metadata: {labels: {app: web} }
            spec: {containers: [{name: web, image: "docker.io/istio/examples-helloworld-v1:1.0", ports: [{containerPort: 5000}]}]}
        """;
}

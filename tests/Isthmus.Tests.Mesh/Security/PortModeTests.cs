using Isthmus.Tests.Mesh.Meshes;
using Xunit;

namespace Isthmus.Tests.Mesh.Security;

/// <summary>A port of a container that no Service has, with a mode of its own, and who reaches it at the address of its Pod.</summary>
[Collection(nameof(PlacedMesh))]
[Trait("shard", nameof(PlacedMesh))]
public sealed class PortModeTests(PlacedMeshRig mesh)
{
    private const string Pods = """
        apiVersion: v1
        kind: Namespace
        metadata: {name: lodge, labels: {istio-injection: enabled} }
        ---
        apiVersion: v1
        kind: Service
        metadata: {name: lodge, namespace: lodge}
        spec: {selector: {app: lodge}, ports: [{name: tcp-greeting, port: 7085, targetPort: 9002}]}
        ---
        apiVersion: v1
        kind: Pod
        metadata: {name: lodge, namespace: lodge, labels: {app: lodge} }
        spec:
          terminationGracePeriodSeconds: 1
          containers:
          - {name: web, image: "docker.io/istio/examples-helloworld-v1:1.0"}
          - {name: greeter, image: "docker.io/istio/tcp-echo-server:1.3", args: ["9002", "welcome"]}
        ---
        apiVersion: v1
        kind: Pod
        metadata: {name: guest, namespace: lodge}
        spec: {terminationGracePeriodSeconds: 0, containers: [{name: client, image: host.lab.internal/rootfs, command: [sleep, infinity]}]}
        ---
        apiVersion: v1
        kind: Pod
        metadata: {name: stranger, namespace: lodge, labels: {sidecar.istio.io/inject: "false"} }
        spec: {terminationGracePeriodSeconds: 0, containers: [{name: client, image: host.lab.internal/rootfs, command: [sleep, infinity]}]}
        """;

    [Fact]
    public async Task Callers_reach_a_port_without_a_Service_as_its_own_mode_says()
    {
        await mesh.WithFileAsync(Pods, path => mesh.KubectlAsync("cluster1", $"apply -f {path}"));
        try
        {
            await mesh.KubectlAsync("cluster1", "-n lodge wait --for=condition=ready pod --all --timeout=90s");
            var address = await mesh.KubectlAsync("cluster1", "-n lodge get pod lodge -o jsonpath={.status.podIP}");
            // The proxy of a guest calls an address that no Service has in plain text, as that of a stranger would.
            // Without a mode of its own, everybody reaches it: each outcome differs from the one before.
            foreach (var (workload, port, status) in ((string, string, string)[])[("STRICT", "STRICT", "000"), ("STRICT", "DISABLE", "200"),
                ("PERMISSIVE", "STRICT", "000"), ("STRICT", "PERMISSIVE", "200"), ("DISABLE", "STRICT", "000")])
            {
                await mesh.WithFileAsync($$"""
                    apiVersion: security.istio.io/v1
                    kind: PeerAuthentication
                    metadata: {name: modes, namespace: lodge}
                    spec: {selector: {matchLabels: {app: lodge} }, mtls: {mode: {{workload}} }, portLevelMtls: {5000: {mode: {{port}} } } }
                    """, path => mesh.KubectlAsync("cluster1", $"apply -f {path}"));
                foreach (var caller in (string[])["stranger", "guest"])
                {
                    await MeshRig.UntilAsync(() => mesh.ScriptAsync("cluster1", "lodge", caller, "client",
                        $"curl -s -m 30 -o /dev/null -w %{{http_code}} {address}:5000/hello; true"),
                        // Where the callee closes, the proxy of the guest says so.
                        text => text == status || (status == "000" && caller == "guest" && text == "503"),
                        $"{status} for {caller}, with {port} in a workload with {workload}");
                }
            }
            // The Service's own port is that of the workload.
            await MeshRig.UntilAsync(() => mesh.ScriptAsync("cluster1", "lodge", "guest", "client", "exec 3<>/dev/tcp/lodge/7085; timeout 5 cat <&3; true"),
                text => text.Contains("welcome", StringComparison.Ordinal), "the port of the Service");
        }
        finally
        {
            await mesh.KubectlAsync("cluster1", "delete namespace lodge");
        }
    }
}

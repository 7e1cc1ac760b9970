using Isthmus.Core.Names;
using Isthmus.Explain.Tracing;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Operate.Install;
using Xunit;

namespace Isthmus.Tests.LoopbackMesh;

/// <summary><c>isthmus trace</c> follows a call of the mesh through a gateway that a route leads to, and on from there.</summary>
[Collection(nameof(SharedLoopbackMesh))]
public sealed class EgressTraceTests(LoopbackMeshRig mesh, FaultyServices services)
{
    private const string Objects = """
        apiVersion: v1
        kind: Service
        metadata: {name: $egress, namespace: istio-system, annotations: {in-cluster: cluster1}}
        spec: {selector: {istio: eastwestgateway}, ports: [{name: http, port: 80, targetPort: 18482}, {name: tls, port: 443, targetPort: 18483}]}
        ---
        apiVersion: networking.istio.io/v1
        kind: ServiceEntry
        metadata: {name: $out, namespace: $ns, annotations: {in-cluster: cluster1}}
        spec:
          hosts: [$out.example.com]
          addresses: [10.77.1.9]
          resolution: STATIC
          ports: [{number: 80, name: http, protocol: HTTP}]
          endpoints: [{address: 10.77.1.10}]
        ---
        apiVersion: networking.istio.io/v1
        kind: Gateway
        metadata: {name: $egress, namespace: $ns, annotations: {in-cluster: cluster1}}
        spec:
          selector: {istio: eastwestgateway}
          servers:
          - {port: {number: 80, name: http, protocol: HTTP}, hosts: [$out.example.com]}
          - {port: {number: 443, name: tls, protocol: HTTPS}, tls: {mode: ISTIO_MUTUAL}, hosts: [$out.example.com]}
        """;

    private const string Rule = """
        apiVersion: networking.istio.io/v1
        kind: DestinationRule
        metadata: {name: $egress, namespace: $ns, annotations: {in-cluster: cluster1}}
        spec: {host: $egress.istio-system.svc.cluster.local, trafficPolicy: {portLevelSettings: [{port: {number: 443}, tls: {mode: ISTIO_MUTUAL, sni: SNI}}]}}
        """;

    private const string Policy = """
        apiVersion: security.istio.io/v1
        kind: AuthorizationPolicy
        metadata: {name: $egress, namespace: istio-system, annotations: {in-cluster: cluster1}}
        spec:
          selector: {matchLabels: {istio: eastwestgateway}}
          rules: [{from: [{source: {namespaces: [$ns]}}]}, {to: [{operation: {notPorts: ['18482', '18483']}}]}]
        """;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_call_is_followed_through_a_gateway_that_a_route_leads_to()
    {
        await services.ReadyAsync(mesh);
        try
        {
            await ApplyAsync(Objects);
            await ApplyAsync(Route("out", "mesh", "$egress.istio-system.svc.cluster.local", 80));
            await ExpectAsync("✘ The call fails at: gateway route", "object  Gateway $ns/$egress in cluster1",
                "no VirtualService with this Gateway routes $out.example.com", "(ISM2085)");
            await ApplyAsync(Route("onward", "$egress", "$both.$ns.svc.cluster.local", 18081));
            await ExpectAsync("✔ The call gets through.", "✔ gateway listener", "18482", "✔ gateway route", "✔ onward", "Pod $ns/$here", "✔ application",
                "gateway Pod istio-system/istio-eastwestgateway");

            await ApplyAsync(Policy);
            await ExpectAsync("✘ The call fails at: gateway policy", "object  AuthorizationPolicy istio-system/$egress in cluster1",
                "allows $ns only, and this call has none, since Pod $ns/$caller", "sends plain text to the gateway", "tls.mode: ISTIO_MUTUAL", "(ISM2064)");
            await ApplyAsync(Route("out", "mesh", "$egress.istio-system.svc.cluster.local", 443));
            await ExpectAsync("object  Gateway $ns/$egress in cluster1", "field   spec.servers[1].tls.mode",
                "is ISTIO_MUTUAL, and the calls of Pod $ns/$caller", "come there in plain text", "tls: {mode: ISTIO_MUTUAL, sni: $out.example.com}", "(ISM2149)");
            await ApplyAsync(Rule.Replace("SNI", "else.example.com", StringComparison.Ordinal));
            await ExpectAsync("object  DestinationRule $ns/$egress in cluster1", "begins TLS for else.example.com", "are for $out.example.com", "(ISM2149)");
            await ApplyAsync(Rule.Replace("SNI", "$out.example.com", StringComparison.Ordinal));
            await ExpectAsync("✔ The call gets through.", "mutual TLS of the mesh", "✔ gateway policy", "✔ onward");

            // Without it: what comes there in plain text has no identity.
            await DeleteAsync(MeshApi.AuthorizationPolicy, "istio-system", "egress");
            await DeleteAsync(MeshApi.VirtualService, "$ns", "onward");
            await ApplyAsync(Route("out", "mesh, $egress", "$egress.istio-system.svc.cluster.local", 80));
            await ExpectAsync("object  VirtualService $ns/$out in cluster1", "field   spec.http[0].route[0].destination.host",
                "sends calls that have come to the gateway Pod istio-system/istio-eastwestgateway", "(ISM2113)");
        }
        finally
        {
            await mesh.Client("cluster1").DeleteAsync(Kinds.Service, "istio-system", services.Name("egress"), Stop);
            await DeleteAsync(MeshApi.AuthorizationPolicy, "istio-system", "egress");
            foreach (var kind in (KindDescriptor[])[MeshApi.Gateway, MeshApi.DestinationRule]) await DeleteAsync(kind, "$ns", "egress");
            foreach (var name in (string[])["out", "onward"]) await DeleteAsync(MeshApi.VirtualService, "$ns", name);
            await DeleteAsync(MeshApi.ServiceEntry, "$ns", "out");
        }
    }

    private static string Route(string name, string gateways, string host, int port) => $$$"""
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {name: ${{{name}}}, namespace: $ns, annotations: {in-cluster: cluster1}}
        spec: {hosts: [$out.example.com], gateways: [{{{gateways}}}], http: [{route: [{destination: {host: {{{host}}}, port: {number: {{{port}}} } } } ] } ] }
        """;

    private Task ApplyAsync(string objects) => mesh.ApplyAsync("cluster1", services.Fill(objects));

    private Task DeleteAsync(KindDescriptor kind, string ns, string name) =>
        mesh.Client("cluster1").DeleteAsync(Manifests.ResourceOf(kind), services.Fill(ns), services.Name(name), Stop);

    private Task ExpectAsync(params string[] parts) => mesh.UntilAsync(
        async () => TraceText.Write(await mesh.TraceAsync($"deployment/{services.Name("caller")}", services.Name("ns"),
            services.Fill("http://$out.example.com/hello")), details: false),
        text => parts.All(part => text.Contains(services.Fill(part), StringComparison.Ordinal)) && !text.Contains("ISM2003", StringComparison.Ordinal),
        services.Fill(string.Join(" | ", parts)));
}

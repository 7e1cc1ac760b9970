using System.Net.Sockets;
using Isthmus.Explain.Tracing;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Operate.Install;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.LoopbackMesh;

/// <summary>Calls from outside that fail behind a gateway: no trace makes one, but the proxy of the gateway remembers how the last one ended.</summary>
[Collection(nameof(SharedLoopbackMesh))]
public sealed class PastCallTests(LoopbackMeshRig mesh, FaultyServices services)
{
    private const string System = "istio-system";

    private const int Port = 18490;

    private const string Objects = """
        apiVersion: v1
        kind: Service
        metadata: {name: $hatch, namespace: istio-system, annotations: {in-cluster: cluster1}}
        spec: {type: LoadBalancer, selector: {istio: eastwestgateway}, ports: [{name: http, port: 80, targetPort: 18490}]}
        ---
        apiVersion: networking.istio.io/v1
        kind: Gateway
        metadata: {name: $hatch, namespace: istio-system, annotations: {in-cluster: cluster1}}
        spec:
          selector: {istio: eastwestgateway}
          servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [$hatch.example.com]}]
        ---
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {name: $hatch, namespace: $ns, annotations: {in-cluster: cluster1}}
        spec:
          hosts: [$hatch.example.com]
          gateways: [istio-system/$hatch]
          http: [{route: [{destination: {host: $hatch, port: {number: 443}}}]}]
        ---
        apiVersion: v1
        kind: Service
        metadata: {name: $hatch, namespace: $ns, annotations: {in-cluster: cluster1}}
        spec: {selector: {app: $hatch}, ports: [{name: https, port: 443, targetPort: 8443}]}
        ---
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: $hatch, namespace: $ns, annotations: {in-cluster: cluster1}}
        spec:
          selector: {matchLabels: {app: $hatch}}
          template:
            metadata: {labels: {app: $hatch, sidecar.istio.io/inject: "false"}}
            spec: {containers: [{name: tls, image: own-tls, args: ["8443"]}]}
        """;

    private const string Rule = """
        apiVersion: networking.istio.io/v1
        kind: DestinationRule
        metadata: {name: $hatch, namespace: $ns, annotations: {in-cluster: cluster1}}
        spec: {host: $hatch, trafficPolicy: {tls: {mode: SIMPLE, insecureSkipVerify: true}}}
        """;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Requests_in_plain_text_to_a_server_of_TLS_are_a_failure_once_one_has_failed_and_until_something_begins_TLS()
    {
        await services.ReadyAsync(mesh);
        var client = mesh.Client("cluster1");
        try
        {
            await mesh.ApplyAsync("cluster1", services.Fill(Objects));
            await ExpectAsync("? TLS", "ISM2131 VirtualService $ns/$hatch in cluster1, spec.http[0].route[0].destination.port.number: leads to port 443 of "
                + "Service $ns/$hatch in cluster1, which declares HTTPS, and nothing begins TLS there", "? The configuration shows no failure");
            await mesh.UntilAsync(AskAsync, status => status == "503", "the server of TLS ends the connection");
            await ExpectAsync("✘ The call fails at: TLS", "object  VirtualService $ns/$hatch in cluster1", "the last call of this gateway there failed",
                "(ISM2131)", "remedy  create a DestinationRule for $hatch.$ns.svc.cluster.local with trafficPolicy.tls.mode SIMPLE");

            await mesh.ApplyAsync("cluster1", services.Fill(Rule));
            await ExpectAsync("✔ TLS", "originated by the caller's proxy");
            await mesh.UntilAsync(AskAsync, status => status == "200", "the gateway begins TLS");
            var text = await mesh.UntilAsync(TraceAsync, text => !text.Contains("last call", StringComparison.Ordinal), "a later call got through");
            Assert.DoesNotContain("✘", text, StringComparison.Ordinal);
        }
        finally
        {
            await client.DeleteAsync(Kinds.Service, System, services.Name("hatch"), Stop);
            await client.DeleteAsync(Kinds.Service, services.Name("ns"), services.Name("hatch"), Stop);
            await client.DeleteAsync(Kinds.Deployment, services.Name("ns"), services.Name("hatch"), Stop);
            await client.DeleteAsync(Manifests.ResourceOf(MeshApi.Gateway), System, services.Name("hatch"), Stop);
            await client.DeleteAsync(Manifests.ResourceOf(MeshApi.VirtualService), services.Name("ns"), services.Name("hatch"), Stop);
            if (await client.FindAsync(Manifests.ResourceOf(MeshApi.DestinationRule), services.Name("ns"), services.Name("hatch"), Stop) is not null)
                await client.DeleteAsync(Manifests.ResourceOf(MeshApi.DestinationRule), services.Name("ns"), services.Name("hatch"), Stop);
        }
    }

    private async Task<string> TraceAsync() => TraceText.Write(
        await mesh.TraceAsync($"gateway/{services.Name("hatch")}", System, services.Fill("http://$hatch.example.com/")), details: false);

    private Task ExpectAsync(params string[] parts) => mesh.UntilAsync(TraceAsync,
        text => parts.All(part => text.Contains(services.Fill(part), StringComparison.Ordinal)), services.Fill(string.Join(" | ", parts)));

    private async Task<string> AskAsync()
    {
        using var handler = new SocketsHttpHandler
        {
            ConnectCallback = async (_, stop) =>
            {
                var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
                await socket.ConnectAsync(mesh.Pod("cluster1", System, "istio-eastwestgateway").Address, Port, stop);
                return new NetworkStream(socket, ownsSocket: true);
            },
        };
        using var http = new HttpClient(handler);
        using var response = await http.GetAsync(new Uri(services.Fill("http://$hatch.example.com/")), Stop);
        return $"{(int)response.StatusCode}";
    }
}

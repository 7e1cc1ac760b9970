using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.LoopbackMesh;

/// <summary>Calls from outside through a gateway that serves an Ingress, with and without TLS, and its status.</summary>
[Collection(nameof(SharedLoopbackMesh))]
public sealed class IngressCallTests(LoopbackMeshRig mesh, FaultyServices services)
{
    private const string System = "istio-system", Settings = "istio";

    private const string Objects = """
        apiVersion: v1
        kind: Service
        metadata: {name: $door, namespace: istio-system}
        spec:
          type: LoadBalancer
          selector: {istio: eastwestgateway}
          ports: [{name: http, port: 80, targetPort: 18580}, {name: https, port: 443, targetPort: 18543}]
        ---
        apiVersion: networking.k8s.io/v1
        kind: IngressClass
        metadata: {name: $door}
        spec: {controller: istio.io/ingress-controller}
        ---
        apiVersion: networking.k8s.io/v1
        kind: Ingress
        metadata: {name: $door, namespace: $ns}
        spec:
          ingressClassName: $door
          tls: [{hosts: [door.example.com], secretName: $door}]
          defaultBackend: {service: {name: $both, port: {number: 18081}}}
          rules:
          - host: door.example.com
            http:
              paths:
              - {path: /hello, pathType: Prefix, backend: {service: {name: $both, port: {name: http-pages}}}}
              - {path: /away, pathType: Exact, backend: {service: {name: $nobody, port: {name: http}}}}
        """;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Gateways_serve_an_Ingress_and_its_status_has_their_addresses()
    {
        await services.ReadyAsync(mesh);
        var client = mesh.Client("cluster1");
        var before = (await client.FindAsync(Kinds.ConfigMap, System, Settings, Stop))!;
        var gateway = mesh.Pod("cluster1", System, "istio-eastwestgateway").Address;
        using var authority = new TestCa("an authority");
        using var root = X509Certificate2.CreateFromPem(authority.Pem);
        using var certificate = authority.RsaServer("door.example.com");
        using var key = certificate.GetRSAPrivateKey()!;
        try
        {
            var settings = (JsonObject)YamlText.Parse(before["data"]!["mesh"]!.ToString(), "mesh")!;
            (settings["ingressService"], settings["ingressSelector"]) = (services.Name("door"), "eastwestgateway");
            await mesh.PatchAsync("cluster1", Kinds.ConfigMap, System, Settings, new() { ["data"] = new JsonObject { ["mesh"] = YamlText.Print(settings) } });
            await mesh.ApplyAsync("cluster1", services.Fill(Objects));
            await mesh.UntilAsync(() => AskAsync(gateway, "http", "/hello"), answer => answer.StartsWith("200 Hello version", StringComparison.Ordinal),
                "the gateway routes by path");
            Assert.StartsWith("503", await AskAsync(gateway, "http", "/away"), StringComparison.Ordinal);
            // from the default backend, which is not to be called /hello
            Assert.StartsWith("404", await AskAsync(gateway, "http", "/helloween"), StringComparison.Ordinal);
            Assert.StartsWith("200 Hello", await AskAsync(gateway, "http", "/hello", "other.example.com"), StringComparison.Ordinal);

            await client.ApplyAsync(Kinds.Secret, new()
            {
                ["apiVersion"] = "v1", ["kind"] = "Secret", ["type"] = "kubernetes.io/tls",
                ["metadata"] = new JsonObject { ["name"] = services.Name("door"), ["namespace"] = System },
                ["stringData"] = new JsonObject { ["tls.crt"] = certificate.ExportCertificatePem(), ["tls.key"] = key.ExportPkcs8PrivateKeyPem() },
            }, Stop);
            await mesh.UntilAsync(() => AskAsync(gateway, "https", "/hello", trusted: root),
                answer => answer.StartsWith("200 Hello version", StringComparison.Ordinal), "the gateway ends TLS with the Secret's certificate");

            var address = await mesh.UntilAsync(() => AddressOf(Kinds.Service, System), answer => answer.Length > 0, "the Service has an address");
            await mesh.UntilAsync(() => AddressOf(Kinds.Ingress, services.Name("ns")), answer => answer == address, "the status of the Ingress has it");
        }
        finally
        {
            await client.DeleteAsync(Kinds.Ingress, services.Name("ns"), services.Name("door"), Stop);
            await client.DeleteAsync(Kinds.IngressClass, null, services.Name("door"), Stop);
            await client.DeleteAsync(Kinds.Service, System, services.Name("door"), Stop);
            await client.DeleteAsync(Kinds.Secret, System, services.Name("door"), Stop);
            await mesh.PatchAsync("cluster1", Kinds.ConfigMap, System, Settings, new() { ["data"] = before["data"]!.DeepClone() });
        }

        async Task<string> AddressOf(ResourceKind kind, string ns) =>
            (await client.FindAsync(kind, ns, services.Name("door"),
                Stop))?["status"]?["loadBalancer"]?["ingress"]?.AsArray().FirstOrDefault()?["ip"]?.ToString()
                ?? "";
    }

    private static async Task<string> AskAsync(IPAddress gateway, string scheme, string path, string host = "door.example.com",
        X509Certificate2? trusted = null)
    {
        using var handler = new SocketsHttpHandler
        {
            ConnectCallback = async (_, stop) =>
            {
                var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
                await socket.ConnectAsync(gateway, scheme == "http" ? 18580 : 18543, stop);
                return new NetworkStream(socket, ownsSocket: true);
            },
            SslOptions = new SslClientAuthenticationOptions
            {
                CertificateChainPolicy = trusted is null
                    ? null
                    : new X509ChainPolicy
                    {
                        TrustMode = X509ChainTrustMode.CustomRootTrust, CustomTrustStore = { trusted }, RevocationMode = X509RevocationMode.NoCheck
                    },
            },
        };
        using var http = new HttpClient(handler);
        using var response = await http.GetAsync(new Uri($"{scheme}://{host}{path}"), Stop);
        return $"{(int)response.StatusCode} {await response.Content.ReadAsStringAsync(Stop)}";
    }
}

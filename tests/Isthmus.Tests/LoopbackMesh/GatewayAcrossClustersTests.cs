using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Config.GatewayApi;
using Isthmus.Operate.Install;
using Xunit;

namespace Isthmus.Tests.LoopbackMesh;

/// <summary>A Gateway that the control plane of one cluster deploys, with routes to a Service that only the other cluster has and exports. The clusters
/// are on separate networks, so that every answer comes through the gateway between them.</summary>
[Trait("shard", "LoopbackMesh")]
public sealed class GatewayAcrossClustersTests(LoopbackMeshRig mesh) : IClassFixture<LoopbackMeshRig>
{
    private const string Shop = """
        apiVersion: v1
        kind: Namespace
        metadata: {name: shop, labels: {istio-injection: enabled}}
        ---
        apiVersion: v1
        kind: Service
        metadata: {name: remote, namespace: shop, annotations: {in-cluster: cluster2}}
        spec:
          selector: {app: remote}
          ports: [{name: http, port: 8000, targetPort: 5000}, {name: http-rpc, port: 8001, targetPort: 8082}, {name: tls, port: 8443, targetPort: 8443}, {name: tcp, port: 9000, targetPort: 9000}]
        ---
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: remote, namespace: shop, annotations: {in-cluster: cluster2}}
        spec:
          selector: {matchLabels: {app: remote}}
          template:
            metadata: {labels: {app: remote}}
            spec:
              containers:
              - {name: web, image: "docker.io/istio/examples-helloworld-v2:1.0"}
              - {name: rpc, image: docker.io/kong/httpbin, args: ["8082"]}
              - {name: own-tls, image: own-tls, args: ["8443"]}
              - {name: echo, image: "docker.io/istio/tcp-echo-server:1.3", args: ["9000", "there"]}
        """;

    private const string Export = "{apiVersion: multicluster.x-k8s.io/v1beta1, kind: ServiceExport, metadata: {name: remote, namespace: shop}}";

    private const string Front = """
        apiVersion: gateway.networking.k8s.io/v1
        kind: Gateway
        metadata: {name: front, namespace: shop}
        spec:
          gatewayClassName: istio
          listeners:
          - {name: http, port: 18480, protocol: HTTP}
          - {name: tls, port: 18443, protocol: TLS, hostname: own.example.com, tls: {mode: Passthrough}}
          - {name: tcp, port: 18900, protocol: TCP}
        ---
        apiVersion: gateway.networking.k8s.io/v1
        kind: HTTPRoute
        metadata: {name: pages, namespace: shop}
        spec:
          parentRefs: [{name: front}]
          hostnames: [pages.example.com]
          rules:
          - matches: [{path: {type: PathPrefix, value: /front}}]
            filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /hello}}}]
            backendRefs: [{group: multicluster.x-k8s.io, kind: ServiceImport, name: remote, port: 8000}]
        ---
        apiVersion: gateway.networking.k8s.io/v1
        kind: GRPCRoute
        metadata: {name: calls, namespace: shop}
        spec:
          parentRefs: [{name: front}]
          hostnames: [calls.example.com]
          rules: [{matches: [{method: {service: shop.Desk, method: Ask}}], backendRefs: [{group: multicluster.x-k8s.io, kind: ServiceImport, name: remote, port: 8001}]}]
        ---
        apiVersion: gateway.networking.k8s.io/v1
        kind: TLSRoute
        metadata: {name: own, namespace: shop}
        spec:
          parentRefs: [{name: front}]
          hostnames: [own.example.com]
          rules: [{backendRefs: [{group: multicluster.x-k8s.io, kind: ServiceImport, name: remote, port: 8443}]}]
        ---
        apiVersion: gateway.networking.k8s.io/v1
        kind: TCPRoute
        metadata: {name: raw, namespace: shop}
        spec:
          parentRefs: [{name: front, sectionName: tcp}]
          rules: [{backendRefs: [{group: multicluster.x-k8s.io, kind: ServiceImport, name: remote, port: 9000}]}]
        """;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    private KubeClient Client => mesh.Client("cluster1");

    [Fact]
    public async Task A_Gateway_leads_every_kind_of_route_to_what_the_other_cluster_exports()
    {
        var crds = await File.ReadAllTextAsync(Path.Combine(Repository(), "samples/multicluster/mcs-crds.yaml"), Stop);
        foreach (var cluster in LoopbackMeshRig.Clusters)
        {
            await new Applier(mesh.Client(cluster), TimeProvider.System).ApplyAsync([.. GatewayApiCrds.All], Stop);
            await mesh.ApplyAsync(cluster, crds);
            await mesh.ApplyAsync(cluster, Shop);
        }
        await ApplyAsync("cluster2", Export);
        await ApplyAsync("cluster1", Front);
        await mesh.UntilAsync(async () => $"{await Client.FindAsync(Manifests.ResourceOf(MeshApi.ServiceImport), "shop", "remote", Stop)}",
            text => text.Length > 0, "cluster1 imports the Service");
        var address = IPAddress.Parse(await mesh.UntilAsync(
            async () => Of(await FrontAsync(), "Programmed") is "True" ? (await FrontAsync())!["status"]!["addresses"]![0]!["value"]!.ToString() : "",
            text => IPAddress.TryParse(text, out _), "the Gateway is programmed, and has the address of its load balancer"));

        await mesh.UntilAsync(() => AskAsync(address, "GET", "pages.example.com", "/front"),
            answer => answer.StartsWith("200 Hello version: v2", StringComparison.Ordinal), "an HTTPRoute");
        await mesh.UntilAsync(() => AskAsync(address, "POST", "calls.example.com", "/shop.Desk/Ask"), answer => answer == "200 httpbin", "a GRPCRoute");
        Assert.StartsWith("404", await AskAsync(address, "POST", "calls.example.com", "/shop.Desk/Other"), StringComparison.Ordinal);
        await mesh.UntilAsync(() => SecureAsync(address, "own.example.com"), answer => answer == "CN=own 200 own", "a TLSRoute, whose TLS ends at the backend");
        await mesh.UntilAsync(() => GreetingAsync(address), answer => answer == "there", "a TCPRoute");

        // Nobody exports it any more, and there is no Service of the name.
        await mesh.Client("cluster2").DeleteAsync(Manifests.ResourceOf(MeshApi.ServiceExport), "shop", "remote", Stop);
        await mesh.Client("cluster2").DeleteAsync(Kinds.Service, "shop", "remote", Stop);
        await mesh.UntilAsync(() => AskAsync(address, "GET", "pages.example.com", "/front"), answer => answer.StartsWith("500", StringComparison.Ordinal),
            "its share of the requests gets 500");
        await mesh.UntilAsync(async () => ReasonOf(await Client.FindAsync(Manifests.ResourceOf(MeshApi.HttpRoute), "shop", "pages", Stop)),
            reason => reason == "BackendNotFound", "the status says so");

        await Client.DeleteAsync(Manifests.ResourceOf(MeshApi.ApiGateway), "shop", "front", Stop);
        await mesh.UntilAsync(async () => string.Join(' ', await Task.WhenAll(((ResourceKind[])[Kinds.Deployment, Kinds.Service, Kinds.ServiceAccount])
            .Select(async kind => (await Client.FindAsync(kind, "shop", "front-istio", Stop))?["kind"]?.ToString() ?? ""))), left => left.Trim().Length == 0,
            "what was made for the Gateway goes with it");
    }

    /// <summary>Applies objects of the mesh's APIs that no installation brings.</summary>
    private async Task ApplyAsync(string cluster, string text)
    {
        foreach (var item in YamlText.ParseAll(text, "test").OfType<JsonObject>())
        {
            var kind = MeshApi.All.First(known => known.Kind == item["kind"]!.ToString() && known.Group == item["apiVersion"]!.ToString().Split('/')[0]);
            await mesh.Client(cluster).ApplyAsync(Manifests.ResourceOf(kind), item, Stop);
        }
    }

    private async Task<JsonObject?> FrontAsync() => await Client.FindAsync(Manifests.ResourceOf(MeshApi.ApiGateway), "shop", "front", Stop);

    private static string Of(JsonObject? item, string condition) =>
        item?["status"]?["conditions"]?.AsArray().FirstOrDefault(found => found!["type"]!.ToString() == condition)?["status"]?.ToString() ?? "";

    private static string ReasonOf(JsonObject? route) => route?["status"]?["parents"]?[0]?["conditions"]?.AsArray()
        .FirstOrDefault(found => found!["type"]!.ToString() == "ResolvedRefs")?["reason"]?.ToString() ?? "";

    private static async Task<string> AskAsync(IPAddress address, string method, string host, string path)
    {
        using var client = new HttpClient(new SocketsHttpHandler { UseProxy = false });
        using var request = new HttpRequestMessage(new(method), new Uri($"http://{address}:18480{path}"));
        request.Headers.Host = host;
        using var response = await client.SendAsync(request, Stop);
        return $"{(int)response.StatusCode} {await response.Content.ReadAsStringAsync(Stop)}";
    }

    /// <summary>The subject of the server's certificate, and its answer.</summary>
    private static async Task<string> SecureAsync(IPAddress address, string host)
    {
        using var client = new TcpClient();
        try
        {
            await client.ConnectAsync(address, 18443, Stop);
            await using var tls = new SslStream(client.GetStream(), false, (_, _, _, _) => true);
            await tls.AuthenticateAsClientAsync(new SslClientAuthenticationOptions { TargetHost = host }, Stop);
            await tls.WriteAsync(Encoding.ASCII.GetBytes($"GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n"), Stop);
            using var reader = new StreamReader(tls, Encoding.ASCII);
            var text = await reader.ReadToEndAsync(Stop);
            return $"{tls.RemoteCertificate!.Subject} {text.Split(' ')[1]} {text.Split("\r\n\r\n")[1]}";
        }
        catch (Exception e) when (e is IOException or System.Security.Authentication.AuthenticationException or SocketException)
        {
            return e.Message;
        }
    }

    private static async Task<string> GreetingAsync(IPAddress address)
    {
        using var client = new TcpClient();
        try
        {
            await client.ConnectAsync(address, 18900, Stop);
            using var reader = new StreamReader(client.GetStream(), Encoding.ASCII);
            return await reader.ReadLineAsync(Stop) ?? "";
        }
        catch (Exception e) when (e is IOException or SocketException)
        {
            return e.Message;
        }
    }

    private static string Repository([CallerFilePath] string path = "") => Path.GetFullPath(Path.Combine(Path.GetDirectoryName(path)!, "../../.."));
}

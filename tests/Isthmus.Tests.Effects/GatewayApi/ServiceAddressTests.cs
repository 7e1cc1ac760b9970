using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;
using Isthmus.Proxy;
using Isthmus.Proxy.Telemetry;
using Isthmus.Rigs.Mesh;
using Isthmus.Testing;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;

namespace Isthmus.Tests.Effects.GatewayApi;

/// <summary>Calls to the address of a Service with routes (<c>MeshClusterIPMatching</c>), from the objects to the server.</summary>
public sealed class ServiceAddressTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Calls_to_the_address_of_a_Service_get_its_routes_whatever_host_they_name()
    {
        await using var server = await OriginServer.StartAsync(HttpProtocols.Http1,
            context => context.Response.WriteAsync($"{context.Request.Headers["mark"]}"));
        using var caller = new Caller(server.Port);
        foreach (var host in (string[])["stock", "anything.example", "stock.shop.svc.cluster.local", "10.96.3.1", "10.96.3.1:80"])
            Assert.Equal((200, "routed"), await CallAsync(caller.Port, host));
        // What is called by another address and names the Service is routed as well.
        Assert.Equal((200, "routed"), await CallAsync(caller.TcpPort, "stock"));
        // Without routes of its own, a Service is called as it is, whatever others there are.
        Assert.Equal((200, ""), await CallAsync(caller.TcpPort, "plain"));
    }

    private static async Task<(int, string)> CallAsync(int port, string host)
    {
        using var client = new HttpClient(new SocketsHttpHandler { UseProxy = false });
        using var request = new HttpRequestMessage(HttpMethod.Get, $"http://127.0.0.1:{port}/");
        request.Headers.Host = host;
        using var response = await client.SendAsync(request, Stop);
        return ((int)response.StatusCode, await response.Content.ReadAsStringAsync(Stop));
    }

    private const string Route = """
        apiVersion: gateway.networking.k8s.io/v1
        kind: HTTPRoute
        metadata: {name: r, namespace: shop}
        spec:
          parentRefs: [{group: '', kind: Service, name: stock}]
          rules: [{filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: mark, value: routed}]}}],
            backendRefs: [{name: stock, port: 80}]}]
        """;

    /// <summary>A sidecar with the listener of the Service's address, and that of all addresses.</summary>
    private sealed class Caller(int port) : ConfiguredProxy(
        MeshOf(port), rig => rig.Sidecar("c1"), Build(ProxySettings.Default(ProxyIdentity.Unknown, "sidecar"), new NoLogs()), "10.96.3.1_80", "0.0.0.0_80")
    {
        private static MeshRig MeshOf(int port)
        {
            var rig = new MeshRig("c1");
            foreach (var (name, ip) in new[] { ("stock", "10.96.3.1"), ("plain", "10.96.3.2") })
            {
                rig.Writer.Put("c1", new Service
                {
                    Metadata = new() { Name = name, Namespace = MeshRig.Namespace },
                    Spec = new() { Type = "ClusterIP", ClusterIP = ip, ClusterIPs = [ip], Selector = { ["app"] = name },
                        Ports = { new() { Name = "http", Port = 80, TargetPort = JsonValue.Create(port) } } },
                });
                rig.Writer.Put("c1", new EndpointSlice
                {
                    Metadata = new() { Name = $"{name}-1", Namespace = MeshRig.Namespace, Labels = { ["kubernetes.io/service-name"] = name } },
                    Endpoints = [new() { Addresses = ["127.0.0.1"], Conditions = new() { Ready = true } }],
                    Ports = { new() { Name = "http", Port = port } },
                });
            }
            rig.Config(Route);
            return rig;
        }
    }

    private sealed class NoLogs : ILogFiles
    {
        public Stream Open(string path) => Stream.Null;
    }
}

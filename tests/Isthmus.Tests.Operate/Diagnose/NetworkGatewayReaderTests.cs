using System.Text.Json;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Operate.Diagnose;
using Isthmus.Testing;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;

namespace Isthmus.Tests.Operate.Diagnose;

public sealed class NetworkGatewayReaderTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("[]", "gw-1")]
    [InlineData("""[{"name": "ISTIO_META_REQUESTED_NETWORK_VIEW", "value": "n1"}]""", "")]
    [InlineData("""[{"name": "PROXY_CONFIG", "value": "{\"proxyMetadata\":{\"ISTIO_META_REQUESTED_NETWORK_VIEW\":\"n1\"}}\n"}]""", "")]
    [InlineData("""[{"name": "PROXY_CONFIG", "value": "{}"}]""", "gw-1")]
    public async Task A_gateway_whose_proxy_gets_endpoints_of_all_networks_is_named(string env, string told)
    {
        var gateway = await ReadAsync($$"""
            {"metadata": {"name": "gw-1", "namespace": "istio-system"}, "spec": {"containers": [{"name": "istio-proxy", "env": {{env}} }]},
             "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]} }
            """);
        Assert.Equal((told, "n1", true), (gateway.SeesAllNetworks, gateway.Network, gateway.HasPort));
    }

    [Fact]
    public async Task A_load_balancer_that_is_no_proxy_of_the_mesh_is_not_judged() =>
        Assert.Equal("", (await ReadAsync("""
            {"metadata": {"name": "gw-1"}, "spec": {"containers": [{"name": "haproxy"}]}, "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}
            """)).SeesAllNetworks);

    [Fact]
    public async Task Who_may_not_see_Pods_is_told_the_rest()
    {
        var gateway = await ReadAsync(null);
        Assert.Equal(("istio-system/gw", "", ""), (gateway.Name, gateway.SeesAllNetworks, gateway.SelectsNothing));
    }

    /// <param name="pod">The gateway's; null: Pods may not be listed.</param>
    private static async Task<GatewayFacts> ReadAsync(string? pod)
    {
        await using var server = await OriginServer.StartAsync(HttpProtocols.Http1, async context =>
        {
            var arePods = context.Request.Path.Value!.EndsWith("/pods", StringComparison.Ordinal);
            context.Response.StatusCode = arePods && pod is null ? 403 : 200;
            context.Response.ContentType = "application/json";
            await context.Response.WriteAsync(arePods && pod is null ? """{"kind": "Status", "code": 403, "message": "forbidden"}"""
                : $$"""{"kind": "List", "metadata": {"resourceVersion": "1"}, "items": [{{(arePods ? pod : "")}}]}""", Stop);
        });
        using var client = new KubeClient(new() { Server = new($"http://127.0.0.1:{server.Port}") }, "test");
        var service = JsonSerializer.Deserialize<Service>("""
            {"metadata": {"name": "gw", "namespace": "istio-system", "labels": {"topology.istio.io/network": "n1"}}, "spec": {"selector": {"app": "gw"}, "ports": [{"port": 15443}]}}
            """, JsonSerializerOptions.Web)!;
        return Assert.Single(await NetworkGatewayReader.ReadAsync(new(client, Stop), [service], byNames: false, Stop));
    }
}

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

    /// <summary>Without the note, a check that was not made looks like one that passed.</summary>
    [Theory]
    [InlineData("pods", "", "Pods of gateways in istio-system")]
    [InlineData("deployments", "app=gw", "Deployments of gateways in istio-system")]
    public async Task What_the_user_may_not_list_is_noted_and_the_rest_is_told(string refused, string selectsNothing, string part)
    {
        var withheld = new WithheldParts();
        var gateway = await ReadAsync("", refused: refused, withheld: withheld);
        Assert.Equal(("istio-system/gw", "", selectsNothing), (gateway.Name, gateway.SeesAllNetworks, gateway.SelectsNothing));
        Assert.Equal(new WithheldFacts(part, "forbidden"), Assert.Single(withheld.All));
    }

    /// <summary>API servers of other regions are far away. A right for one namespace is none for another.</summary>
    [Fact]
    public async Task Gateways_are_read_at_once_and_each_namespace_that_may_not_be_read_is_noted()
    {
        var (asked, both, withheld) = (0, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously), new WithheldParts());
        await using var server = await OriginServer.StartAsync(HttpProtocols.Http1, async context =>
        {
            if (!context.Request.Path.Value!.EndsWith("/pods", StringComparison.Ordinal))
            {
                await AnswerAsync(context, "");
                return;
            }
            if (Interlocked.Increment(ref asked) == 2) both.SetResult();
            await both.Task.WaitAsync(context.RequestAborted);
            await RefuseAsync(context);
        });
        using var client = new KubeClient(new() { Server = new($"http://127.0.0.1:{server.Port}") }, "test") { RequestTimeout = TimeSpan.FromSeconds(10) };
        var gateways = await new NetworkGatewayReader(new(client, Stop), withheld).ReadAsync([Labelled("west"), Labelled("east")], byNames: false, [], Stop);
        Assert.Equal(["west/gw", "east/gw"], gateways.Select(gateway => gateway.Name));
        Assert.Equal(["Pods of gateways in east", "Pods of gateways in west"], withheld.All.Select(part => part.Part));
    }

    /// <summary>An address that both fields have stays when it is removed from spec.externalIPs.</summary>
    [Fact]
    public async Task Addresses_that_only_externalIPs_say_are_known()
    {
        var gateway = await ReadAsync("");
        Assert.Contains("203.0.113.9", gateway.Addresses);
        Assert.Equal("203.0.113.9", Assert.Single(gateway.Given));
    }

    /// <summary>An application with the label of the gateway gets a part of its calls, which verify tells.</summary>
    [Theory]
    [InlineData("{\"name\": \"app\"}", true)]
    [InlineData("{\"name\": \"app\"}, {\"name\": \"istio-proxy\", \"args\": [\"proxy\", \"sidecar\"]}", true)]
    [InlineData("{\"name\": \"istio-proxy\", \"args\": [\"proxy\", \"router\"]}", false)]
    public async Task An_application_among_the_Pods_of_a_gateway_is_told(string containers, bool isTold)
    {
        static string Pod(string name, string containers) => "{\"metadata\": {\"name\": \"" + name + "\", \"namespace\": \"istio-system\"}, \"spec\": "
            + "{\"containers\": [" + containers + "]}, \"status\": {\"phase\": \"Running\", \"conditions\": [{\"type\": \"Ready\", \"status\": \"True\"}]}}";
        var gateway = await ReadAsync($"{Pod("gw-1", "{\"name\": \"istio-proxy\", \"args\": [\"proxy\", \"router\"]}")}, {Pod("app-1", containers)}");
        Assert.Equal(isTold ? "Pod istio-system/app-1" : null, gateway.Stranger?.Object);
        Assert.Equal("", gateway.Workload);
        var check = NetworkVerification.Gateway(new("c1", ""), gateway with { Addresses = ["172.18.0.9"], ReadyEndpoints = 2 });
        Assert.Equal(isTold ? ("ISM1556", "Pod istio-system/app-1 in c1") : (null, null), (check.Problem?.Code, check.Problem?.Object));
    }

    /// <summary>Pods that only a wrong selector makes a gateway are not asked for what gateways have.</summary>
    [Theory]
    [InlineData("east", "gw-1")]
    [InlineData("in", null)]
    [InlineData("none", null)]
    public async Task A_Service_that_selects_other_Pods_than_those_of_the_Gateway_is_told(string selected, string? stray)
    {
        var gateway = await ReadAsync("""
            {"metadata": {"name": "gw-1", "namespace": "istio-system", "labels": {"istio": "in"}}, "spec": {"containers": [{"name": "istio-proxy"}]},
             "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]} }
            """, Passing(selected), """
            {"metadata": {"name": "east-1", "namespace": "istio-system", "labels": {"istio": "east"}}, "spec": {"containers": [{"name": "istio-proxy"}]},
             "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]} }
            """);
        Assert.Equal((stray, stray is null ? "gw-1" : ""), (gateway.Astray?.Pod, gateway.SeesAllNetworks));
        if (stray is not null)
            Assert.Equal(("app=gw", "istio-system/cross", "east-1"), (gateway.Astray!.Selector, gateway.Astray.Gateway, gateway.Astray.Serving));
    }

    private static Isthmus.Mesh.Model.Gateway[] Passing(string istio) =>
        [.. Isthmus.Operate.Inventory.ClusterInventory.From("c1", [Isthmus.Kubernetes.Yaml.YamlText.Parse("{apiVersion: networking.istio.io/v1, kind: Gateway, "
            + $"metadata: {{name: cross, namespace: istio-system}}, spec: {{selector: {{istio: {istio}}}, servers: [{{port: {{number: 15443, name: tls, "
            + "protocol: TLS}, tls: {mode: AUTO_PASSTHROUGH}, hosts: ['*.local']}]}}", "test")!.AsObject()]).Istio<Isthmus.Mesh.Model.Gateway>()];

    /// <param name="pod">The gateway's; empty: it has none.</param>
    /// <param name="refused">The plural of what may not be listed.</param>
    private static async Task<GatewayFacts> ReadAsync(string pod, IReadOnlyList<Isthmus.Mesh.Model.Gateway>? passing = null, string beside = "",
        string refused = "", WithheldParts? withheld = null)
    {
        await using var server = await OriginServer.StartAsync(HttpProtocols.Http1, async context =>
        {
            var plural = context.Request.Path.Value!.Split('/')[^1];
            if (plural == refused) await RefuseAsync(context);
            else
                await AnswerAsync(context, plural != "pods" ? ""
                    : context.Request.Query["labelSelector"].ToString() switch { "istio=east" => beside, "istio=none" => "", _ => pod });
        });
        using var client = new KubeClient(new() { Server = new($"http://127.0.0.1:{server.Port}") }, "test");
        return Assert.Single(await new NetworkGatewayReader(new(client, Stop), withheld ?? new())
            .ReadAsync([Labelled("istio-system")], byNames: false, passing ?? [], Stop));
    }

    private static Service Labelled(string ns) => JsonSerializer.Deserialize<Service>("""
        {"metadata": {"name": "gw", "namespace": "NS", "labels": {"topology.istio.io/network": "n1"}},
         "spec": {"selector": {"app": "gw"}, "ports": [{"port": 15443}], "externalIPs": ["192.0.2.1", "203.0.113.9"]},
         "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}}
        """.Replace("NS", ns, StringComparison.Ordinal), JsonSerializerOptions.Web)!;

    private static Task AnswerAsync(HttpContext context, string items)
    {
        context.Response.ContentType = "application/json";
        return context.Response.WriteAsync($$"""{"kind": "List", "metadata": {"resourceVersion": "1"}, "items": [{{items}}]}""", Stop);
    }

    private static Task RefuseAsync(HttpContext context)
    {
        (context.Response.StatusCode, context.Response.ContentType) = (403, "application/json");
        return context.Response.WriteAsync("""{"kind": "Status", "code": 403, "message": "forbidden"}""", Stop);
    }
}

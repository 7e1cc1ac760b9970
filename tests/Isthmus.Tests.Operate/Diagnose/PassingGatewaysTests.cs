using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Operate.Diagnose;
using Xunit;

namespace Isthmus.Tests.Operate.Diagnose;

public sealed class PassingGatewaysTests
{
    [Theory]
    [InlineData("topology.istio.io/network: n1", "port: 15443, protocol: TLS, tls: {mode: Passthrough}", true)]
    [InlineData("topology.istio.io/network: n1, networking.istio.io/gatewayPort: '443'", "port: 443, protocol: TLS, tls: {mode: Passthrough}", true)]
    [InlineData("a: b", "port: 443, protocol: TLS, tls: {mode: Passthrough, options: {gateway.istio.io/listener-protocol: auto-passthrough}}", true)]
    [InlineData("topology.istio.io/network: n1", "port: 443, protocol: TLS, tls: {mode: Passthrough}", false)]
    [InlineData("topology.istio.io/network: n1", "port: 15443, protocol: TLS, tls: {mode: Terminate}", false)]
    [InlineData("a: b", "port: 15443, protocol: TLS, tls: {mode: Passthrough}", false)]
    public void A_gateway_of_the_Gateway_API_exposes_services_as_its_listener_says(string labels, string listener, bool passes)
    {
        var gateway = Gateway("istio-east-west", labels, listener);
        Assert.Equal(passes, PassingGateways.IsApis(gateway, []));
    }

    /// <summary>Listeners of others' classes say nothing of this mesh.</summary>
    [Theory]
    [InlineData("istio-east-west", "istio.io/eastwest-controller", true)]
    [InlineData("istio", "", true)]
    [InlineData("istio-remote", "istio.io/unmanaged-gateway", false)]
    [InlineData("own", "istio.io/gateway-controller", true)]
    [InlineData("own", "example.com/controller", false)]
    [InlineData("istio", "example.com/controller", false)]
    [InlineData("unknown", "", false)]
    public void Only_Gateways_of_classes_that_control_planes_deploy_expose_services(string name, string controller, bool passes)
    {
        var classes = controller.Length == 0
            ? []
            : (JsonObject[])[(JsonObject)YamlText.Parse($"{{metadata: {{name: {name}}}, spec: {{controllerName: {controller}}}}}", "class")!];
        Assert.Equal(passes,
            PassingGateways.IsApis(Gateway(name, "topology.istio.io/network: n1", "port: 15443, protocol: TLS, tls: {mode: Passthrough}"), classes));
    }

    /// <summary>A control plane behind a Gateway is exposed by a listener with a route.</summary>
    [Theory]
    [InlineData("gw", 15012, 1, true)]
    [InlineData("gw", 15012, 0, false)]
    [InlineData("gw", 443, 1, false)]
    [InlineData("other", 15012, 1, false)]
    public void A_listener_with_a_route_leads_on(string made, int port, int routes, bool leads)
    {
        var gateway = Gateway("istio", "a: b", $"port: {port}, protocol: TLS, tls: {{mode: Passthrough}}");
        gateway["status"] = YamlText.Parse($"{{listeners: [{{name: l, attachedRoutes: {routes}}}]}}", "status");
        var service = new Service
        {
            Metadata = new() { Name = "gw-istio", Namespace = "istio-system", Labels = { ["gateway.networking.k8s.io/gateway-name"] = made } },
        };
        Assert.Equal(leads, PassingGateways.Leads(gateway, service, 15012));
    }

    private static JsonObject Gateway(string name, string labels, string listener) => (JsonObject)YamlText.Parse($"""
            apiVersion: gateway.networking.k8s.io/v1
            kind: Gateway
            metadata: "@"
            """.Replace("\"@\"", $"{{name: gw, namespace: istio-system, labels: {{{labels}}}}}", StringComparison.Ordinal)
            + $"\nspec: {{gatewayClassName: {name}, listeners: [{{name: l, {listener}}}]}}\n", "gateway")!;
}

using System.Text.Json.Nodes;
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
        var gateway = (JsonObject)YamlText.Parse($"""
            apiVersion: gateway.networking.k8s.io/v1
            kind: Gateway
            metadata: "@"
            """.Replace("\"@\"", $"{{name: gw, namespace: istio-system, labels: {{{labels}}}}}", StringComparison.Ordinal)
            + $"\nspec: {{gatewayClassName: istio-east-west, listeners: [{{name: l, {listener}}}]}}\n", "gateway")!;
        Assert.Equal(passes, PassingGateways.IsApis(gateway));
    }
}

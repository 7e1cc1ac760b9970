using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Operate.Inventory;
using Xunit;

namespace Isthmus.Tests.Operate.Diagnose.Analysis;

public sealed class ProviderReferencesTests
{
    [Theory]
    [InlineData("mesh: ''", "action: CUSTOM, provider: {name: outer}", "\"outer\" is not an external authorizer in extensionProviders")]
    [InlineData("mesh: 'extensionProviders: [{name: outer, zipkin: {service: a, port: 1}}]'", "action: CUSTOM, provider: {name: outer}", "\"outer\" is not an external authorizer in extensionProviders")]
    [InlineData("mesh: 'extensionProviders: [{name: outer, envoyExtAuthzHttp: {service: shop/asks.shop.svc.cluster.local, port: 80}}]'", "action: CUSTOM, provider: {name: outer}", null)]
    [InlineData("mesh: 'extensionProviders: [{name: outer, envoyExtAuthzGrpc: {service: asks.example, port: 80}}]'", "action: CUSTOM, provider: {name: outer}", null)]
    [InlineData("mesh: 'extensionProviders: [{name: outer, envoyExtAuthzHttp: {service: ask.shop.svc.cluster.local, port: 80}}]'", "action: CUSTOM, provider: {name: outer}", "neither a Service nor a ServiceEntry")]
    [InlineData("mesh: ''", "action: DENY", null)]
    [InlineData("other: ''", "action: CUSTOM, provider: {name: outer}", null)]
    public void A_policy_whose_authorizer_cannot_be_asked_is_reported(string settings, string spec, string? message)
    {
        var objects = YamlText.ParseAll($$"""
            {apiVersion: v1, kind: ConfigMap, metadata: {name: istio, namespace: istio-system}, data: { {{settings}} } }
            ---
            {apiVersion: v1, kind: Service, metadata: {name: asks, namespace: shop}, spec: {} }
            ---
            {apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {name: asks, namespace: shop}, spec: {hosts: [asks.example], ports: [{number: 80, name: grpc, protocol: GRPC}] } }
            ---
            {apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: guard, namespace: shop}, spec: { {{spec}}, rules: [{}] } }
            """, "c1").OfType<JsonObject>();
        var findings = Isthmus.Operate.Diagnose.Analysis.Analysis.Run([ClusterInventory.From("c1", objects)]).Where(finding => finding.Problem.Code == "IST0101").ToList();
        if (message is null)
        {
            Assert.Empty(findings);
            return;
        }
        var problem = Assert.Single(findings).Problem;
        Assert.Equal(("AuthorizationPolicy shop/guard", "spec.provider.name"), (problem.Object, problem.Path));
        Assert.Contains(message, problem.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("mesh: ''", "tracing: [{providers: [{name: spans}]}]", "\"spans\" is not a collector of traces")]
    [InlineData("mesh: 'extensionProviders: [{name: spans, envoyExtAuthzHttp: {service: asks.example, port: 80}}]'", "tracing: [{providers: [{name: spans}]}]", "\"spans\" is not a collector of traces")]
    [InlineData("mesh: 'extensionProviders: [{name: spans, zipkin: {service: shop/asks.shop.svc.cluster.local, port: 80}}]'", "tracing: [{providers: [{name: spans}]}]", null)]
    [InlineData("mesh: 'extensionProviders: [{name: spans, opentelemetry: {service: ask.shop.svc.cluster.local, port: 80}}]'", "tracing: [{providers: [{name: spans}]}]", "neither a Service nor a ServiceEntry")]
    [InlineData("mesh: ''", "tracing: [{providers: [{name: spans}], disableSpanReporting: true}]", null)]
    [InlineData("other: ''", "tracing: [{providers: [{name: spans}]}]", null)]
    [InlineData("mesh: ''", "accessLogging: [{providers: [{name: lines}]}]", "\"lines\" is not an access log in extensionProviders")]
    [InlineData("mesh: ''", "accessLogging: [{providers: [{name: envoy}]}]", null)]
    [InlineData("mesh: ''", "accessLogging: [{providers: [{name: lines}], disabled: true}]", null)]
    [InlineData("mesh: 'extensionProviders: [{name: lines, envoyFileAccessLog: {path: /dev/stderr}}]'", "accessLogging: [{providers: [{name: lines}]}]", null)]
    public void A_Telemetry_whose_collector_does_not_exist_is_reported(string settings, string spec, string? message)
    {
        var objects = YamlText.ParseAll($$"""
            {apiVersion: v1, kind: ConfigMap, metadata: {name: istio, namespace: istio-system}, data: { {{settings}} } }
            ---
            {apiVersion: v1, kind: Service, metadata: {name: asks, namespace: shop}, spec: {} }
            ---
            {apiVersion: telemetry.istio.io/v1, kind: Telemetry, metadata: {name: traces, namespace: shop}, spec: { {{spec}} } }
            """, "c1").OfType<JsonObject>();
        var findings = Isthmus.Operate.Diagnose.Analysis.Analysis.Run([ClusterInventory.From("c1", objects)]).Where(finding => finding.Problem.Code == "IST0101").ToList();
        if (message is null)
        {
            Assert.Empty(findings);
            return;
        }
        var problem = Assert.Single(findings).Problem;
        Assert.Equal(("Telemetry shop/traces", $"spec.{spec.Split(':')[0]}[0].providers[0].name"), (problem.Object, problem.Path));
        Assert.Contains(message, problem.Message, StringComparison.Ordinal);
    }
}

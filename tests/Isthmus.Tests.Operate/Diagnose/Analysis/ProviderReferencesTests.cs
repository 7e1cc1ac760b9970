using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Operate.Inventory;
using Xunit;

namespace Isthmus.Tests.Operate.Diagnose.Analysis;

public sealed class ProviderReferencesTests
{
    [Theory]
    [InlineData("mesh: ''", "action: CUSTOM, provider: {name: outer}", "\"outer\" is not an external authorizer in extensionProviders")]
    [InlineData("mesh: 'extensionProviders: [{name: outer, zipkin: {service: a, port: 1}}]'", "action: CUSTOM, provider: {name: outer}",
        "\"outer\" is not an external authorizer in extensionProviders")]
    [InlineData("mesh: 'extensionProviders: [{name: outer, envoyExtAuthzHttp: {service: shop/asks.shop.svc.cluster.local, port: 80}}]'",
        "action: CUSTOM, provider: {name: outer}", null)]
    [InlineData("mesh: 'extensionProviders: [{name: outer, envoyExtAuthzHttp: {service: asks, port: 80}}]'", "action: CUSTOM, provider: {name: outer}", null)]
    [InlineData("mesh: 'extensionProviders: [{name: outer, envoyExtAuthzHttp: {service: asks.shop, port: 80}}]'", "action: CUSTOM, provider: {name: outer}", null)]
    [InlineData("mesh: 'extensionProviders: [{name: outer, envoyExtAuthzHttp: {service: ask, port: 80}}]'", "action: CUSTOM, provider: {name: outer}",
        "neither a Service nor a ServiceEntry")]
    [InlineData("mesh: 'extensionProviders: [{name: outer, envoyExtAuthzGrpc: {service: asks.example, port: 80}}]'", "action: CUSTOM, provider: {name: outer}",
        null)]
    [InlineData("mesh: 'extensionProviders: [{name: outer, envoyExtAuthzHttp: {service: ask.shop.svc.cluster.local, port: 80}}]'",
        "action: CUSTOM, provider: {name: outer}", "neither a Service nor a ServiceEntry")]
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
        var findings = Isthmus.Operate.Diagnose.Analysis.Analysis.Run([ClusterInventory.From("c1", objects)])
            .Where(finding => finding.Problem.Code == "IST0101").ToList();
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
    [InlineData("mesh: 'extensionProviders: [{name: spans, envoyExtAuthzHttp: {service: asks.example, port: 80}}]'", "tracing: [{providers: [{name: spans}]}]",
        "\"spans\" is not a collector of traces")]
    [InlineData("mesh: 'extensionProviders: [{name: spans, zipkin: {service: shop/asks.shop.svc.cluster.local, port: 80}}]'",
        "tracing: [{providers: [{name: spans}]}]", null)]
    [InlineData("mesh: 'extensionProviders: [{name: spans, opentelemetry: {service: ask.shop.svc.cluster.local, port: 80}}]'",
        "tracing: [{providers: [{name: spans}]}]", "neither a Service nor a ServiceEntry")]
    [InlineData("mesh: ''", "tracing: [{providers: [{name: spans}], disableSpanReporting: true}]", null)]
    [InlineData("other: ''", "tracing: [{providers: [{name: spans}]}]", null)]
    [InlineData("mesh: ''", "accessLogging: [{providers: [{name: lines}]}]", "\"lines\" is not an access log in extensionProviders")]
    [InlineData("mesh: ''", "accessLogging: [{providers: [{name: envoy}]}]", null)]
    [InlineData("mesh: ''", "accessLogging: [{providers: [{name: lines}], disabled: true}]", null)]
    [InlineData("mesh: 'extensionProviders: [{name: lines, envoyFileAccessLog: {path: /dev/stderr}}]'", "accessLogging: [{providers: [{name: lines}]}]", null)]
    [InlineData("mesh: ''", "metrics: [{providers: [{name: numbers}]}]", "\"numbers\" is not Prometheus in extensionProviders")]
    [InlineData("mesh: 'extensionProviders: [{name: numbers, zipkin: {service: asks.shop.svc.cluster.local, port: 80}}]'",
        "metrics: [{providers: [{name: numbers}]}]", "\"numbers\" is not Prometheus in extensionProviders")]
    [InlineData("mesh: 'extensionProviders: [{name: numbers, prometheus: {}}]'", "metrics: [{providers: [{name: numbers}]}]", null)]
    [InlineData("mesh: ''", "metrics: [{providers: [{name: prometheus}]}]", null)]
    [InlineData("other: ''", "metrics: [{providers: [{name: numbers}]}]", null)]
    public void A_Telemetry_whose_collector_does_not_exist_is_reported(string settings, string spec, string? message)
    {
        var objects = YamlText.ParseAll($$"""
            {apiVersion: v1, kind: ConfigMap, metadata: {name: istio, namespace: istio-system}, data: { {{settings}} } }
            ---
            {apiVersion: v1, kind: Service, metadata: {name: asks, namespace: shop}, spec: {} }
            ---
            {apiVersion: telemetry.istio.io/v1, kind: Telemetry, metadata: {name: traces, namespace: shop}, spec: { {{spec}} } }
            """, "c1").OfType<JsonObject>();
        var findings = Isthmus.Operate.Diagnose.Analysis.Analysis.Run([ClusterInventory.From("c1", objects)])
            .Where(finding => finding.Problem.Code == "IST0101").ToList();
        if (message is null)
        {
            Assert.Empty(findings);
            return;
        }
        var problem = Assert.Single(findings).Problem;
        Assert.Equal(("Telemetry shop/traces", $"spec.{spec.Split(':')[0]}[0].providers[0].name"), (problem.Object, problem.Path));
        Assert.Contains(message, problem.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{app: spans}", "True", "{app: spans}", "False", false)]
    [InlineData("{app: spans}", "False", "{app: spans}", "True", false)]
    [InlineData("{app: spans}", "False", "{app: spans}", "False", true)]
    [InlineData("{app: other}", "True", "{app: spans}", "False", true)]
    // Somebody else says what is behind a Service without a selector.
    [InlineData("{app: other}", "True", "{}", "False", false)]
    public void A_collector_behind_which_no_Pod_is_ready_is_reported(string here, string isReadyHere, string selector, string isReadyThere, bool isReported)
    {
        string Service() => $$"""{apiVersion: v1, kind: Service, metadata: {name: spans, namespace: shop}, spec: {selector: {{selector}} } }""";
        string Pod(string labels, string isReady) =>
            $$"""{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: shop, labels: {{labels}} }, status: {phase: Running, conditions: [{type: Ready, status: "{{isReady}}"}]} }""";
        ClusterInventory Cluster(string name, params string[] more) =>
            ClusterInventory.From(name, YamlText.ParseAll(string.Join("\n---\n", more), name).OfType<JsonObject>());
        var findings = Isthmus.Operate.Diagnose.Analysis.Analysis.Run(
            [
                Cluster("c1", Service(), Pod(here, isReadyHere),
                    "{apiVersion: v1, kind: ConfigMap, metadata: {name: istio, namespace: istio-system}, data: {mesh: 'extensionProviders: [{name: spans, "
                        + "zipkin: {service: spans.shop.svc.cluster.local, port: 80}}]'} }",
                    "{apiVersion: telemetry.istio.io/v1, kind: Telemetry, metadata: {name: traces, namespace: shop}, spec: {tracing: [{providers: [{name: "
                        + "spans}]}]} }"),
                Cluster("c2", Service(), Pod("{app: spans}", isReadyThere)),
            ]).Where(finding => finding.Problem.Code == "IST0101").ToList();
        Assert.Equal(isReported ? ["Telemetry shop/traces"] : [], findings.Select(finding => finding.Problem.Object));
        Assert.All(findings,
            finding => Assert.Contains("behind which no Pod is ready; requests are not traced", finding.Problem.Message, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("accessLogging: [{filter: {expression: response.cod >= 400}}]", "spec.accessLogging[0].filter.expression",
        "the attribute response.cod (did you mean response.code?) is not supported")]
    [InlineData("metrics: [{overrides: [{tagOverrides: {a: {value: 'request.('}}}]}]", "spec.metrics[0].overrides[0].tagOverrides[a].value",
        "cannot be the value of a tag")]
    public void A_stored_Telemetry_whose_expression_does_not_compile_is_reported(string spec, string path, string message)
    {
        var objects = YamlText.ParseAll($$"""
            {apiVersion: v1, kind: ConfigMap, metadata: {name: istio, namespace: istio-system}, data: {mesh: ''} }
            ---
            {apiVersion: telemetry.istio.io/v1, kind: Telemetry, metadata: {name: own, namespace: shop}, spec: { {{spec}} } }
            """, "c1").OfType<JsonObject>();
        var problem = Assert.Single(Isthmus.Operate.Diagnose.Analysis.Analysis.Run([ClusterInventory.From("c1", objects)]),
            finding => finding.Problem.Code == "IST0106").Problem;
        Assert.Equal(("Telemetry shop/own", path), (problem.Object, problem.Path));
        Assert.Contains(message, problem.Message, StringComparison.Ordinal);
    }
}

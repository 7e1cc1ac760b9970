using System.Text.Json.Nodes;
using Isthmus.Explain.Tracing;
using Isthmus.Explain.Tracing.Calls;
using Xunit;

namespace Isthmus.Tests.Tracing;

/// <summary>Policies that need what only the call itself shows.</summary>
public sealed class UndecidedTermsTests
{
    /// <summary>Nobody knows where a client outside is, but what its address must be.</summary>
    [Theory]
    [InlineData("from: [{source: {remoteIpBlocks: [203.0.113.0/24]}}]",
        "allows calls for which the address of the client is in 203.0.113.0/24 (spec.rules[0].from[0].source.remoteIpBlocks)")]
    [InlineData("from: [{source: {remoteIpBlocks: [203.0.113.0/24], notRemoteIpBlocks: [203.0.113.7]}}], to: [{operation: {ports: ['443']}}]",
        "is in 203.0.113.0/24 (spec.rules[0].from[0].source.remoteIpBlocks), and not in 203.0.113.7 (spec.rules[0].from[0].source.notRemoteIpBlocks), "
            + "as far as the rest of its rule matches")]
    public void A_policy_that_decides_by_the_address_of_a_client_outside_is_named(string rule, string says)
    {
        var scenario = new TraceScenario();
        scenario.Two += $$$"""

            ---
            {apiVersion: v1, kind: Service, metadata: {name: front, namespace: istio-system}, spec: {type: NodePort, selector: {istio: eastwest}, ports: [{name: https, port: 443, targetPort: 15443}]}}
            ---
            {apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: office, namespace: istio-system},
             spec: {selector: {matchLabels: {istio: eastwest}}, rules: [{ {{{rule}}} }]}}
            """;
        var page = JsonNode.Parse(scenario.Gateway)!;
        var chain = page["config_dump"]!["configs"]![2]!["dynamic_listeners"]![0]!["active_state"]!["listener"]!["filter_chains"]![0]!.AsObject();
        chain.Remove("filter_chain_match");
        chain["filters"]!.AsArray().Insert(0, JsonNode.Parse("""
            {"name": "envoy.filters.network.rbac", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.network.rbac.v3.RBAC", "stat_prefix": "x", "rules": {"policies":
             {"ns[istio-system]-policy[office]-rule[0]": {"permissions": [{"any": true}], "principals": [{"remote_ip": {"address_prefix": "203.0.113.0", "prefix_len": 24}}]}}}}}
            """));
        scenario.Gateway = page.ToJsonString();
        var facts = scenario.Facts("https://10.96.0.5");
        var walk = new AddressWalk(new(facts.Clusters, new("c2", "istio-system", "gw"), facts.Target, facts.Now)
        {
            Entry = new(facts.Clusters[1], facts.Clusters[1].Service("istio-system", "front")!),
        }, new Random(1));
        scenario.Complete(walk.Again());
        var hop = walk.Trace.Hops.Single(one => one.Name == "policy");
        Assert.Equal(HopStatus.Unknown, hop.Status);
        Assert.StartsWith("decides by remote.ip, which only the call itself shows: AuthorizationPolicy istio-system/office in c2 allows calls", hop.Summary,
            StringComparison.Ordinal);
        Assert.EndsWith(says, hop.Summary, StringComparison.Ordinal);
    }
}

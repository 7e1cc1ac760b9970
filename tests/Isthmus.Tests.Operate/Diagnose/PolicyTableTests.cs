using System.Text.Json.Nodes;
using Isthmus.Operate.Diagnose;
using Xunit;

namespace Isthmus.Tests.Operate.Diagnose;

public sealed class PolicyTableTests
{
    private const string Rbac = "\"@type\": \"type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC\"",
        TcpRbac = "\"@type\": \"type.googleapis.com/envoy.extensions.filters.network.rbac.v3.RBAC\"";

    [Fact]
    public void Each_policy_is_one_row_however_many_chains_have_it()
    {
        var chain = """
            {"filters": [
              {"name": "a", "typed_config": { TCP, "rules": {"action": "DENY", "policies": {"ns[shop]-policy[closed]-rule[0]": {}, "ns[shop]-policy[closed]-rule[1]": {}}} }},
              {"name": "b", "typed_config": {"http_filters": [
                {"typed_config": { HTTP, "rules": {"action": "DENY", "policies": {"ns[shop]-policy[closed]-rule[0]": {}, "ns[shop]-policy[closed]-rule[1]": {}}} }},
                {"typed_config": { HTTP, "rules": {"policies": {"ns[shop]-policy[open]-rule[0]": {}}}, "shadow_rules": {"policies": {"ns[istio-system]-policy[tried]-rule[0]": {}}} }},
                {"typed_config": { HTTP, "shadow_rules": {"action": "DENY", "policies": {"istio-ext-authz-ns[shop]-policy[asked]-rule[0]": {}}}, "shadow_rules_stat_prefix": "istio_ext_authz_" }},
                {"typed_config": { "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz",
                  "http_service": {"server_uri": {"cluster": "outbound|8000||authz.shop.svc.cluster.local"}},
                  "filter_enabled_metadata": {"path": [{"key": "istio_ext_authz_shadow_effective_policy_id"}]} }}]}},
              {"name": "c", "typed_config": { TCP, "rules": {"action": "DENY",
                 "policies": {"istio-ext-authz-ns[shop]-policy[asked]-rule[0]": {}, "istio-ext-authz-ns[shop]-policy[lost]-rule[0]": {}}} }}]}
            """;
        var listener = Listener("""{"name": "virtualInbound", "filter_chains": [CHAIN, CHAIN], "default_filter_chain": CHAIN}""".Replace("CHAIN", chain,
            StringComparison.Ordinal));
        var (header, rows) = PolicyTable.Of([listener]);
        Assert.Equal(["ACTION", "AuthorizationPolicy", "RULES"], header);
        Assert.Equal(["ALLOW open.shop 1", "ALLOW (dry run) tried.istio-system 1", "CUSTOM (authz.shop.svc.cluster.local:8000) asked.shop 1",
                "CUSTOM (denies: no authorizer can be asked) lost.shop 1", "DENY closed.shop 2"],
            rows.Select(row => string.Join(' ', row)));
    }

    [Fact]
    public void A_policy_that_allows_nothing_has_the_name_of_istioctl()
    {
        var listener = Listener("""{"filter_chains": [{"filters": [{"typed_config": { HTTP, "rules": {} }}]}]}""");
        Assert.Equal(["ALLOW", "_anonymous_match_nothing_", "1"], Assert.Single(PolicyTable.Of([listener]).Rows));
        Assert.Empty(PolicyTable.Of([Listener("""{"filter_chains": [{"filters": [{"name": "other"}]}]}""")]).Rows);
    }

    private static JsonObject Listener(string text) =>
        JsonNode.Parse(text.Replace("HTTP", Rbac, StringComparison.Ordinal).Replace("TCP", TcpRbac, StringComparison.Ordinal))!.AsObject();
}

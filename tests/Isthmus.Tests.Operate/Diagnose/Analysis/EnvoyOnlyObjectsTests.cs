using Isthmus.Testing;
using Xunit;
using static Isthmus.Tests.Operate.Diagnose.Analysis.MeshText;

namespace Isthmus.Tests.Operate.Diagnose.Analysis;

/// <summary>Objects that only Envoys know name the Pods that get nothing of them.</summary>
public sealed class EnvoyOnlyObjectsTests
{
    private const string Code = "ISM1430";

    private static readonly string Plugin = Istio("WasmPlugin", "shop", "auth", "url: 'oci://a.example/b', selector: {matchLabels: {app: web} }");

    private static readonly string Lua = Istio("EnvoyFilter", "istio-system", "lua",
        "configPatches: [{applyTo: HTTP_FILTER, match: {context: SIDECAR_INBOUND}, patch: {operation: INSERT_FIRST, value: {name: lua, typed_config: {'@type': "
            + "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua} } } }]");

    [Fact]
    public void The_Pods_are_counted_and_the_first_named()
    {
        var pods = Join([.. Enumerable.Range(1, 4).Select(number => Proxied($"web-{number}", "image: isthmus")), Proxied("mine-1", Chosen)]);
        var finding = Assert.Single(Analyze(Join(Namespace("shop"), pods, Plugin)), finding => finding.Problem.Code == Code);
        Assert.Equal(("WasmPlugin shop/auth", "4 Pods get nothing of it, because the proxy is not such an Envoy: shop/web-1, shop/web-2, shop/web-3, …"),
            (finding.Problem.Object, finding.Problem.Message));
        Assert.Contains(Analyze(Join(Namespace("shop"), Proxied("web-1", "image: isthmus"), Lua)),
            found => found.Problem is { Code: Code, Object: "EnvoyFilter istio-system/lua" });
    }

    [Theory]
    [InlineData("{applyTo: EXTENSION_CONFIG, patch: {operation: ADD, value: {name: a, typed_config: {'@type': "
        + "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC} } } }")]
    [InlineData("{applyTo: HTTP_FILTER, patch: {operation: INSERT_FIRST, value: {name: a, config_discovery: {config_source: {ads: {} }, type_urls: "
        + "[type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC]} } } }")]
    public void What_filters_discover_is_for_Envoys_whatever_its_type(string patch)
    {
        var filter = Istio("EnvoyFilter", "shop", "found", $"configPatches: [{patch}]");
        Assert.Contains(Analyze(Join(Namespace("shop"), Proxied("web-1", "image: isthmus"), filter)),
            found => found.Problem is { Code: Code, Object: "EnvoyFilter shop/found" });
        Assert.DoesNotContain(Analyze(Join(Namespace("shop"), Proxied("web-1", Chosen), filter)), found => found.Problem.Code == Code);
    }

    /// <summary>Istio's agents write bootstraps of their own.</summary>
    [Theory]
    [InlineData(Chosen, false)]
    [InlineData("image: isthmus", true)]
    [InlineData("image: 'docker.io/istio/proxyv2:1.31.0'", true)]
    public void Patches_of_the_bootstrap_are_for_Envoys_that_our_agent_starts(string proxy, bool isReported)
    {
        var filter = Istio("EnvoyFilter", "shop", "start", "configPatches: [{applyTo: BOOTSTRAP, patch: {operation: MERGE, value: {header_prefix: x} } }]");
        Assert.Equal(isReported, Analyze(Join(Namespace("shop"), Proxied("web-1", proxy), filter)).Any(found => found.Problem.Code == Code));
    }

    /// <summary>A filter for inbound requests, and what adds its configuration: from which namespace, for which context, of which type.</summary>
    [Theory]
    [InlineData("", "", "", "", "no patch of EXTENSION_CONFIG adds \"marks\" for these proxies: they refuse all requests (500) or connections")]
    [InlineData("default_config: {'@type': type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua}, ", "", "", "",
        "no patch of EXTENSION_CONFIG adds \"marks\" for these proxies: they keep default_config")]
    [InlineData("", "shop", "ANY", "lua.v3.Lua", null)]
    [InlineData("", "istio-system", "SIDECAR_OUTBOUND", "lua.v3.Lua", null)]
    [InlineData("", "other", "ANY", "lua.v3.Lua", "no patch of EXTENSION_CONFIG adds \"marks\"")]
    [InlineData("", "shop", "GATEWAY", "lua.v3.Lua", "no patch of EXTENSION_CONFIG adds \"marks\"")]
    [InlineData("", "shop", "ANY", "wasm.v3.Wasm", "is added with the type envoy.extensions.filters.http.wasm.v3.Wasm, which Envoy refuses")]
    [InlineData("", "shop", "ANY", "rbac.v3.RBAC", "is added with the type envoy.extensions.filters.http.rbac.v3.RBAC, which Envoy refuses")]
    public void What_a_filter_discovers_has_to_be_added(string more, string ns, string context, string type, string? says)
    {
        var filter = Istio("EnvoyFilter", "shop", "found",
            "configPatches: [{applyTo: HTTP_FILTER, match: {context: SIDECAR_INBOUND}, patch: {operation: INSERT_FIRST, value: {name: marks, config_discovery: {"
                + $"{more}config_source: {{ads: {{}} }}, type_urls: [type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua]}} }} }} }}]");
        var added = ns.Length == 0 ? "" : Istio("EnvoyFilter", ns, "added",
            $"configPatches: [{{applyTo: EXTENSION_CONFIG, match: {{context: {context}}}, patch: {{operation: ADD, value: {{name: marks, typed_config: "
                + $"{{'@type': type.googleapis.com/envoy.extensions.filters.http.{type}}} }} }} }}]");
        var found = Analyze(Join(Root, Namespace("shop"), Proxied("web-1", Chosen), filter, added)).Where(item => item.Problem.Code == "ISM1477").ToList();
        Assert.Equal(says is null ? 0 : 1, found.Count);
        Assert.All(found, item => Assert.Equal(("EnvoyFilter shop/found", "spec.configPatches[0].patch.value.config_discovery"),
            (item.Problem.Object, item.Problem.Path)));
        Assert.All(found, item => Assert.Contains(says!, item.Problem.Message, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(Chosen)]
    [InlineData("image: isthmus, env: [{name: PROXY_BINARY_PATH, value: /usr/local/bin/envoy}]")]
    [InlineData("image: 'docker.io/istio/proxyv2:1.31.0'")]
    public void Pods_with_an_Envoy_get_it(string proxy) =>
        Assert.DoesNotContain(Analyze(Join(Namespace("shop"), Proxied("web-1", proxy), Plugin, Lua)), finding => finding.Problem.Code == Code);

    /// <summary>Who may create a Pod or a ConfigMap chooses these texts, and must not end the analysis of the mesh by them.</summary>
    [Theory]
    [InlineData("""{"binaryPath":"/a","binaryPath":"/b"}""")]
    [InlineData("""{"binaryPath":"\ud800"}""")]
    [InlineData("""{"binaryPath":""")]
    [InlineData("""["binaryPath"]""")]
    public void Settings_that_cannot_be_read_name_no_Envoy_and_hide_nothing(string text)
    {
        var pod = Proxied("web-1", $"image: isthmus, env: [{{name: PROXY_CONFIG, value: '{text}'}}]");
        var injector =
            LongLines.Joined($$"""
                {apiVersion: v1, kind: ConfigMap, metadata: {name: istio-sidecar-injector, namespace: istio-system}, \
                data: {values: '{{text.Replace("binaryPath", "sidecarInjectorWebhook", StringComparison.Ordinal)}}'} }
                """);
        Assert.Contains(Analyze(Join(Namespace("shop"), pod, injector, Plugin)), finding => finding.Problem is { Code: Code, Object: "WasmPlugin shop/auth" }
            && finding.Problem.Message.EndsWith(": shop/web-1", StringComparison.Ordinal));
    }

    private const string Chosen = """image: isthmus, env: [{name: PROXY_CONFIG, value: '{"binaryPath":"/usr/local/bin/envoy"}'}]""";

    private static string Proxied(string name, string proxy) => Workload("shop", name, "app: web", $$"""containers: [{name: istio-proxy, {{proxy}} }]""");
}

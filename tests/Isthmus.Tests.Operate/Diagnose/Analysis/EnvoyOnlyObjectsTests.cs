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
            $$"""{apiVersion: v1, kind: ConfigMap, metadata: {name: istio-sidecar-injector, namespace: istio-system}, data: {values: '{{text.Replace("binaryPath", "sidecarInjectorWebhook", StringComparison.Ordinal)}}'} }""";
        Assert.Contains(Analyze(Join(Namespace("shop"), pod, injector, Plugin)), finding => finding.Problem is { Code: Code, Object: "WasmPlugin shop/auth" }
            && finding.Problem.Message.EndsWith(": shop/web-1", StringComparison.Ordinal));
    }

    private const string Chosen = """image: isthmus, env: [{name: PROXY_CONFIG, value: '{"binaryPath":"/usr/local/bin/envoy"}'}]""";

    private static string Proxied(string name, string proxy) => Workload("shop", name, "app: web", $$"""containers: [{name: istio-proxy, {{proxy}} }]""");
}

using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Injection;
using Isthmus.Kubernetes.Yaml;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Telemetry;

/// <summary>Where the metrics of an injected Pod are, and how they get there.</summary>
public sealed class MergedMetricsTests
{
    [Theory]
    [InlineData("prometheus.io/port: '9090', prometheus.io/scrape: 'true', prometheus.io/path: /m", true, """{"scrape":"true","path":"/m","port":"9090"}""",
        "15020/stats/prometheus")]
    [InlineData("prometheus.io/scrape: 'true'", true, """{"scrape":"true","path":"","port":""}""", "15020/stats/prometheus")]
    [InlineData("prometheus.istio.io/scrape-targets: ' 8080:/a ,9100 '", true,
        """{"scrape":"true","path":"/a","port":"8080","targets":[{"port":"8080","path":"/a"},{"port":"9100","path":"/metrics"}]}""", "15020/stats/prometheus")]
    [InlineData("prometheus.io/port: '9090', prometheus.istio.io/scrape-targets: '8080:'", true,
        """{"scrape":"true","path":"/metrics","port":"8080","targets":[{"port":"8080","path":"/metrics"}]}""", "15020/stats/prometheus")]
    [InlineData("prometheus.io/scrape: 'false', prometheus.istio.io/scrape-targets: '8080:/a'", true, null, "")]
    [InlineData("prometheus.istio.io/scrape-targets: '8080:/a'", false, null, "")]
    [InlineData("prometheus.io/port: '9090', prometheus.io/scrape: 'false'", true, null, "9090")]
    [InlineData("prometheus.io/port: '15020', prometheus.io/scrape: 'true', prometheus.io/path: /stats/prometheus", true, null, "15020/stats/prometheus")]
    [InlineData("prometheus.io/port: '9090', prometheus.io/scrape: 'true', prometheus.io/path: /m", false, null, "9090/m")]
    [InlineData("prometheus.io/port: '9090', prometheus.io/scrape: 'true', prometheus.istio.io/merge-metrics: 'true'", false,
        """{"scrape":"true","path":"","port":"9090"}""", "15020/stats/prometheus")]
    [InlineData("", true, null, "15020/stats/prometheus")]
    [InlineData("", false, null, "")]
    [InlineData("prometheus.io/scrape: 'false'", true, null, "")]
    [InlineData("prometheus.io.scrape: 'false'", true, null, "")]
    [InlineData("status.sidecar.istio.io/port: '123'", true, null, "123/stats/prometheus")]
    [InlineData("status.sidecar.istio.io/port: '0'", true, null, "15020/stats/prometheus")]
    public void The_metrics_of_an_application_are_served_with_the_proxys(string annotations, bool merges, string? told, string scraped)
    {
        var pod = Inject(annotations, merges);
        Assert.Equal(told, Variable(Proxy(pod), "ISTIO_PROMETHEUS_ANNOTATIONS"));
        Assert.Equal(scraped, Annotation(pod, "prometheus.io/port") + Annotation(pod, "prometheus.io/path"));
    }

    [Fact]
    public void Ports_with_metrics_behind_mesh_TLS_are_announced_and_not_captured()
    {
        var pod = Inject("proxy.istio.io/config: 'proxyMetadata: {ENVOY_SECURE_METRICS_PORT: \"15091\", ENVOY_SECURE_MERGED_METRICS_PORT: \"15092\"}'");
        Assert.Equal("15092", Annotation(pod, "prometheus.istio.io/secure-port"));
        var arguments = pod["spec"]!["initContainers"]![0]!["args"]!.AsArray().Select(argument => argument!.ToString()).ToList();
        Assert.Equal("15090,15021,15020,15091,15092", arguments[arguments.IndexOf("-d") + 1]);
        Assert.Equal("15091", Variable(Proxy(pod), "ENVOY_SECURE_METRICS_PORT"));
        Assert.Null(Annotation(Inject("proxy.istio.io/config: 'proxyMetadata: {ENVOY_SECURE_MERGED_METRICS_PORT: \"0\"}'"), "prometheus.istio.io/secure-port"));
        Assert.Contains("'x' is not a port",
            Assert.Throws<ProblemException>(() => Inject("proxy.istio.io/config: 'proxyMetadata: {ENVOY_SECURE_METRICS_PORT: x}'")).Message,
            StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(":/metrics", "'' is not a port")]
    [InlineData("web:/metrics", "'web' is not a port")]
    [InlineData("8080:/a,70000", "'70000' is not a port")]
    [InlineData("8080:a", "'a' is not a path")]
    [InlineData("8080:/a b", "'/a b' is not a path")]
    [InlineData("15020:/stats/prometheus", "port 15020 belongs to the proxy")]
    [InlineData("15090", "port 15090 belongs to the proxy")]
    [InlineData(" , ", "names no target")]
    [InlineData("1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31,32,33", "names 33 targets, and at most 32 are scraped")]
    public void Targets_that_cannot_be_scraped_refuse_the_Pod(string targets, string why)
    {
        var refused = Assert.Throws<ProblemException>(() => Inject($"prometheus.istio.io/scrape-targets: '{targets}'"));
        Assert.StartsWith("Pod: metadata.annotations[prometheus.istio.io/scrape-targets]: invalid value", refused.Message, StringComparison.Ordinal);
        Assert.Contains(why, refused.Message, StringComparison.Ordinal);
    }

    private static JsonObject Inject(string annotations, bool merges = true)
    {
        var pod = (JsonObject)YamlText.Parse($"metadata: {{annotations: {{{annotations}}}}}\nspec: {{containers: [{{name: web, image: i}}]}}", "pod")!;
        return PodInjector.Inject(pod, "trade", InjectorValues.Empty with { MergesMetrics = merges }, InjectionPath.Parse("/inject"), NativeSidecars.Off)!;
    }

    private static string? Annotation(JsonObject pod, string name) => pod["metadata"]!["annotations"]![name]?.ToString();

    private static JsonNode Proxy(JsonObject pod) =>
        pod["spec"]!["containers"]!.AsArray().Single(container => container!["name"]!.ToString() == "istio-proxy")!;

    private static string? Variable(JsonNode container, string name) =>
        container["env"]!.AsArray().SingleOrDefault(variable => variable!["name"]!.ToString() == name)?["value"]?.ToString();
}

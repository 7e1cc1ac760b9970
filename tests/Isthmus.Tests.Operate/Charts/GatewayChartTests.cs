using System.Text.Json.Nodes;
using Isthmus.Operate.Install.Operator;
using Xunit;

namespace Isthmus.Tests.Operate.Charts;

public sealed class GatewayChartTests
{
    /// <summary><c>migrate check</c> says of the values of Istio's chart what ours would say.</summary>
    [Fact]
    public async Task The_gateway_chart_refuses_exactly_what_the_table_says()
    {
        string[] idle = ["kind", "envVarFrom", "minReadySeconds", "readinessProbe", "dnsPolicy", "initContainers", "additionalContainers", "lifecycle",
            "unknown", "service.clusterIP", "service.ipFamilies", "autoscaling.unknown", "rbac.unknown",
            "networkGatewayPorts.unknown", "networkGatewayPorts.tls.nodePort"];
        string[] paths = [.. GatewayChart.Effective, .. idle];
        Assert.All(paths, path => Assert.Equal(idle.Contains(path) ? [path] : [], GatewayChart.Idle(With(path))));
        // The second value is refused, so that nothing is made of the first: most are no texts.
        var results = await HelmRenderer.RenderAsync([.. paths.Select(path => new ChartRelease("gateway", "a", "istio-system", Both(path)))]);
        foreach (var (path, result) in paths.Zip(results))
        {
            Assert.Contains("values.refused: \"x\" has no effect in Isthmus", result.Error, StringComparison.Ordinal);
            Assert.Equal((path, idle.Contains(path)),
                (path, result.Error.Contains($"values.{path}: \"x\" has no effect in Isthmus", StringComparison.Ordinal)));
        }

        static JsonObject Both(string path)
        {
            var values = With(path == "labels" ? "labels.a" : path);
            SetFlag.Apply(values, "refused=x");
            return values;
        }
    }

    /// <summary>Both ways to give the gateway of the chart an Envoy reach its Pods as they are written.</summary>
    [Fact]
    public async Task The_gateway_chart_says_the_program_of_its_proxy()
    {
        var values = (JsonObject)JsonNode.Parse(
            """{"podAnnotations": {"proxy.istio.io/config": "binaryPath: /usr/local/bin/envoy"}, "env": {"PROXY_BINARY_PATH": "/usr/local/bin/envoy"}}""")!;
        var result = Assert.Single(await HelmRenderer.RenderAsync([new ChartRelease("gateway", "door", "istio-system", values)]));
        var template = Assert.Single(result.Objects, value => value["kind"]!.ToString() == "Deployment")["spec"]!["template"]!;
        Assert.Equal("binaryPath: /usr/local/bin/envoy", template["metadata"]!["annotations"]!["proxy.istio.io/config"]!.ToString());
        Assert.Contains(template["spec"]!["containers"]![0]!["env"]!.AsArray(),
            variable => (variable!["name"]!.ToString(), variable["value"]!.ToString()) == ("PROXY_BINARY_PATH", "/usr/local/bin/envoy"));
    }

    private static JsonObject With(string path)
    {
        var values = new JsonObject();
        SetFlag.Apply(values, $"{path}=x");
        return values;
    }
}

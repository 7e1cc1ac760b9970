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

    private static JsonObject With(string path)
    {
        var values = new JsonObject();
        SetFlag.Apply(values, $"{path}=x");
        return values;
    }
}

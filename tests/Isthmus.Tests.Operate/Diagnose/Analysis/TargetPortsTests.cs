using Xunit;
using static Isthmus.Tests.Operate.Diagnose.Analysis.MeshText;

namespace Isthmus.Tests.Operate.Diagnose.Analysis;

public sealed class TargetPortsTests
{
    /// <summary>Calls for the application would reach the proxy.</summary>
    [Theory]
    [InlineData("{name: app, image: app, ports: [{name: pages, containerPort: 8080}]}", "use one of pages, or a number")]
    [InlineData("{name: app, image: app}", "use a number, or name the port of the container")]
    public void The_names_of_the_ports_of_the_proxy_are_not_proposed(string application, string remedy)
    {
        var found = Analyze(Join(
            Workload("shop", "web-1", "app: web",
                $"containers: [{application}, {{name: istio-proxy, image: proxy, ports: [{{name: http-envoy-prom, containerPort: 15090}}]}}]"),
            Service("shop", "web", "app: web").Replace("port: 80", "port: 80, targetPort: http-prom", StringComparison.Ordinal)));
        Assert.Equal(remedy, Assert.Single(found, finding => finding.Problem.Code == "ISM1420").Problem.Remedy);
    }
}

using System.Text.Json.Nodes;
using Isthmus.Operate.Diagnose;
using Xunit;

namespace Isthmus.Tests.Operate.Diagnose;

/// <summary>The tables of <c>proxy-config</c>, from what a proxy answers.</summary>
public sealed class ProxyTablesTests
{
    [Theory]
    [InlineData("""{"eds_health_status": "HEALTHY"}""", "HEALTHY", "OK")]
    [InlineData("""{"eds_health_status": "DRAINING"}""", "DRAINING", "OK")]
    [InlineData("""{"eds_health_status": "HEALTHY", "failed_outlier_check": true}""", "HEALTHY", "FAILED")]
    [InlineData("""{"eds_health_status": "HEALTHY", "failed_active_health_check": true}""", "UNHEALTHY", "OK")]
    [InlineData("""{"eds_health_status": "HEALTHY", "failed_active_health_check": true, "failed_outlier_check": true}""", "UNHEALTHY", "FAILED")]
    [InlineData("""{"eds_health_status": "HEALTHY", "failed_active_health_check": true, "isthmus_unreachable": true}""", "HEALTHY", "FAILED")]
    public void Endpoints_say_who_took_them_out(string health, string status, string outlierCheck)
    {
        var clusters = JsonNode.Parse($$"""{"cluster_statuses": [{"name": "c", "host_statuses": [{"address": {"socket_address": {"address": "10.0.0.1", "port_value": 80} }, "health_status": {{health}} }]}]}""")!;

        var (header, rows) = ProxyTables.Endpoints(clusters, new EndpointSources(null, DateTimeOffset.UnixEpoch), _ => true);

        Assert.Equal(["ENDPOINT", "STATUS", "OUTLIER CHECK", "CLUSTER", "KNOWN FROM"], header);
        Assert.Equal(["10.0.0.1:80", status, outlierCheck, "c", "-"], Assert.Single(rows));
    }
}

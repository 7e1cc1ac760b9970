using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Operate.Diagnose;
using Isthmus.Wire.Tls;
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
        var clusters = JsonNode.Parse(
            $$"""{"cluster_statuses": [{"name": "c", "host_statuses": [{"address": {"socket_address": {"address": "10.0.0.1", "port_value": 80} }, "health_status": {{health}} }]}]}""")!;

        var (header, rows) = ProxyTables.Endpoints(clusters, new EndpointSources(null, DateTimeOffset.UnixEpoch), _ => true);

        Assert.Equal(["ENDPOINT", "STATUS", "OUTLIER CHECK", "CLUSTER", "KNOWN FROM"], header);
        Assert.Equal(["10.0.0.1:80", status, outlierCheck, "c", "-"], Assert.Single(rows));
    }

    [Theory]
    [InlineData("10.0.0.1:80", "10.0.0.1")]
    [InlineData("[2001:db8::7]:80", "2001:db8::7")]
    public void Endpoints_at_the_end_of_tunnels_have_their_address(string id, string address)
    {
        var place = $$"""{"envoy_internal_address": {"server_listener_name": "connect_originate", "endpoint_id": "{{id}}"} }""";
        var clusters = JsonNode.Parse($$"""{"cluster_statuses": [{"name": "c", "host_statuses": [{"address": {{place}} }]}]}""")!;
        var (_, rows) = ProxyTables.Endpoints(clusters, new EndpointSources(null, DateTimeOffset.UnixEpoch), _ => true);
        Assert.Equal([$"envoy://connect_originate/{id}", "HEALTHY", "OK", "c", "-"], Assert.Single(rows));
        Assert.Equal(new(address, "80", "connect_originate"), HostPlace.Of(JsonNode.Parse(place)));
    }

    [Fact]
    public void Listeners_within_the_proxy_have_their_name_for_an_address()
    {
        var listener = (JsonObject)JsonNode.Parse("""{"name": "main_internal", "internal_listener": {}, "filter_chains": [{}]}""")!;
        Assert.Equal("envoy://main_internal", Assert.Single(ProxyTables.Listeners([listener]).Rows)[0]);
    }

    /// <summary>While a root replaces another, what matters is that both are trusted.</summary>
    [Fact]
    public void Each_trusted_root_has_a_row()
    {
        var now = new DateTimeOffset(2030, 1, 1, 0, 0, 0, TimeSpan.Zero);
        using var one = Issuer.SelfSigned(new("Istio", "One"), Keys.Create(KeyKind.EcP256), now.AddDays(-9), now.AddDays(-1));
        using var other = Issuer.SelfSigned(new("Istio", "Other"), Keys.Create(KeyKind.EcP256), now.AddDays(-1), now.AddDays(9));
        var roots = Convert.ToBase64String(Encoding.UTF8.GetBytes(CertificateText.Write([one.Certificate, other.Certificate])));
        var dump = new ConfigDump(
            JsonNode.Parse(
                $$$"""
                {"configs": [{"@type": "type.googleapis.com/envoy.admin.v3.SecretsConfigDump.DynamicSecret",
                   "secret": {"name": "ROOTCA", "validation_context": {"trusted_ca": {"inline_bytes": "{{{roots}}}"} } } } ]}
                """)!);
        var (_, rows) = ProxyTables.Secrets(dump, now);
        Assert.Equal([("ROOTCA", "CA", "false", "2029-12-31T00:00:00Z"), ("ROOTCA", "CA", "true", "2030-01-10T00:00:00Z")],
            rows.Select(row => (row[0], row[1], row[3], row[5])));
    }
}

using Google.Protobuf;
using Isthmus.Proxy.Clusters;
using Isthmus.Proxy.Filters;
using Isthmus.Proxy.Matching;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Tls;
using Isthmus.Wire;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.Clusters;
using Isthmus.Wire.Envoy.Routes;
using Xunit;

namespace Isthmus.Tests.Proxy.Snapshot;

/// <summary>Envoy replaces fields from time to time: control planes send the older or the newer ones, and both mean the same.</summary>
public sealed class NewerFormsTests
{
    [Theory]
    [InlineData("'type': 'STRICT_DNS', 'dns_refresh_rate': '7s'", nameof(ClusterKind.StrictDns))]
    [InlineData("'type': 'LOGICAL_DNS', 'dns_refresh_rate': '7s'", nameof(ClusterKind.LogicalDns))]
    [InlineData(
        "'cluster_type': {'name': 'envoy.cluster.dns', 'typed_config': {'@type': 'type.googleapis.com/envoy.extensions.clusters.dns.v3.DnsCluster', "
            + "'dns_refresh_rate': '7s', 'dns_lookup_family': 'V4_ONLY'}}",
        nameof(ClusterKind.StrictDns))]
    [InlineData(
        "'cluster_type': {'name': 'envoy.cluster.dns', 'typed_config': {'@type': 'type.googleapis.com/envoy.extensions.clusters.dns.v3.DnsCluster', "
            + "'dns_refresh_rate': '7s', 'all_addresses_in_single_endpoint': true}}",
        nameof(ClusterKind.LogicalDns))]
    public void Clusters_of_names(string discovery, string kind)
    {
        var cluster = ClusterDecoder.Decode(
            Parse<Cluster>(
                "{'name': 'd', <discovery>, 'load_assignment': {'endpoints': [{'lb_endpoints': [{'endpoint': {'address': {'socket_address': {'address': "
                    + "'shop.example', 'port_value': 80}}}}]}]}}",
            discovery));
        Assert.Equal((kind, TimeSpan.FromSeconds(7)), (cluster.Kind.ToString(), cluster.DnsRefresh));
        Assert.Equal("shop.example", Assert.Single(cluster.DnsTargets).Hostname);
    }

    [Fact]
    public void A_cluster_of_another_type_is_refused()
    {
        var reason = Assert.Throws<ResourceException>(() => ClusterDecoder.Decode(Parse<Cluster>("{'name': 'd', <type>}",
            "'cluster_type': {'name': 'envoy.clusters.redis'}"))).Message;
        Assert.Equal("cluster type 'envoy.clusters.redis' has no configuration", reason);
    }

    [Theory]
    [InlineData("'match_subject_alt_names': [{'exact': 'spiffe://a/ns/b/sa/c'}]")]
    [InlineData("'match_typed_subject_alt_names': [{'san_type': 'URI', 'matcher': {'exact': 'spiffe://a/ns/b/sa/c'}}]")]
    public void Names_of_servers(string names)
    {
        var settings = TlsSettings.From(
            Parse<UpstreamTlsContext>("{'common_tls_context': {'combined_validation_context': {'default_validation_context': {<names>}}}}",
            names));
        var name = Assert.Single(settings.Peers);
        Assert.True(name.IsMatch(NameKind.Uri, "spiffe://a/ns/b/sa/c"));
        Assert.False(name.IsMatch(NameKind.Uri, "spiffe://a/ns/b/sa/other"));
    }

    [Theory]
    [InlineData("'route': {'cluster': 'c', 'cors': {'allow_origin_string_match': [{'exact': 'https://a'}], 'allow_methods': 'GET'}}")]
    [InlineData(
        "'route': {'cluster': 'c'}, 'typed_per_filter_config': {'envoy.filters.http.cors': {'@type': "
            + "'type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy', 'allow_origin_string_match': [{'exact': 'https://a'}], 'allow_methods': "
            + "'GET'}}")]
    public void Policies_of_origins(string route)
    {
        var table = RouteDecoder.Decode(
            Parse<RouteConfiguration>("{'name': 'r', 'virtual_hosts': [{'name': 'v', 'domains': ['*'], 'routes': [{'match': {'prefix': '/'}, <route>}]}]}",
            route));
        Assert.Equal("GET", new CorsFilter("envoy.filters.http.cors").For(table.Find("a")!.Routes[0].Filters)?.Methods);
    }

    /// <param name="json">With single quotes, and with a place for the rest in angle brackets.</param>
    private static T Parse<T>(string json, string rest) where T : IMessage<T>, new()
    {
        var place = json[json.IndexOf('<', StringComparison.Ordinal)..(json.IndexOf('>', StringComparison.Ordinal) + 1)];
        return WireTypes.Strict.Parse<T>(json.Replace(place, rest, StringComparison.Ordinal).Replace('\'', '"'));
    }
}

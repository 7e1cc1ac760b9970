using System.Reflection;
using System.Runtime.CompilerServices;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Wire;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.Clusters;
using Isthmus.Wire.Envoy.Listeners;
using Isthmus.Wire.Envoy.NetworkFilters;
using Xunit;

namespace Isthmus.Tests.Dumps;

public sealed class WireTypesTests
{
    [Fact]
    public void Every_proto_file_is_in_the_registry()
    {
        var known = WireTypes.Files.SelectMany(f => f.MessageTypes).Select(m => m.FullName).ToHashSet();
        var folder = Path.Combine(Path.GetDirectoryName(Here())!, "../../../src/Isthmus.Wire.Messages/Protos");
        foreach (var file in Directory.EnumerateFiles(folder, "*.proto", SearchOption.AllDirectories))
        {
            var text = File.ReadAllText(file);
            var package = Regex.Match(text, @"^package (.+);", RegexOptions.Multiline).Groups[1].Value;
            Assert.All(
                Regex.Matches(text, @"^message (\w+)", RegexOptions.Multiline).Select(m => $"{package}.{m.Groups[1].Value}"),
                name => Assert.Contains(name, known));
        }
    }

    /// <summary>The formatter of protojson knows none: a whole resource would not be shown because of it.</summary>
    [Fact]
    public void Configuration_that_is_empty_is_shown_as_such()
    {
        var on = Any.Pack(new Isthmus.Wire.Envoy.Routes.FilterConfig { Config = new() });
        var table = new Isthmus.Wire.Envoy.Routes.RouteConfiguration { Name = "all", TypedPerFilterConfig = { ["mine"] = on } };
        Assert.Equal("""{"@type":"type.googleapis.com/envoy.config.route.v3.FilterConfig","config":{}}""",
            ShownMessages.Show(table)["typed_per_filter_config"]!["mine"]!.ToJsonString());
    }

    [Theory]
    [InlineData("""
        {"name":"outbound|80||shop.sample.svc.cluster.local","type":"EDS","connect_timeout":"10s","lb_policy":"LEAST_REQUEST",
         "eds_cluster_config":{"eds_config":{"ads":{},"initial_fetch_timeout":"0s","resource_api_version":"V3"},"service_name":"outbound|80||shop.sample.svc.cluster.local"},
         "transport_socket_matches":[{"name":"tlsMode-istio","match":{"tlsMode":"istio"},"transport_socket":{"name":"envoy.transport_sockets.tls","typed_config":
          {"@type":"type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext","sni":"outbound_.80_._.shop.sample.svc.cluster.local","common_tls_context":{
           "alpn_protocols":["istio-peer-exchange","istio"],
           "tls_certificate_sds_secret_configs":[{"name":"default"}],
           "combined_validation_context":{"default_validation_context":{"match_subject_alt_names":[{"exact":"spiffe://cluster.local/ns/sample/sa/shop"}]},
            "validation_context_sds_secret_config":{"name":"ROOTCA"}}}}}}],
         "filters":[{"name":"istio.metadata_exchange","typed_config":{"@type":"type.googleapis.com/envoy.tcp.metadataexchange.config.MetadataExchange","protocol":"istio-peer-exchange"}}]}
        """)]
    public void Cluster_as_others_write_it_reads_strictly_and_writes_the_same(string json) => RoundTrip<Cluster>(json);

    [Theory]
    [InlineData("""
        {"name":"0.0.0.0_15443","address":{"socket_address":{"address":"0.0.0.0","port_value":15443}},
         "listener_filters":[{"name":"envoy.filters.listener.tls_inspector","typed_config":{"@type":"type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector"}}],
         "filter_chains":[{"filter_chain_match":{"server_names":["outbound_.80_._.shop.sample.svc.cluster.local"],"application_protocols":["istio","istio-http/1.1"]},
          "filters":[{"name":"envoy.filters.network.tcp_proxy",
            "typed_config":{"@type":"type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy","stat_prefix":"x","cluster":"x"}}]}]}
        """)]
    [InlineData("""
        {"name":"0.0.0.0_80","address":{"socket_address":{"address":"0.0.0.0","port_value":80}},"traffic_direction":"OUTBOUND",
         "filter_chains":[{"filters":[{"name":"envoy.filters.network.http_connection_manager","typed_config":{
          "@type":"type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager","stat_prefix":"outbound_0.0.0.0_80",
          "rds":{"config_source":{"ads":{}},"route_config_name":"80"},
          "http_filters":[{"name":"istio.alpn","typed_config":{"@type":"type.googleapis.com/istio.envoy.config.filter.http.alpn.v2alpha1.FilterConfig",
             "alpn_override":[{"upstream_protocol":"HTTP11","alpn_override":["istio-http/1.1"]}]}},
           {"name":"istio.stats","typed_config":{"@type":"type.googleapis.com/udpa.type.v1.TypedStruct","type_url":"type.googleapis.com/stats.PluginConfig","value":{"debug":"false"}}},
           {"name":"envoy.filters.http.router","typed_config":{"@type":"type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}]}}]}]}
        """)]
    public void Listener_as_others_write_it_reads_strictly_and_writes_the_same(string json) => RoundTrip<Listener>(json);

    [Fact]
    public void Names_that_are_written_down_are_those_of_the_descriptors() => Assert.All(
        TypeNames.Written,
        written => Assert.Equal(((IMessage)Activator.CreateInstance(written.Key)!).Descriptor.FullName, written.Value));

    [Fact]
    public void Types_that_are_read_have_their_names_written_down()
    {
        const int MethodSpecifications = 0x2B << 24;
        var read = new HashSet<System.Type>();
        foreach (var module in (Module[])[typeof(Isthmus.Proxy.ProxySettings).Assembly.ManifestModule,
            typeof(Isthmus.Mesh.Generate.Parts).Assembly.ManifestModule])
        {
            for (var i = 1; Resolve(module, MethodSpecifications | i) is { } method; i++)
                if (method.Name == nameof(TypeNames.TryRead) && method.DeclaringType == typeof(TypeNames)) read.Add(method.GetGenericArguments()[0]);
        }
        Assert.InRange(read.Count, 15, int.MaxValue);
        Assert.Empty(read.Except(TypeNames.Written.Keys));
    }

    // Null after the last one; those of generic callers are of no interest.
    private static MethodBase? Resolve(Module module, int token)
    {
        try
        {
            return module.ResolveMethod(token, [typeof(object), typeof(object)], [typeof(object), typeof(object)]);
        }
        catch (ArgumentOutOfRangeException)
        {
            return null;
        }
        catch (Exception e) when (e is ArgumentException or TypeLoadException or BadImageFormatException or System.Security.VerificationException)
        {
            return typeof(object).GetMethod(nameof(ToString));
        }
    }

    [Fact]
    public void Field_from_a_newer_sender_survives_our_hands()
    {
        var known = new TcpProxy { StatPrefix = "x" }.ToByteArray();
        // Field 1000, length-delimited.
        byte[] sent = [.. known, 0xC2, 0x3E, 2, (byte)'h', (byte)'i'];
        Assert.Equal(sent, TcpProxy.Parser.ParseFrom(sent).ToByteArray());
    }

    [Fact]
    public void Unknown_field_in_json_is_refused_strictly_and_skipped_leniently()
    {
        const string json = """{"id":"n","news":1}""";
        Assert.Throws<InvalidProtocolBufferException>(() => WireTypes.Strict.Parse<Node>(json));
        Assert.Equal("n", WireTypes.Lenient.Parse<Node>(json).Id);
    }

    private static void RoundTrip<T>(string json) where T : IMessage<T>, new()
    {
        var message = WireTypes.Strict.Parse<T>(json);
        var again = (T)message.Descriptor.Parser.ParseFrom(Any.Pack(message).Value);
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(json), JsonNode.Parse(WireTypes.Json.Format(again))), WireTypes.Json.Format(again));
    }

    private static string Here([CallerFilePath] string path = "") => path;
}

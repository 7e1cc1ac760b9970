using System.Security.Cryptography.X509Certificates;
using System.Text.Json.Nodes;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Tls;
using Isthmus.Rigs.Proxy;
using Isthmus.Testing;

namespace Isthmus.Tests.Proxy.Traffic;

/// <summary>Two proxies as sidecars that speak HBONE to one another: calls of one go through its internal listener <c>connect_originate</c> and a tunnel over
/// mutual TLS, and those of the other come out of its internal listener <c>main_internal</c>.</summary>
internal sealed class TunnelledProxies : IDisposable
{
    internal const string Buyer = "spiffe://cluster.local/ns/shop/sa/buyer", Ledger = "spiffe://cluster.local/ns/shop/sa/ledger";

    private const string Type = "type.googleapis.com/envoy.extensions";
    private const string Restored = $$"""
        "listener_filters": [{"name": "o", "typed_config": {"@type": "{{Type}}.filters.listener.original_dst.v3.OriginalDst"} }]
        """;

    private const string Mutual = """
        "common_tls_context": {"alpn_protocols": ["h2"], "tls_certificate_sds_secret_configs": [{"name": "default"}],
          "combined_validation_context": {"validation_context_sds_secret_config": {"name": "ROOTCA"},
            "default_validation_context": {"match_typed_subject_alt_names": [{"san_type": "URI", "matcher": {"prefix": "spiffe://cluster.local/"} }] } } }
        """;

    private readonly TestCa _ca = new("mesh");
    private readonly ReservedPort _terminate = new();

    /// <param name="port">The application's, on the loopback interface.</param>
    /// <param name="allowed">The identity whose calls the server's application gets.</param>
    /// <param name="route">More fields of the client's route, each after a comma.</param>
    internal TunnelledProxies(int port, string allowed = Buyer, string route = "")
    {
        Server = NewServer(_ca, port, allowed, _terminate.Number);
        Client = NewClient(_ca, port, _terminate.Number, route);
    }

    internal LoopbackProxy Client { get; }

    internal LoopbackProxy Server { get; }

    /// <summary>A proxy that ends tunnels at a port, and has the certificate of the ledger.</summary>
    internal static LoopbackProxy NewServer(TestCa ca, int port, string allowed, int tunnels)
    {
        var server = new LoopbackProxy(ServerClusters(port), Direct, secrets: new MeshSecrets(ca, Ledger), direction: "INBOUND", identity: Identity("ledger"));
        server.Listeners(ServerListeners(port, allowed, tunnels, Peers));
        return server;
    }

    /// <summary>A proxy that opens tunnels at a port, and has the certificate of the buyer.</summary>
    internal static LoopbackProxy NewClient(TestCa ca, int port, int tunnels, string route = "")
    {
        var client = new LoopbackProxy(ClientClusters(port, tunnels), $$""" "route": {"cluster": "web" {{route}} } """, secrets: new MeshSecrets(ca, Buyer),
            identity: Identity("buyer"));
        client.Listeners(ConnectOriginate);
        return client;
    }

    internal static string[] ServerClusters(int port) => [Static("app", Plain(port)), Within];

    internal static string[] ServerListeners(int port, string allowed, int tunnels, string filters = "") =>
        [Terminate(tunnels), MainInternal(port, allowed, filters)];

    internal static string[] ClientClusters(int port, int tunnels) => [Web($"127.0.0.1:{port}"), Originate(tunnels)];

    /// <summary>The listener that opens tunnels to where connections of it were meant to go.</summary>
    internal static string ConnectOriginate => $$$"""
        {"name": "connect_originate", "internal_listener": {}, {{{Restored}}}, "filter_chains": [{"filters": [{"name": "tcp", "typed_config": {
          "@type": "{{{Type}}}.filters.network.tcp_proxy.v3.TcpProxy", "stat_prefix": "connect_originate", "cluster": "connect_originate",
          "tunneling_config": {"hostname": "%DOWNSTREAM_LOCAL_ADDRESS%"} } }] }] }
        """;

    private const string Peers = """
        {"name": "peers", "typed_config": {"@type": "type.googleapis.com/udpa.type.v1.TypedStruct",
          "type_url": "type.googleapis.com/io.istio.http.peer_metadata.Config", "value": {"downstream_discovery": [{"istio_headers": {} }]} } },
        """;

    private const string Direct = """ "direct_response": {"status": 200} """;

    /// <summary>The port of all its hosts is that of the tunnels.</summary>
    private static string Originate(int tunnels) => $$$"""
        {"name": "connect_originate", "type": "ORIGINAL_DST", "lb_policy": "CLUSTER_PROVIDED", "connect_timeout": "30s",
         "original_dst_lb_config": {"upstream_port_override": {{{tunnels}}},
           "metadata_key": {"key": "envoy.filters.listener.original_dst", "path": [{"key": "waypoint"}]} },
         "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {"@type": "{{{Type}}}.upstreams.http.v3.HttpProtocolOptions",
           "explicit_http_config": {"http2_protocol_options": {"allow_connect": true} } } },
         "transport_socket": {"name": "tls", "typed_config": {"@type": "{{{Type}}}.transport_sockets.tls.v3.UpstreamTlsContext",
           {{{Mutual}}} } } }
        """;

    /// <summary>A cluster whose hosts are behind <c>connect_originate</c>.</summary>
    /// <param name="targets">Where their tunnels end, as <c>IP:PORT</c>; empty: they do not say so.</param>
    internal static string Web(params string[] targets) => $$$"""
        {"name": "web", "type": "STATIC", "connect_timeout": "30s",
         "load_assignment": {"cluster_name": "web", "endpoints": [{"lb_endpoints": [{{{string.Join(", ", targets.Select(Behind))}}}] }] },
         "transport_socket_matches": [{"name": "hbone", "match": {"tunnel": "http"}, "transport_socket": {"name": "internal", "typed_config": {
           "@type": "{{{Type}}}.transport_sockets.internal_upstream.v3.InternalUpstreamTransport",
           "passthrough_metadata": [{"kind": {"host": {} }, "name": "envoy.filters.listener.original_dst"}],
           "transport_socket": {"name": "raw", "typed_config": {"@type": "{{{Type}}}.transport_sockets.raw_buffer.v3.RawBuffer"} } } } }] }
        """;

    private static string Behind(string target) => $$$"""
        {"endpoint": {"address": {"envoy_internal_address": {"server_listener_name": "connect_originate", "endpoint_id": "{{{target}}}"} } },
         "metadata": {"filter_metadata": {"envoy.transport_socket_match": {"tunnel": "http"},
           "envoy.filters.listener.original_dst": {{{(target.Length == 0 ? "{}" : $$"""{"local": "{{target}}"}""")}}} } } }
        """;

    private static string Static(string name, string endpoint) => $$$"""
        {"name": "{{{name}}}", "type": "STATIC", "connect_timeout": "30s",
         "load_assignment": {"cluster_name": "{{{name}}}", "endpoints": [{"lb_endpoints": [{"endpoint": {{{endpoint}}} }] }] } }
        """;

    private static string Plain(int port) => $$$"""{"address": {"socket_address": {"address": "127.0.0.1", "port_value": {{{port}}} } } }""";

    private static string Within => $$$"""
        {"name": "main_internal", "type": "STATIC",
         "load_assignment": {"cluster_name": "main_internal", "endpoints": [{"lb_endpoints": [
           {"endpoint": {"address": {"envoy_internal_address": {"server_listener_name": "main_internal"} } } }] }] },
         "transport_socket": {"name": "internal", "typed_config": {"@type": "{{{Type}}}.transport_sockets.internal_upstream.v3.InternalUpstreamTransport",
           "transport_socket": {"name": "raw", "typed_config": {"@type": "{{{Type}}}.transport_sockets.raw_buffer.v3.RawBuffer"} } } } }
        """;

    /// <summary>The listener that ends tunnels, and says who opened them and where they lead.</summary>
    private static string Terminate(int tunnels) => $$$"""
        {"name": "connect_terminate", "address": {"socket_address": {"address": "127.0.0.1", "port_value": {{{tunnels}}} } },
         "filter_chains": [{"filters": [{"name": "http", "typed_config": {"@type": "{{{Type}}}.filters.network.http_connection_manager.v3.HttpConnectionManager",
           "stat_prefix": "connect_terminate", "http2_protocol_options": {"allow_connect": true},
           "route_config": {"name": "default", "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [{"match": {"connect_matcher": {} },
             "route": {"cluster": "main_internal", "upgrade_configs": [{"upgrade_type": "CONNECT", "connect_config": {} }] } }] }] },
           "http_filters": [
             {"name": "connect_authority", "typed_config": {"@type": "{{{Type}}}.filters.http.set_filter_state.v3.Config", "on_request_headers": [
               {{{State("envoy.filters.listener.original_dst.local_ip", "", "%REQ(:AUTHORITY)%")}}},
               {{{State("envoy.filters.listener.original_dst.remote_ip", "", "%DOWNSTREAM_REMOTE_ADDRESS%")}}},
               {{{State("io.istio.peer_principal", "envoy.hashable_string", "%DOWNSTREAM_PEER_URI_SAN%")}}},
               {{{State("io.istio.local_principal", "envoy.hashable_string", "%DOWNSTREAM_LOCAL_URI_SAN%")}}}] } },
             {"name": "router", "typed_config": {"@type": "{{{Type}}}.filters.http.router.v3.Router"} }] } }],
           "transport_socket": {"name": "tls", "typed_config": {"@type": "{{{Type}}}.transport_sockets.tls.v3.DownstreamTlsContext",
             "require_client_certificate": true,
             {{{Mutual}}} } } }] }
        """;

    private static string State(string key, string factory, string format) => $$$"""
        {"object_key": "{{{key}}}", "factory_key": "{{{factory}}}", "shared_with_upstream": "ONCE",
         "format_string": {"text_format_source": {"inline_string": "{{{format}}}"} } }
        """;

    /// <summary>HTTP to the application's port, if the caller is allowed, and bytes to the one after it.</summary>
    private static string MainInternal(int port, string allowed, string filters) => $$$"""
        {"name": "main_internal", "internal_listener": {}, "traffic_direction": "INBOUND", {{{Restored}}}, "filter_chains": [
          {"name": "http", "filter_chain_match": {"destination_port": {{{port}}}, "prefix_ranges": [{"address_prefix": "127.0.0.1", "prefix_len": 32}]},
           "filters": [{"name": "http", "typed_config": {"@type": "{{{Type}}}.filters.network.http_connection_manager.v3.HttpConnectionManager",
             "stat_prefix": "inbound",
             "access_log": [{"name": "f", "typed_config": {"@type": "{{{Type}}}.access_loggers.file.v3.FileAccessLog", "path": "log",
               "log_format": {"text_format_source": {"inline_string": "%RESPONSE_CODE% %DOWNSTREAM_LOCAL_ADDRESS% %RESPONSE_CODE_DETAILS%\n"} } } }],
             "route_config": {"name": "in", "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "app"} }] }] },
             "http_filters": [
               {{{filters}}}
               {"name": "rbac", "typed_config": {"@type": "{{{Type}}}.filters.http.rbac.v3.RBAC", "rules": {"action": "ALLOW", "policies": {"p": {{{Policy(allowed)}}} } } } },
               {"name": "router", "typed_config": {"@type": "{{{Type}}}.filters.http.router.v3.Router"} }] } }] },
          {"name": "tcp", "filter_chain_match": {"destination_port": 7, "prefix_ranges": [{"address_prefix": "127.0.0.1", "prefix_len": 32}]},
           "filters": [
             {"name": "rbac", "typed_config": {"@type": "{{{Type}}}.filters.network.rbac.v3.RBAC", "stat_prefix": "t",
               "rules": {"action": "ALLOW", "policies": {"p": {{{Policy(allowed)}}} } } } },
             {"name": "tcp", "typed_config": {"@type": "{{{Type}}}.filters.network.tcp_proxy.v3.TcpProxy", "stat_prefix": "tcp", "cluster": "app"} }] }] }
        """;

    private static string Policy(string allowed) => $$$"""
        {"permissions": [{"any": true}], "principals": [{"filter_state": {"key": "io.istio.peer_principal", "string_match": {"exact": "{{{allowed}}}"} } }]}
        """;

    /// <summary>The certificate of an identity and the roots of the mesh, as resources.</summary>
    internal static string[] Secrets(TestCa ca, string identity)
    {
        using var own = ca.Server(identity);
        using var key = own.GetECDsaPrivateKey()!;
        return
        [
            new JsonObject
            {
                ["name"] = "default",
                ["tls_certificate"] = new JsonObject
                {
                    ["certificate_chain"] = Text(own.ExportCertificatePem()), ["private_key"] = Text(key.ExportPkcs8PrivateKeyPem()),
                },
            }.ToJsonString(),
            new JsonObject { ["name"] = "ROOTCA", ["validation_context"] = new JsonObject { ["trusted_ca"] = Text(ca.Pem) } }.ToJsonString(),
        ];

        static JsonObject Text(string pem) => new() { ["inline_string"] = pem };
    }

    private static ProxyIdentity Identity(string workload)
    {
        var bare = new ProxyIdentity($"sidecar~{workload}", workload, "shop", workload, "v1", workload, "v1", "c1", workload, "");
        return bare with { PeerMetadata = PeerMetadataText.Write(bare) };
    }

    public void Dispose()
    {
        Client.Dispose();
        Server.Dispose();
        _terminate.Dispose();
        _ca.Dispose();
    }

    private sealed class MeshSecrets : ISecretSource
    {
        private readonly CertificateSecret _certificate;
        private readonly RootSecret _roots;

        internal MeshSecrets(TestCa ca, string identity)
        {
            using var own = ca.Server(identity);
            using var key = own.GetECDsaPrivateKey()!;
            _certificate = CertificateSecret.Load("default", own.ExportCertificatePem(), key.ExportPkcs8PrivateKeyPem());
            _roots = RootSecret.Load("ROOTCA", ca.Pem);
        }

        public event Action<string>? Changed
        {
            add { }
            remove { }
        }

        public CertificateSecret? FindCertificate(string name) => _certificate;

        public RootSecret? FindRoots(string name) => _roots;

        public IReadOnlyList<SecretView> View() => [];
    }
}

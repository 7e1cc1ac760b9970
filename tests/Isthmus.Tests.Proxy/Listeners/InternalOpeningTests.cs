using System.Net;
using Isthmus.Proxy.Tls;
using Isthmus.Rigs.Proxy;
using Isthmus.Testing;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;

namespace Isthmus.Tests.Proxy.Listeners;

/// <summary>A listener that needs the first bytes before it goes on gets them: whoever connects to it does not wait until it has gone on.</summary>
public sealed class InternalOpeningTests
{
    private const string Types = "type.googleapis.com/envoy.extensions.";

    private const string Tls = $$"""
        "transport_socket": {"name": "tls", "typed_config": {"@type": "{{Types}}transport_sockets.tls.v3.DownstreamTlsContext",
          "common_tls_context": {"tls_certificate_sds_secret_configs": [{"name": "own"}] } } }
        """;

    private const string ToTls = $$"""
        "transport_socket": {"name": "tls", "typed_config": {"@type": "{{Types}}transport_sockets.tls.v3.UpstreamTlsContext",
          "common_tls_context": {"validation_context": {"trust_chain_verification": "ACCEPT_UNTRUSTED"} } } }
        """;

    private const string Header = $$"""
        "listener_filters": [{"name": "p", "typed_config": {"@type": "{{Types}}filters.listener.proxy_protocol.v3.ProxyProtocol"} }]
        """;

    private const string ToHeader = $$"""
        "transport_socket": {"name": "p", "typed_config": {"@type": "{{Types}}transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport",
          "transport_socket": {"name": "raw", "typed_config": {"@type": "{{Types}}transport_sockets.raw_buffer.v3.RawBuffer"} } } }
        """;

    private const string Own = "spiffe://corp.example/ns/shop/sa/own", Other = "spiffe://corp.example/ns/shop/sa/other";

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("", ToTls, Tls, Own)]
    [InlineData(Header, ToHeader, "", "-")]
    [InlineData("", "", "", "-")]
    public async Task A_request_comes_through(string listener, string cluster, string chain, string logged)
    {
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, OriginServer.EchoAsync);
        using var proxy = new LoopbackProxy([Cluster(cluster), LoopbackProxy.Cluster("up")], """ "route": {"cluster": "inner"} """, secrets: new OneSecret(Own));
        proxy.Endpoints("up", origin.Port);
        proxy.Listeners(Listener("\"internal_listener\": {}", listener, chain));
        var answer = await proxy.RawAsync("GET /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        Assert.True(answer.StartsWith("HTTP/1.1 200 ", StringComparison.Ordinal), answer + proxy.LogText);
        proxy.Remove("inner");
        await Eventually.TrueAsync(() => proxy.LogText.Contains($"shown {logged}\n", StringComparison.Ordinal));
    }

    /// <summary>The same for a client of a network.</summary>
    [Theory]
    [InlineData(true, $"{Own},{Other}")]
    [InlineData(false, "-")]
    public async Task A_log_tells_what_the_client_was_shown(bool isTls, string logged)
    {
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, OriginServer.EchoAsync);
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up")], """ "route": {"cluster": "up"} """, secrets: new OneSecret(Own, Other));
        proxy.Endpoints("up", origin.Port);
        using var port = new ReservedPort();
        proxy.Listeners(Listener($$"""
            "address": {"socket_address": {"address": "127.0.0.1", "port_value": {{port.Number}}} }
            """, "", isTls ? Tls : ""));
        using (var handler = new SocketsHttpHandler { SslOptions = new() { RemoteCertificateValidationCallback = (_, _, _, _) => true } })
        using (var client = new HttpClient(handler))
            Assert.Equal(HttpStatusCode.OK, (await client.GetAsync($"{(isTls ? "https" : "http")}://127.0.0.1:{port.Number}/echo", Stop)).StatusCode);
        await Eventually.TrueAsync(() => proxy.LogText.Contains($"shown {logged}\n", StringComparison.Ordinal));
    }

    private static string Cluster(string more) => $$"""
        {"name": "inner", "type": "STATIC", "connect_timeout": "5s", "load_assignment": {"cluster_name": "inner", "endpoints": [{"lb_endpoints": [
          {"endpoint": {"address": {"envoy_internal_address": {"server_listener_name": "inner"} } } }] }] } {{(more.Length > 0 ? ", " : "")}} {{more}} }
        """;

    private static string Listener(string place, string more, string chain) => $$"""
        {"name": "inner", {{place}} {{(more.Length > 0 ? ", " : "")}} {{more}}, "filter_chains": [{"filters": [{"name": "t", "typed_config": {
          "@type": "{{Types}}filters.network.tcp_proxy.v3.TcpProxy", "stat_prefix": "t", "cluster": "up",
          "access_log": [{"name": "f", "typed_config": {"@type": "{{Types}}access_loggers.file.v3.FileAccessLog", "path": "log",
            "log_format": {"text_format_source": {"inline_string": "shown %DOWNSTREAM_LOCAL_URI_SAN%\n"} } } }] } }] {{(chain.Length > 0 ? ", " : "")}} {{chain}} }] }
        """;

    private sealed class OneSecret(params string[] uris) : ISecretSource
    {
        private readonly CertificateSecret _own = Load(uris);

        public event Action<string>? Changed
        {
            add { }
            remove { }
        }

        public CertificateSecret? FindCertificate(string name) => _own;

        public RootSecret? FindRoots(string name) => null;

        public IReadOnlyList<SecretView> View() => [];

        private static CertificateSecret Load(string[] uris)
        {
            var (certificate, key) = TestCa.SelfSignedPair("own", uris);
            return CertificateSecret.Load("own", certificate, key);
        }
    }
}

using System.Net;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Text;
using Isthmus.Core.Collections;
using Isthmus.Core.Tasks;
using Isthmus.Proxy.Clusters;
using Isthmus.Proxy.Http2;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Tls;
using Isthmus.Proxy.Transports;
using Isthmus.Rigs.Proxy;
using Isthmus.Testing;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.Clusters;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;
using Endpoint = Isthmus.Proxy.Clusters.Endpoint;

namespace Isthmus.Tests.Proxy.Tls;

/// <summary>TLS of our own within a tunnel that is a stream of HTTP/2.</summary>
public sealed class TunnelledTlsTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_handshake_passes_through_a_stream()
    {
        using var authority = new TestCa("far");
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync(new string('x', 500_000)),
            authority.Server("far.example", "spiffe://test/far"));
        using var forward = new LoopbackProxy([LoopbackProxy.Cluster("up")], """ "route": {"cluster": "up"} """);
        forward.Endpoints("up", origin.Port);
        forward.Routes("""
            {"name": "c", "match": {"connect_matcher": {} },
              "route": {"cluster": "up", "upgrade_configs": [{"upgrade_type": "CONNECT", "connect_config": {} }] } }
            """);
        var cluster = new ClusterState(ClusterDecoder.Decode(WireTypes.Strict.Parse<Cluster>("""{"name": "up"}""")), TimeProvider.System, new Random(1));
        var host = new Host(new Endpoint(new IPEndPoint(IPAddress.Loopback, 1), 1, EndpointHealth.Healthy, ValueMap<string>.Empty, Workload.Unknown, false));
        var background = new BackgroundTasks((_, e) => Assert.Fail(e.ToString()));
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(IPAddress.Loopback, forward.Port, Stop);
        var client = new H2Client(new SocketTransport(socket), cluster, host, TimeProvider.System, long.MaxValue, background, new Random(1));

        var stream = client.TryOpen()!;
        var request = new RequestHead { Method = "CONNECT", Version = HttpVersions.Http11 };
        request.SetAuthority("far.example:443"u8);
        await stream.SendHeadAsync(request);
        await stream.FlushAsync();
        var response = new ResponseHead();
        await stream.ReceiveHeadAsync(response).AsTask().WaitAsync(Patience, Stop);
        Assert.Equal((200, true), (response.Status, response.IsTunnel));
        var settings = new TlsSettings([], "ROOTCA", [], [], false, "far.example", SslProtocols.Tls12 | SslProtocols.Tls13);
        var tls = await TlsTransport.ConnectAsync(stream.TakeOver(), settings, "", [], new Roots(authority.Pem), Patience, TimeProvider.System);
        Assert.Equal("spiffe://test/far", tls.Peer.Identity);
        await tls.WriteAsync("GET / HTTP/1.1\r\nhost: far.example\r\nconnection: close\r\n\r\n"u8.ToArray());
        var (text, buffer) = (new StringBuilder(), new byte[30_000]);
        while (await tls.ReadAsync(buffer).AsTask().WaitAsync(Patience, Stop) is > 0 and var count) text.Append(Encoding.ASCII.GetString(buffer, 0, count));
        Assert.StartsWith("HTTP/1.1 200 OK", text.ToString());
        Assert.Equal(500_000, text.ToString().Count(c => c == 'x'));

        tls.Abort();
        stream.Release();
        client.Close();
        await background.WhenEndedAsync().WaitAsync(Patience, Stop);
    }

    private sealed class Roots(string pem) : ISecretSource
    {
        private readonly RootSecret _roots = RootSecret.Load("ROOTCA", pem);

        public event Action<string>? Changed
        {
            add { }
            remove { }
        }

        public CertificateSecret? FindCertificate(string name) => null;

        public RootSecret? FindRoots(string name) => _roots;

        public IReadOnlyList<SecretView> View() => [];
    }
}

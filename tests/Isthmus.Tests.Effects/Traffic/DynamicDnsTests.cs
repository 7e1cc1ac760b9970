using System.Collections.Concurrent;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using Isthmus.Core.Net;
using Isthmus.Proxy;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Transports;
using Isthmus.Rigs.Mesh;
using Isthmus.Testing;
using Isthmus.Wire.Xds;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;

namespace Isthmus.Tests.Effects.Traffic;

/// <summary>A wildcard host with resolution DYNAMIC_DNS: the name of each request, or of each TLS connection, is resolved.</summary>
public sealed class DynamicDnsTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_request_goes_where_its_own_name_leads()
    {
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync($"{context.Request.Host.Host}"));
        var names = new Names { ["one.dyn.example"] = "127.0.0.1", ["two.dyn.example"] = "127.0.0.1", ["outside.example"] = "127.0.0.1" };
        using var proxy = new DynamicProxy(origin.Port, 1, names, reachesLoopback: true);
        Assert.Equal((200, "one.dyn.example"), await proxy.CallAsync($"one.dyn.example:{origin.Port}"));
        Assert.Equal((200, "One.DYN.example"), await proxy.CallAsync($"One.DYN.example:{origin.Port}"));
        Assert.Equal((200, "two.dyn.example"), await proxy.CallAsync($"two.dyn.example:{origin.Port}"));
        Assert.Equal(["one.dyn.example", "two.dyn.example"], names.Asked);

        Assert.Equal(503, (await proxy.CallAsync($"unknown.dyn.example:{origin.Port}")).Status);
        // Other hosts and ports are not for this cluster.
        Assert.NotEqual(200, (await proxy.CallAsync($"outside.example:{origin.Port}")).Status);
        Assert.NotEqual(200, (await proxy.CallAsync("one.dyn.example:1")).Status);
        Assert.DoesNotContain("outside.example", names.Asked);
    }

    [Fact]
    public async Task A_name_does_not_lead_to_the_proxy_s_own_machine()
    {
        var calls = 0;
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, context =>
        {
            Interlocked.Increment(ref calls);
            return Task.CompletedTask;
        });
        using var proxy = new DynamicProxy(origin.Port, 1, new() { ["inward.dyn.example"] = "127.0.0.1" }, reachesLoopback: false);
        Assert.Equal(503, (await proxy.CallAsync($"inward.dyn.example:{origin.Port}")).Status);
        Assert.Equal(0, calls);
    }

    [Fact]
    public async Task A_TLS_connection_goes_where_its_server_name_leads()
    {
        using var ca = new TestCa("an authority");
        using var certificate = ca.Server("one.dyn.example");
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, OriginServer.ServerNameAsync, certificate);
        var names = new Names { ["one.dyn.example"] = "127.0.0.1" };
        using var proxy = new DynamicProxy(1, origin.Port, names, reachesLoopback: true);
        Assert.Equal("one.dyn.example", await proxy.CallSecureAsync("one.dyn.example"));
        await Assert.ThrowsAnyAsync<Exception>(() => proxy.CallSecureAsync("other.dyn.example"));
        Assert.Equal(["one.dyn.example", "other.dyn.example"], names.Asked);
    }

    [Fact]
    public async Task Plain_HTTP_to_unknown_hosts_goes_where_the_mode_of_the_mesh_lets_its_own_name_lead()
    {
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync($"{context.Request.Host}"));
        var names = new Names { ["anywhere.example"] = "127.0.0.1" };
        using var proxy = new DynamicProxy(OpenMesh(), names, reachesLoopback: true, "0.0.0.0_80", "virtualOutbound");
        var host = $"anywhere.example:{origin.Port}";
        // At a port of a service of the mesh, and at an address that no service has.
        Assert.Equal((200, host), await proxy.CallAsync(host));
        Assert.Equal((200, host), await proxy.CallAsync(host, proxy.TcpPort));
        Assert.Equal(503, (await proxy.CallAsync($"unknown.example:{origin.Port}", proxy.TcpPort)).Status);
        Assert.Equal(["anywhere.example", "unknown.example"], names.Asked);
        Assert.Contains("AllowAnyDynamicDNSCluster", Assert.Single(proxy.Feed.Snapshot!.Types[TypeUrls.Route].All).Body.Value.ToStringUtf8(),
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task No_name_leads_such_calls_to_the_proxy_s_own_machine()
    {
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, _ => Task.CompletedTask);
        using var proxy = new DynamicProxy(OpenMesh(), new() { ["inward.example"] = "127.0.0.1", ["127.0.0.1"] = "127.0.0.1" }, reachesLoopback: false,
            "0.0.0.0_80", "virtualOutbound");
        Assert.Equal(503, (await proxy.CallAsync($"inward.example:{origin.Port}", proxy.TcpPort)).Status);
        Assert.Equal(503, (await proxy.CallAsync($"127.0.0.1:{origin.Port}", proxy.TcpPort)).Status);
    }

    private static MeshRig OpenMesh()
    {
        var rig = new MeshRig("c1");
        rig.App("c1", "orders", "10.96.0.10", "10.244.0.1");
        rig.Settings("outboundTrafficPolicy: {mode: ALLOW_ANY_DYNAMIC_DNS}");
        return rig;
    }

    [Theory]
    [InlineData("127.0.0.1", true)]
    [InlineData("127.9.9.9", true)]
    [InlineData("0.0.0.0", true)]
    [InlineData("169.254.169.254", true)]
    [InlineData("224.0.0.1", true)]
    [InlineData("255.255.255.255", true)]
    [InlineData("::1", true)]
    [InlineData("::", true)]
    [InlineData("fe80::1", true)]
    [InlineData("ff02::1", true)]
    [InlineData("::ffff:127.0.0.1", true)]
    [InlineData("::ffff:169.254.1.1", true)]
    [InlineData("::127.0.0.1", true)]
    [InlineData("64:ff9b::169.254.169.254", true)]
    [InlineData("2002:7f00:1::", true)]
    [InlineData("fe80::1%3", true)]
    [InlineData("64:ff9b::203.0.113.9", false)]
    [InlineData("2002:cb00:7109::", false)]
    [InlineData("10.96.0.1", false)]
    [InlineData("203.0.113.9", false)]
    [InlineData("::ffff:203.0.113.9", false)]
    [InlineData("2001:db8::1", false)]
    public void Addresses_of_the_own_machine_are_known(string address, bool isLocal) => Assert.Equal(isLocal, LocalAddresses.Contain(IPAddress.Parse(address)));

    private sealed class DynamicProxy : ConfiguredProxy
    {
        /// <param name="http">The port of the hosts for HTTP.</param>
        /// <param name="tls">Their port for TLS.</param>
        /// <param name="names">What names resolve to.</param>
        /// <param name="reachesLoopback">The servers of the test are on the loopback interface.</param>
        internal DynamicProxy(int http, int tls, Names names, bool reachesLoopback)
            : this(MeshOf(http, tls), names, reachesLoopback, $"0.0.0.0_{http}", $"0.0.0.0_{tls}")
        {
        }

        internal DynamicProxy(MeshRig rig, Names names, bool reachesLoopback, string httpListener, string tcpListener)
            : base(rig, rig => rig.Sidecar("c1"), Build(ProxySettings.Default(ProxyIdentity.Unknown, "sidecar"), new NoLogs(), PortsOf(names, reachesLoopback)),
                httpListener, tcpListener)
        {
        }

        internal async Task<(int Status, string Body)> CallAsync(string host, int? port = null)
        {
            using var client = new HttpClient();
            using var request = new HttpRequestMessage(HttpMethod.Get, $"http://127.0.0.1:{port ?? Port}/");
            request.Headers.Host = host;
            using var response = await client.SendAsync(request, Stop);
            return ((int)response.StatusCode, await response.Content.ReadAsStringAsync(Stop));
        }

        internal async Task<string> CallSecureAsync(string name)
        {
            using var handler = new SocketsHttpHandler
            {
                ConnectCallback = async (_, stop) =>
                {
                    var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
                    await socket.ConnectAsync(IPAddress.Loopback, TcpPort, stop);
                    return new NetworkStream(socket, ownsSocket: true);
                },
                SslOptions = new SslClientAuthenticationOptions { RemoteCertificateValidationCallback = (_, _, _, _) => true },
            };
            using var client = new HttpClient(handler);
            return await client.GetStringAsync(new Uri($"https://{name}/"), Stop);
        }

        private static ProxyPorts PortsOf(Names names, bool reachesLoopback)
        {
            var ports = new ProxyPorts(TimeProvider.System, new ThreadRandom(), new ProcessSockets(), names);
            return reachesLoopback ? ports with { IsForbidden = _ => false } : ports;
        }

        private static MeshRig MeshOf(int http, int tls)
        {
            var rig = new MeshRig("c1");
            rig.Settings("outboundTrafficPolicy: {mode: REGISTRY_ONLY}");
            rig.Config($$"""
                apiVersion: networking.istio.io/v1
                kind: ServiceEntry
                metadata: {name: dynamic, namespace: shop}
                spec: {hosts: ["*.dyn.example"], resolution: DYNAMIC_DNS,
                  ports: [{number: {{http}}, name: http, protocol: HTTP}, {number: {{tls}}, name: tls, protocol: TLS}]}
                """);
            return rig;
        }

        private sealed class NoLogs : ILogFiles
        {
            public Stream Open(string path) => Stream.Null;
        }
    }

    /// <summary>A DNS server of the test.</summary>
    private sealed class Names : Dictionary<string, string>, INameResolver
    {
        private readonly ConcurrentQueue<string> _asked = new();

        internal IEnumerable<string> Asked => _asked;

        public ValueTask<(IReadOnlyList<IPAddress> Addresses, TimeSpan TimeToLive)> ResolveAsync(string name, CancellationToken stop)
        {
            _asked.Enqueue(name);
            return ValueTask.FromResult<(IReadOnlyList<IPAddress>, TimeSpan)>((TryGetValue(name, out var address) ? [IPAddress.Parse(address)] : [],
                TimeSpan.FromMinutes(1)));
        }
    }
}

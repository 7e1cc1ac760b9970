using System.Collections.Concurrent;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Text.Json.Nodes;
using Google.Protobuf;
using Isthmus.Proxy;
using Isthmus.Proxy.Agent;
using Isthmus.Proxy.EnvoyPlane;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Trace;
using Isthmus.Proxy.Transports;
using Isthmus.Reports;
using Isthmus.Testing;
using Isthmus.Wire;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.Clusters;
using Isthmus.Wire.Envoy.Listeners;
using Isthmus.Wire.Grpc;
using Isthmus.Wire.Xds;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Xunit;
using GrpcCall = Isthmus.Wire.Grpc.GrpcCall;

namespace Isthmus.Tests.Proxy.Agent;

/// <summary>Calls of traces through a real Envoy, whose control plane is the test.</summary>
public sealed class EnvoyCallTests : IDisposable
{
    private const string Outbound = """
        {"name": "virtualOutbound", "address": {"socket_address": {"address": "127.0.0.1", "port_value": PORT}}, "use_original_dst": true,
         "traffic_direction": "OUTBOUND", "filter_chains": [{"filters": [HTTP]}]}
        """;

    private const string Captured = """
        {"name": "10.9.9.9_80", "address": {"socket_address": {"address": "10.9.9.9", "port_value": 80}}, "bind_to_port": false,
         "traffic_direction": "OUTBOUND", "filter_chains": [{"filters": [HTTP]}]}
        """;

    private const string Http = """
        {"name": "http", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
         "stat_prefix": "out", "http_filters": [{"name": "envoy.filters.http.router",
          "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}],
         "route_config": {"name": "r", "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [ROUTES]}]}}}
        """;

    private readonly string _directory = Directory.CreateTempSubdirectory("isthmus-test-").FullName;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    /// <summary>Ports of TCP, each with what stands behind its listener.</summary>
    private const string Bytes = """
        {"name": "10.9.9.9_NUMBER", "address": {"socket_address": {"address": "10.9.9.9", "port_value": NUMBER}}, "bind_to_port": false,
         "traffic_direction": "OUTBOUND", "filter_chains": [{MATCH "filters": [{"name": "tcp", "typed_config":
          {"@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy", "stat_prefix": "x", "cluster": "CLUSTER"}}]}]}
        """;

    [Fact]
    public async Task Calls_of_traces_enter_Envoy_where_redirected_connections_do()
    {
        Assert.SkipWhen(RealEnvoy.Find() is null, RealEnvoy.Missing);
        await using var run = await EnvoyRun.StartAsync(_directory, 0);

        // The first stream ends when the listeners are there, so that Envoy tells on the second which it has.
        var answered = await run.AskAsync("10.9.9.9:80", CallKind.Http, "/ok");
        Assert.True(answered.Status is not null, answered.ToString());
        Assert.Equal((200, "by the port's listener"), (answered.Status!.Value, answered.Body!));
        Assert.Equal("-", answered.Seen!.Flags);
        Assert.Equal("by the fallback", (await run.AskAsync("10.9.9.9:81", CallKind.Http, "/ok")).Body);
        Assert.Equal("by the fallback", (await run.AskAsync("[2001:db8::1]:81", CallKind.Http, "/ok")).Body);
        Assert.Equal("UH", (await run.AskAsync("10.9.9.9:80", CallKind.Http, "/nobody")).Seen!.Flags);
        var refused = await run.AskAsync("10.9.9.9:80", CallKind.Http, "/refused");
        Assert.Equal(("UF", "127.0.0.1:1", "refused"),
            (refused.Seen!.Flags!, refused.Seen.Upstream!, refused.Seen.Cluster!));
        Assert.Equal("NR", (await run.AskAsync("10.9.9.9:80", CallKind.Http, "/unknown")).Seen!.Flags);

        // What calls leave behind is gone, and the control plane never hears of it.
        Assert.Empty(Directory.GetFiles(Path.Combine(_directory, "envoy"), "t*"));
        Assert.All(run.Plane.Versions, versions => Assert.DoesNotContain(versions, name => name.StartsWith("isthmus", StringComparison.Ordinal)));
        Assert.Empty(run.Plane.Refused);
    }

    [Theory]
    [InlineData("first", false, "first", "-", true)]
    [InlineData("after the end", false, "after the end", "-", true)]
    [InlineData("nothing", false, "nothing", "-", true)]
    [InlineData("closed", false, "closed", "-", true)]
    [InlineData("refused", false, "closed", "UF,URX", false)]
    [InlineData("nobody", false, "closed", "UH", false)]
    [InlineData("unmatched", false, "closed", "NR", false)]
    [InlineData("distrusted", false, "closed", "UF,URX", false)]
    [InlineData("tls", true, "", "-", true)]
    [InlineData("closed", true, "", "-", true)]
    [InlineData("refused", true, "", "UF,URX", false)]
    public async Task Calls_of_bytes_tell_what_came_of_them(string server, bool isTls, string says, string flags, bool isConnected)
    {
        Assert.SkipWhen(RealEnvoy.Find() is null, RealEnvoy.Missing);
        await using var peer = TcpPeer.Start(server);
        await using var run = await EnvoyRun.StartAsync(_directory, peer.Port);
        var result = await run.AskAsync($"10.9.9.9:{Plane.PortOf(server)}", isTls ? CallKind.Tls : CallKind.Tcp, "/");
        Assert.Equal(says, result.Says ?? "");
        Assert.True(result.Seen is not null, result.ToString());
        var seen = result.Seen!;
        Assert.True(flags == seen.Flags, result.ToString());
        Assert.Equal(isConnected, seen.UpstreamLocal is not null);
        if (isConnected) Assert.Equal($"127.0.0.1:{peer.Port}", seen.Upstream);
        if (server == "distrusted") Assert.Contains("CERTIFICATE_VERIFY_FAILED", seen.TransportFailure, StringComparison.Ordinal);
        if (server == "tls") Assert.Equal(204, result.Status);
    }

    [Fact]
    public async Task Without_a_discovery_stream_a_call_is_not_made()
    {
        var calls = new CallListeners(_directory);
        Assert.Contains("this Envoy lacks", await WhyAsync(), StringComparison.Ordinal);
        var node = new Node();
        node.Extensions.AddRange(CallListener.Extensions.Select(name => new Wire.Envoy.Extension { Name = name }));
        calls.Heard(new() { TypeUrl = TypeUrls.Cluster, Node = node });
        Assert.Contains("no outbound listener", await WhyAsync(), StringComparison.Ordinal);
        var told = new DeltaDiscoveryResponse { TypeUrl = TypeUrls.Listener };
        told.Resources.Add(new Resource { Name = "virtualOutbound", Resource_ = TypeNames.Pack(Plane.Outgoing(15001)) });
        calls.Told(told);
        Assert.Contains("the control plane cannot be reached", await WhyAsync(), StringComparison.Ordinal);

        async Task<string> WhyAsync() =>
            (await new TraceCall(TimeProvider.System, new EnvoyEntry(calls, new(), null, EnvoyRun.Ports)).RunAsync(
                new(IPEndPoint.Parse("10.9.9.9:80"), "web", "/", "mark", CallKind.Tcp, TimeSpan.FromMinutes(1)), Stop)).NotMade!;
    }

    /// <summary>An Envoy, and the agent's part of it.</summary>
    private sealed class EnvoyRun : IAsyncDisposable
    {
        private readonly TraceCall _call;
        private readonly EnvoyProcess _envoy;
        private readonly WebApplication _server;
        private readonly ProcessLog _log;

        private EnvoyRun(Plane plane, TraceCall call, EnvoyProcess envoy, WebApplication server, ProcessLog log) =>
            (Plane, _call, _envoy, _server, _log) = (plane, call, envoy, server, log);

        public static ProxyPorts Ports { get; } = new(TimeProvider.System, new Random(1), new ProcessSockets(), new SystemResolver());

        public Plane Plane { get; }

        public static async Task<EnvoyRun> StartAsync(string directory, int peer)
        {
            using var admin = new ReservedPort();
            using var outbound = new ReservedPort();
            var sockets = new EnvoySockets(directory);
            var (calls, reports) = (new CallListeners(EnvoySockets.CallsBelow(directory)), new CallReports());
            var plane = new Plane(calls, outbound.Number, peer);
            var builder = WebApplication.CreateEmptyBuilder(new() { ApplicationName = "isthmus" });
            builder.Services.AddRoutingCore();
            builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
            {
                kestrel.ListenUnixSocket(sockets.Discovery, on => on.Protocols = HttpProtocols.Http2);
                kestrel.ListenUnixSocket(sockets.Secrets, on => on.Protocols = HttpProtocols.Http2);
            });
            var server = builder.Build();
            server.UseRouting();
            server.MapDuplex<DeltaDiscoveryRequest, DeltaDiscoveryResponse>(AdsMethods.Delta, plane.ServeAsync);
            server.MapDuplex(CallReports.Method, reports.ServeAsync);
            await server.StartAsync(Stop);
            var log = new ProcessLog(TextWriter.Null, TimeProvider.System);
            var parts = Parts(log, admin.Number);
            await File.WriteAllTextAsync(sockets.Bootstrap, EnvoyBootstrap.Write(parts, sockets).ToJsonString(), Stop);
            admin.Dispose();
            outbound.Dispose();
            var envoy = EnvoyProcess.Start(RealEnvoy.Find()!, EnvoyBootstrap.Arguments(parts.Settings, sockets));
            await Eventually.TrueAsync(() => plane.Streams > 1 && plane.Versions.Count > 0);
            return new(plane, new(TimeProvider.System, new EnvoyEntry(calls, reports, IPAddress.Parse("10.0.0.1"), Ports)), envoy, server, log);
        }

        public async Task<CallReport> AskAsync(string to, CallKind kind, string path) =>
            await _call.RunAsync(new(IPEndPoint.Parse(to), "web", path, "mark", kind, kind == CallKind.Tcp ? TimeSpan.FromSeconds(5) : TimeSpan.FromMinutes(1)),
                Stop);

        public async ValueTask DisposeAsync()
        {
            _envoy.Kill();
            await _envoy.WaitAsync(CancellationToken.None);
            _envoy.Dispose();
            await _server.DisposeAsync();
            _log.Dispose();
        }
    }

    /// <summary>A server that says what its name says.</summary>
    private sealed class TcpPeer(TcpListener listener, TestCa ca, string kind) : IAsyncDisposable
    {
        private readonly CancellationTokenSource _end = new();
        private Task _serving = Task.CompletedTask;

        public int Port => ((IPEndPoint)listener.LocalEndpoint).Port;

        public static TcpPeer Start(string kind)
        {
            var listener = new TcpListener(IPAddress.Loopback, 0);
            listener.Start();
            var peer = new TcpPeer(listener, new("peer"), kind);
            peer._serving = peer.ServeAsync();
            return peer;
        }

        public async ValueTask DisposeAsync()
        {
            await _end.CancelAsync();
            await _serving.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            listener.Dispose();
            ca.Dispose();
            _end.Dispose();
        }

        private async Task ServeAsync()
        {
            var buffer = new byte[4096];
            while (true)
            {
                using var client = await listener.AcceptTcpClientAsync(_end.Token);
                var stream = client.GetStream();
                try
                {
                    if (kind == "first") await stream.WriteAsync("hello"u8.ToArray(), _end.Token);
                    if (kind is "tls" or "distrusted")
                    {
                        var leaf = ca.Server("web");
                        await using var tls = new SslStream(stream);
                        await tls.AuthenticateAsServerAsync(new SslServerAuthenticationOptions { ServerCertificate = leaf }, _end.Token);
                        _ = await tls.ReadAsync(buffer, _end.Token);
                        await tls.WriteAsync("HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n"u8.ToArray(), _end.Token);
                        continue;
                    }
                    if (kind == "closed") continue;
                    // A connection ends when the caller is gone, except where the server says nothing, whatever happens.
                    while (await stream.ReadAsync(buffer, _end.Token) > 0)
                    {
                    }
                    if (kind == "after the end") await stream.WriteAsync("bye"u8.ToArray(), _end.Token);
                    if (kind == "nothing") await Task.Delay(Timeout.Infinite, _end.Token);
                }
                catch (Exception e) when (e is IOException or AuthenticationException)
                {
                    // The caller left.
                }
            }
        }
    }

    private static AgentParts Parts(ProcessLog log, int admin)
    {
        var settings = AgentSettings.Read("sidecar", "", new Dictionary<string, string>
        {
            ["POD_NAME"] = "web-0", ["POD_NAMESPACE"] = "shop", ["INSTANCE_IP"] = "10.0.0.1",
            ["PROXY_CONFIG"] = """{"binaryPath": "/usr/local/bin/envoy"}""",
        });
        return new()
        {
            Settings = settings, Node = AgentNode.Build(settings, new Dictionary<string, string>(), new Dictionary<string, string>()),
            Proxy = ProxySettings.Default(ProxyIdentity.Unknown, "sidecar") with { Admin = new(IPAddress.Loopback, admin) },
            Dial = null!, Secrets = null!, Discovered = null!, Names = null!, Resolver = null!, Table = null, TakeNames = _ => { },
            Ports = EnvoyRun.Ports, Files = AgentFiles.OfProcess, Log = log,
        };
    }

    /// <summary>A control plane behind the agent's part of discovery: it hears and tells what a control plane does.</summary>
    private sealed class Plane(CallListeners calls, int port, int peer)
    {
        /// <summary>Ports of TCP; the peer is behind those that are not named otherwise.</summary>
        private static readonly string[] Servers =
            ["first", "after the end", "nothing", "closed", "refused", "nobody", "unmatched", "distrusted", "tls"];

        private int _streams;

        public static int PortOf(string server) => 9000 + Array.IndexOf(Servers, server);

        public int Streams => Volatile.Read(ref _streams);

        /// <summary>The listeners that Envoy says it has at the beginning of a stream.</summary>
        public ConcurrentQueue<IReadOnlyList<string>> Versions { get; } = [];

        public ConcurrentQueue<string> Refused { get; } = [];

        public async Task ServeAsync(GrpcCall call, GrpcReader<DeltaDiscoveryRequest> requests, GrpcWriter<DeltaDiscoveryResponse> responses)
        {
            var isFirst = Interlocked.Increment(ref _streams) == 1;
            using var end = CancellationTokenSource.CreateLinkedTokenSource(call.Stop);
            // On the first stream, the control plane alone writes.
            var calling = isFirst ? Task.CompletedTask : calls.RunAsync(responses.WriteAsync, end.Token);
            try
            {
                await HearAsync(call, requests, responses, isFirst);
            }
            finally
            {
                await end.CancelAsync();
                await calling.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }

        private async Task HearAsync(GrpcCall call, GrpcReader<DeltaDiscoveryRequest> requests, GrpcWriter<DeltaDiscoveryResponse> responses, bool isFirst)
        {
            while (await requests.ReadAsync(call.Stop) is { } asked)
            {
                if (calls.Heard(asked) is not { } request) continue;
                if (request.ErrorDetail is { } refused) Refused.Enqueue(refused.Message);
                if (request.TypeUrl == TypeUrls.Listener && request.ResponseNonce.Length == 0 && !isFirst)
                    Versions.Enqueue([.. request.InitialResourceVersions.Keys]);
                if (request.TypeUrl == TypeUrls.Listener && request.ResponseNonce.Length > 0 && isFirst) return;
                if (request.ResponseNonce.Length > 0 || !isFirst) continue;
                var answer = Answer(request.TypeUrl);
                calls.Told(answer);
                await responses.WriteAsync(answer, call.Stop);
            }
        }

        private DeltaDiscoveryResponse Answer(string type)
        {
            var answer = new DeltaDiscoveryResponse { TypeUrl = type, Nonce = type, SystemVersionInfo = "1" };
            void Add(string name, IMessage message) =>
                answer.Resources.Add(new Resource { Name = name, Version = "1", Resource_ = TypeNames.Pack(message) });
            if (type == TypeUrls.Cluster)
            {
                Add("nobody", WireTypes.Lenient.Parse<Cluster>("""{"name": "nobody", "type": "STATIC", "load_assignment": {"cluster_name": "nobody"}}"""));
                Add("refused", At("refused", 1, ""));
                Add("peer", At("peer", peer, ""));
                Add("distrusted", At("distrusted", peer, """
                    , "transport_socket": {"name": "tls", "typed_config": {
                     "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
                     "common_tls_context": {"validation_context": {"trusted_ca": {"inline_string": "ROOT"}}}}}
                    """.Replace("ROOT", Other.Pem.ReplaceLineEndings("\\n"), StringComparison.Ordinal)));
            }
            else if (type == TypeUrls.Listener)
            {
                Add("virtualOutbound", Outgoing(port));
                foreach (var server in Servers)
                    Add($"10.9.9.9_{PortOf(server)}", WireTypes.Lenient.Parse<Listener>(Bytes.Replace("NUMBER", $"{PortOf(server)}", StringComparison.Ordinal)
                        .Replace("CLUSTER", server is "refused" or "nobody" or "distrusted" ? server : "peer", StringComparison.Ordinal)
                        .Replace("MATCH", server == "unmatched" ? """ "filter_chain_match": {"transport_protocol": "quic"}, """ : "",
                            StringComparison.Ordinal)));
                Add("10.9.9.9_80", Listen(Captured, """
                    {"match": {"path": "/ok"}, "direct_response": {"status": 200, "body": {"inline_string": "by the port's listener"}}},
                    {"match": {"path": "/nobody"}, "route": {"cluster": "nobody"}}, {"match": {"path": "/refused"}, "route": {"cluster": "refused"}}
                    """));
            }
            return answer;
        }

        /// <summary>A root that has signed nothing.</summary>
        private static readonly TestCa Other = new("other");

        public static Listener Outgoing(int port) => Listen(Outbound.Replace("PORT", $"{port}", StringComparison.Ordinal),
            """{"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": {"inline_string": "by the fallback"}}}""");

        private static Cluster At(string name, int port, string more) => WireTypes.Lenient.Parse<Cluster>($$$"""
            {"name": "{{{name}}}", "type": "STATIC", "load_assignment": {"cluster_name": "{{{name}}}", "endpoints": [{"lb_endpoints": [
             {"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": {{{port}}} } } } } ] } ] }{{{more}}}}
            """);

        private static Listener Listen(string listener, string routes) =>
            WireTypes.Lenient.Parse<Listener>(listener.Replace("HTTP", Http, StringComparison.Ordinal).Replace("ROUTES", routes, StringComparison.Ordinal));
    }
}

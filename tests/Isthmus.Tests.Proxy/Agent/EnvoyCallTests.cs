using System.Collections.Concurrent;
using System.Net;
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

    [Fact]
    public async Task Calls_of_traces_enter_Envoy_where_redirected_connections_do()
    {
        Assert.SkipWhen(RealEnvoy.Find() is null, RealEnvoy.Missing);
        using var admin = new ReservedPort();
        using var outbound = new ReservedPort();
        var sockets = new EnvoySockets(_directory);
        var calls = new CallListener(EnvoySockets.CallsBelow(_directory));
        var plane = new Plane(calls, outbound.Number);
        var builder = WebApplication.CreateEmptyBuilder(new() { ApplicationName = "isthmus" });
        builder.Services.AddRoutingCore();
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => kestrel.ListenUnixSocket(sockets.Discovery, on => on.Protocols = HttpProtocols.Http2));
        await using var server = builder.Build();
        server.UseRouting();
        server.MapDuplex<DeltaDiscoveryRequest, DeltaDiscoveryResponse>(AdsMethods.Delta, plane.ServeAsync);
        await server.StartAsync(Stop);
        using var log = new ProcessLog(TextWriter.Null, TimeProvider.System);
        var parts = Parts(log, admin.Number);
        await File.WriteAllTextAsync(sockets.Bootstrap, EnvoyBootstrap.Write(parts, sockets).ToJsonString(), Stop);
        admin.Dispose();
        outbound.Dispose();
        using var envoy = EnvoyProcess.Start(RealEnvoy.Find()!, EnvoyBootstrap.Arguments(parts.Settings, sockets));
        try
        {
            // The first stream ends when the listeners are there, so that Envoy tells on the second which it has.
            await Eventually.TrueAsync(() => plane.Streams > 1 && plane.Versions.Count > 0);
            Assert.All(plane.Versions, versions => Assert.Equal(["10.9.9.9_80", "virtualOutbound"], versions.Order()));
            Assert.Empty(plane.Refused);
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(calls.Path) & (UnixFileMode)0b111_111_111);

            var call = new TraceCall(TimeProvider.System, new EnvoyEntry(calls, IPAddress.Parse("10.0.0.1"), new ProcessSockets()));
            async Task<CallReport> AskAsync(string to, string path) =>
                await call.RunAsync(new(IPEndPoint.Parse(to), "web", path, "mark", CallKind.Http, TimeSpan.FromMinutes(1)), Stop);
            var answered = await AskAsync("10.9.9.9:80", "/ok");
            Assert.Equal((200, "by the port's listener"), (answered.Status!.Value, answered.Body!));
            Assert.Null(answered.Seen);
            Assert.Equal("by the fallback", (await AskAsync("10.9.9.9:81", "/ok")).Body);
            Assert.Equal("by the fallback", (await AskAsync("[2001:db8::1]:81", "/ok")).Body);
            Assert.Equal("UH", (await AskAsync("10.9.9.9:80", "/nobody")).Seen!.Flags);
            Assert.Equal("UF", (await AskAsync("10.9.9.9:80", "/refused")).Seen!.Flags);
            Assert.Equal("NR", (await AskAsync("10.9.9.9:80", "/unknown")).Seen!.Flags);
        }
        finally
        {
            envoy.Kill();
            await envoy.WaitAsync(CancellationToken.None);
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
            Ports = new(TimeProvider.System, new Random(1), new ProcessSockets(), new SystemResolver()), Files = AgentFiles.OfProcess, Log = log,
        };
    }

    /// <summary>A control plane behind the agent's part of discovery: it hears and tells what a control plane does.</summary>
    private sealed class Plane(CallListener calls, int port)
    {
        private int _streams;

        public int Streams => Volatile.Read(ref _streams);

        /// <summary>The listeners that Envoy says it has at the beginning of a stream.</summary>
        public ConcurrentQueue<IReadOnlyList<string>> Versions { get; } = [];

        public ConcurrentQueue<string> Refused { get; } = [];

        public async Task ServeAsync(GrpcCall call, GrpcReader<DeltaDiscoveryRequest> requests, GrpcWriter<DeltaDiscoveryResponse> responses)
        {
            var isFirst = Interlocked.Increment(ref _streams) == 1;
            while (await requests.ReadAsync(call.Stop) is { } asked)
            {
                var request = calls.Heard(asked);
                if (request.ErrorDetail is { } refused) Refused.Enqueue(refused.Message);
                if (request.TypeUrl == TypeUrls.Listener && request.ResponseNonce.Length == 0 && !isFirst)
                    Versions.Enqueue([.. request.InitialResourceVersions.Keys]);
                if (request.TypeUrl == TypeUrls.Listener && request.ResponseNonce.Length > 0 && isFirst) return;
                if (request.ResponseNonce.Length == 0 && isFirst) await responses.WriteAsync(calls.Told(Answer(request.TypeUrl)), call.Stop);
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
                Add("refused", WireTypes.Lenient.Parse<Cluster>("""
                    {"name": "refused", "type": "STATIC", "load_assignment": {"cluster_name": "refused", "endpoints": [{"lb_endpoints": [
                     {"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 1}}}}]}]}}
                    """));
            }
            else if (type == TypeUrls.Listener)
            {
                Add("virtualOutbound", Listen(Outbound.Replace("PORT", $"{port}", StringComparison.Ordinal),
                    """{"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": {"inline_string": "by the fallback"}}}"""));
                Add("10.9.9.9_80", Listen(Captured, """
                    {"match": {"path": "/ok"}, "direct_response": {"status": 200, "body": {"inline_string": "by the port's listener"}}},
                    {"match": {"path": "/nobody"}, "route": {"cluster": "nobody"}}, {"match": {"path": "/refused"}, "route": {"cluster": "refused"}}
                    """));
            }
            return answer;
        }

        private static Listener Listen(string listener, string routes) =>
            WireTypes.Lenient.Parse<Listener>(listener.Replace("HTTP", Http, StringComparison.Ordinal).Replace("ROUTES", routes, StringComparison.Ordinal));
    }
}

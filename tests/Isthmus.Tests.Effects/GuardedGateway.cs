using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;
using Isthmus.Proxy;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Traffic;
using Isthmus.Rigs.Mesh;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Effects;

/// <summary>A gateway for HTTP (port 8080 of its Service) and TCP (port 9000) in front of the host <c>web.example</c>, from Istio's objects
/// to the bytes. Its Pods have the label <c>app: edge</c> in the namespace <c>shop</c>.</summary>
internal sealed class GuardedGateway : ConfiguredProxy
{
    private readonly LogLines _log;

    /// <param name="settings">MeshConfig.</param>
    /// <param name="config">Istio's objects.</param>
    /// <param name="origin">The port of <c>web.example</c> on the loopback interface.</param>
    /// <param name="authorizer">The port of <c>authorizer.example</c>, which has the ports 8000 (HTTP) and 9000 (gRPC).</param>
    /// <param name="log">The format of the access log.</param>
    /// <param name="identity">What the proxy knows of itself.</param>
    /// <param name="blocked">Which requests get status 418 instead of an answer of <c>web.example</c>: a match of a VirtualService.</param>
    internal GuardedGateway(string settings, string config, int origin, int authorizer, string log = "", ProxyIdentity? identity = null,
        string blocked = "headers: {x-way: {exact: blocked} }")
        : this(MeshOf(settings, config, origin, authorizer, log, blocked), identity ?? ProxyIdentity.Unknown, new LogLines())
    {
    }

    private GuardedGateway(MeshRig rig, ProxyIdentity identity, LogLines log)
        : base(rig, rig => rig.Router("c1", "edge"), Build(ProxySettings.Default(identity, ProxySettings.Gateway), log), "0.0.0.0_8080", "0.0.0.0_9000") =>
            _log = log;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    /// <summary>A request on a connection of its own.</summary>
    /// <param name="header">Headers of the request, each line as <c>name: value</c>.</param>
    internal async Task<HttpResponseMessage> SendAsync(string path = "/", string header = "", HttpContent? body = null, Version? version = null)
    {
        using var client = new HttpClient(new SocketsHttpHandler { UseCookies = false, AllowAutoRedirect = false, UseProxy = false });
        using var request = new HttpRequestMessage(body is null ? HttpMethod.Get : HttpMethod.Post, $"http://127.0.0.1:{Port}{path}") { Content = body };
        request.Headers.Host = "web.example";
        if (version is not null) (request.Version, request.VersionPolicy) = (version, HttpVersionPolicy.RequestVersionExact);
        foreach (var line in header.Split('\n', StringSplitOptions.RemoveEmptyEntries))
            Assert.True(request.Headers.TryAddWithoutValidation(line.Split(": ", 2)[0], line.Split(": ", 2)[1]));
        return await client.SendAsync(request, Stop);
    }

    /// <summary>The status and the body of the answer.</summary>
    internal async Task<(int Status, string Body)> CallAsync(string path = "/", string header = "", HttpContent? body = null)
    {
        using var response = await SendAsync(path, header, body);
        return ((int)response.StatusCode, await response.Content.ReadAsStringAsync(Stop));
    }

    /// <summary>The lines of all access logs.</summary>
    internal string Log => _log.Text;

    /// <summary>Waits for a line of the access log.</summary>
    internal Task LoggedAsync(string part) => Eventually.TrueAsync(() => _log.Text.Contains(part, StringComparison.Ordinal), $"logged: {part}");

    /// <summary>The value of a counter; 0 when there is none.</summary>
    internal long Count(string name) => Plane.Report.Access.All.FirstOrDefault(item => item.Key == name).Value;

    private static MeshRig MeshOf(string settings, string config, int origin, int authorizer, string log, string blocked)
    {
        var rig = new MeshRig("c1");
        var format = log.Length > 0 ? log : "%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS%";
        rig.Settings($"accessLogFile: log\naccessLogFormat: \"{format}\\n\"\n{settings}");
        rig.Writer.Put("c1", new Service
        {
            Metadata = new() { Name = "edge", Namespace = MeshRig.Namespace },
            Spec = new()
            {
                ClusterIP = "10.96.0.99", ClusterIPs = ["10.96.0.99"], Selector = { ["app"] = "edge" },
                Ports =
                {
                    new() { Name = "http", Port = 8080, TargetPort = JsonValue.Create(8080) },
                    new() { Name = "tcp", Port = 9000, TargetPort = JsonValue.Create(9000) }
                },
            },
        });
        rig.Pod("c1", "edge", "edge-0", "10.244.0.99", mtls: false);
        rig.Config($$"""
            apiVersion: networking.istio.io/v1
            kind: Gateway
            metadata: {name: edge, namespace: shop}
            spec: {selector: {app: edge}, servers: [{port: {number: 8080, name: http, protocol: HTTP}, hosts: ['*']}, {port: {number: 9000, name: tcp, protocol: TCP}, hosts: ['*']}]}
            ---
            apiVersion: networking.istio.io/v1
            kind: VirtualService
            metadata: {name: web, namespace: shop}
            spec:
              hosts: ['*']
              gateways: [edge]
              http: [{match: [{ {{blocked}} }], directResponse: {status: 418} }, {route: [{destination: {host: web.example, port: {number: 80} } }] }]
              tcp: [{match: [{port: 9000}], route: [{destination: {host: web.example, port: {number: 9000} } }] }]
            ---
            {{SidecarProxy.Entry([(origin, "")])}}
            ---
            apiVersion: networking.istio.io/v1
            kind: ServiceEntry
            metadata: {name: authorizer, namespace: shop}
            spec:
              hosts: [authorizer.example]
              resolution: STATIC
              ports: [{number: 8000, name: http, protocol: HTTP}, {number: 9000, name: grpc, protocol: GRPC}]
              endpoints: [{address: 127.0.0.1, ports: {http: {{authorizer}}, grpc: {{authorizer}} } }]
            """);
        if (config.Length > 0) rig.Config(config);
        return rig;
    }

    private sealed class LogLines : MemoryStream, ILogFiles
    {
        private readonly StringBuilder _text = new();

        public string Text
        {
            get
            {
                lock (_text) return _text.ToString();
            }
        }

        public Stream Open(string path) => this;

        public override void Write(ReadOnlySpan<byte> buffer)
        {
            lock (_text) _text.Append(Encoding.UTF8.GetString(buffer));
        }

        public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));
    }
}

using System.Collections.Concurrent;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Isthmus.Kubernetes.Objects;
using Isthmus.Proxy;
using Isthmus.Proxy.Telemetry;
using Isthmus.Rigs.Mesh;
using Isthmus.Testing;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;

namespace Isthmus.Tests.Effects.GatewayApi;

/// <summary>Where callers and routes are.</summary>
public enum Place
{
    /// <summary>Callers of the Gateway <c>front</c>.</summary>
    Gateway,

    /// <summary>Callers of the Service <c>echo</c>, with a sidecar.</summary>
    Mesh,
}

/// <summary>
/// Requests through routes to the backends <c>v1</c>, <c>v2</c> and <c>v3</c>, as a table whose lines say what is sent and what comes of it:
/// <code>METHOD HOST/PATH (header: value; header: value) => OUTCOME DETAIL DETAIL</code>
/// The outcome is the backend that answers, the status of another answer, or <c>closed</c>. Details are what arrives at the backend (<c>/path?query</c>,
/// <c>host=name</c>, <c>sni=name</c>, <c>header=value</c>, <c>!header</c> that is not there), and what the caller gets (<c>&lt;header=value</c>,
/// <c>&lt;!header</c>).
/// A request header <c>give-NAME</c> is what the backend answers with. A name and <c>&gt;</c> before the host: over TLS, at the second port, by that name.
/// A line that ends with <c>\</c> goes on in the next one.
/// </summary>
internal sealed partial class RoutedCalls : IAsyncDisposable
{
    /// <summary>All requests to one backend.</summary>
    public const string V1 = "backendRefs: [{name: v1, port: 80}]", V2 = "backendRefs: [{name: v2, port: 80}]", V3 = "backendRefs: [{name: v3, port: 80}]";

    private static readonly string[] Names = ["v1", "v2", "v3"];

    private readonly List<OriginServer> _servers;
    private readonly ConfiguredProxy _proxy;
    private readonly string _host;

    private RoutedCalls(List<OriginServer> servers, ConfiguredProxy proxy, string host, ConcurrentQueue<string> seen)
    {
        (_servers, _proxy, _host, Seen) = (servers, proxy, host, seen);
    }

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    /// <summary>The requests at all backends, each as <c>backend host path headers</c>, also those that nobody waits for.</summary>
    public ConcurrentQueue<string> Seen { get; }

    public MeshRig Rig => _proxy.Rig;

    /// <param name="place">Where callers are.</param>
    /// <param name="rules">The rules of one route.</param>
    /// <param name="kind">Of the route.</param>
    public static Task<RoutedCalls> OfRulesAsync(Place place, string rules, string kind = "HTTPRoute") =>
        place == Place.Gateway ? AtGatewayAsync(Route("r", "{name: front, sectionName: http}", rules, kind: kind))
            : InMeshAsync(Route("r", "{group: '', kind: Service, name: echo}", rules, kind: kind));

    /// <param name="routes">Routes and whatever else there is.</param>
    /// <param name="first">The listeners at port 80 of the Gateway; empty: one for all hosts.</param>
    /// <param name="second">Those at port 9000; empty: one for TCP.</param>
    /// <param name="gateway">More fields of the Gateway.</param>
    /// <param name="prepare">What is in the mesh before.</param>
    /// <param name="protocols">What backends speak.</param>
    /// <param name="server">Their certificate, if they speak TLS.</param>
    /// <param name="port">The name of their port.</param>
    public static async Task<RoutedCalls> AtGatewayAsync(string routes, string first = "", string second = "", string gateway = "",
        Action<MeshRig>? prepare = null, HttpProtocols protocols = HttpProtocols.Http1, X509Certificate2? server = null, string port = "http")
    {
        var seen = new ConcurrentQueue<string>();
        var servers = await ServersAsync(seen, protocols, server);
        return new(servers, new ApiGatewayProxy(routes, [.. servers.Select((one, i) => (Names[i], port, one.Port))], gateway, prepare,
            second.Length > 0 ? second : "{name: tcp, port: 9000, protocol: TCP, allowedRoutes: {namespaces: {from: All} } }",
            first.Length > 0 ? first : "{name: http, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All} } }"), "front.example", seen);
    }

    /// <param name="routes">Routes and whatever else there is.</param>
    /// <param name="http">The listener that callers use.</param>
    /// <param name="other">That of the second port.</param>
    public static async Task<RoutedCalls> InMeshAsync(string routes, string http = "10.96.3.1_80", string other = "0.0.0.0_80")
    {
        var seen = new ConcurrentQueue<string>();
        var servers = await ServersAsync(seen, HttpProtocols.Http1);
        return new(servers, new Caller(routes, servers, http, other), "echo", seen);
    }

    /// <summary>A route in namespace <c>shop</c>, unless another one is named.</summary>
    public static string Route(string name, string parents, string rules, string hostnames = "", string kind = "HTTPRoute", string ns = "shop",
        string age = "2026-01-01T00:00:00Z") => $$"""
        apiVersion: gateway.networking.k8s.io/v1
        kind: {{kind}}
        metadata: {name: {{name}}, namespace: {{ns}}, creationTimestamp: '{{age}}'}
        spec: {parentRefs: [{{parents}}], {{(hostnames.Length > 0 ? $"hostnames: [{hostnames}], " : "")}}rules: [{{rules.ReplaceLineEndings(" ")}}]}
        ---

        """;

    /// <summary>Applies objects.</summary>
    public void Apply(string config) => _proxy.Apply(config);

    /// <summary>Makes the calls of a table.</summary>
    /// <param name="table">The calls, and what is expected of each.</param>
    /// <param name="atSecond">At the second port, without TLS.</param>
    /// <param name="client">What the caller shows over TLS.</param>
    /// <param name="version">That of HTTP.</param>
    /// <param name="isGrpc">Whether requests say that they are calls of gRPC.</param>
    public async Task ExpectAsync(string table, bool atSecond = false, X509Certificate2? client = null, Version? version = null,
        bool isGrpc = false)
    {
        var got = new StringBuilder();
        var lines = Continued().Replace(table, "").Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        foreach (var line in lines)
        {
            var call = CallOf().Match(line);
            Assert.True(call.Success, $"no call: {line}");
            var outcome = call.Groups["outcome"].Value;
            var answer = await CallAsync(call, outcome.Split(' '), atSecond, client, version, isGrpc);
            got.Append(line.AsSpan(0, line.Length - outcome.Length)).Append(answer).Append('\n');
        }
        Assert.Equal(string.Join('\n', lines) + "\n", got.ToString());
    }

    /// <summary>How many of so many requests each backend answers. At the second port, each has a connection of its own.</summary>
    public async Task<int[]> SharesAsync(string path, int requests, bool atSecond = false)
    {
        using var client = ClientOf(atSecond, "", null, null);
        var shares = new int[Names.Length];
        for (var i = 0; i < requests; i++)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, $"http://{_host}{path}") { Headers = { ConnectionClose = atSecond } };
            using var response = await client.SendAsync(request, Stop);
            shares[Array.IndexOf(Names, (await response.Content.ReadAsStringAsync(Stop)).Split('\n')[0])]++;
        }
        return shares;
    }

    public async ValueTask DisposeAsync()
    {
        _proxy.Dispose();
        foreach (var server in _servers) await server.DisposeAsync();
    }

    private static async Task<List<OriginServer>> ServersAsync(ConcurrentQueue<string> seen, HttpProtocols protocols, X509Certificate2? certificate = null)
    {
        var all = new List<OriginServer>();
        foreach (var name in Names) all.Add(await OriginServer.StartAsync(protocols, context => AnswerAsync(name, seen, context), certificate));
        return all;
    }

    /// <summary>Says in the body what arrived, line by line.</summary>
    private static Task AnswerAsync(string backend, ConcurrentQueue<string> seen, HttpContext context)
    {
        var request = context.Request;
        foreach (var (header, value) in request.Headers.Where(header => header.Key.StartsWith("give-", StringComparison.OrdinalIgnoreCase)))
            context.Response.Headers[header["give-".Length..]] = value;
        var headers = request.Headers.Where(header => !header.Key.StartsWith("give-", StringComparison.OrdinalIgnoreCase))
            .Select(header => $"{header.Key.ToLowerInvariant()}={header.Value}").Order(StringComparer.Ordinal).ToList();
        if (context.Features.Get<ITlsHandshakeFeature>()?.HostName is { Length: > 0 } name) headers.Add($"sni={name}");
        seen.Enqueue($"{backend} {request.Host} {request.Path}{request.QueryString} {string.Join(' ', headers)}");
        return context.Response.WriteAsync(string.Join('\n', [backend, $"{request.Path}{request.QueryString}", $"host={request.Host}", .. headers]));
    }

    private async Task<string> CallAsync(
        Match call, string[] expected, bool atSecond, X509Certificate2? certificate, Version? version, bool isGrpc)
    {
        var (named, host, path) = (call.Groups["name"].Value, call.Groups["host"].Value, call.Groups["path"].Value);
        using var client = ClientOf(atSecond || named.Length > 0, named, certificate, version);
        using var request = new HttpRequestMessage(new(call.Groups["method"].Value), $"http://{(named.Length > 0 ? named : _host)}{path}");
        if (host.Length > 0) request.Headers.Host = host;
        if (version is not null) (request.Version, request.VersionPolicy) = (version, HttpVersionPolicy.RequestVersionExact);
        if (isGrpc) request.Content = new ByteArrayContent([]) { Headers = { ContentType = new("application/grpc") } };
        foreach (var header in call.Groups["headers"].Value.Split("; ", StringSplitOptions.RemoveEmptyEntries))
            Assert.True(request.Headers.TryAddWithoutValidation(header.Split(": ", 2)[0], header.Split(": ", 2)[1]));
        try
        {
            using var response = await client.SendAsync(request, Stop);
            return Outcome(response, (await response.Content.ReadAsStringAsync(Stop)).Split('\n'), expected);
        }
        catch (HttpRequestException e) when (e.InnerException is IOException or AuthenticationException or null)
        {
            return "closed";
        }
    }

    private static string Outcome(HttpResponseMessage response, string[] body, string[] expected)
    {
        var answered = response.IsSuccessStatusCode && Names.Contains(body[0]);
        return string.Join(' ', expected.Select((token, i) => i == 0
            ? answered ? body[0] : $"{(int)response.StatusCode}"
            : token[0] switch
            {
                '/' => body.ElementAtOrDefault(1) ?? "",
                '<' when token[1] == '!' => Answered(response, token[2..]) is { } given ? $"<{token[2..]}={given}" : token,
                '<' => $"<{token[1..].Split('=')[0]}={Answered(response, token[1..].Split('=')[0])}",
                '!' => body.FirstOrDefault(line => line.StartsWith($"{token[1..]}=", StringComparison.Ordinal)) ?? token,
                _ => body.FirstOrDefault(line => line.StartsWith($"{token.Split('=')[0]}=", StringComparison.Ordinal)) ?? $"!{token.Split('=')[0]}",
            }));
    }

    private static string? Answered(HttpResponseMessage response, string name) =>
        response.Headers.TryGetValues(name, out var values) || response.TrailingHeaders.TryGetValues(name, out values)
            ? string.Join(',', values).Replace(", ", ",", StringComparison.Ordinal)
            : null;

    /// <summary>A client whose connections lead to the proxy. Their TLS names what it is told to, whatever host a request names.</summary>
    private HttpClient ClientOf(bool atSecond, string named, X509Certificate2? certificate, Version? version) => new(new SocketsHttpHandler
    {
        AllowAutoRedirect = false, UseProxy = false, UseCookies = false,
        ConnectCallback = async (_, stop) =>
        {
            var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            await socket.ConnectAsync(IPAddress.Loopback, atSecond ? _proxy.TcpPort : _proxy.Port, stop);
            var stream = new NetworkStream(socket, ownsSocket: true);
            if (named.Length == 0) return stream;
            var tls = new SslStream(stream, false, (_, _, _, _) => true);
            await tls.AuthenticateAsClientAsync(new SslClientAuthenticationOptions
            {
                TargetHost = named, ApplicationProtocols = [version?.Major == 2 ? SslApplicationProtocol.Http2 : SslApplicationProtocol.Http11],
                LocalCertificateSelectionCallback = certificate is null ? null : (_, _, _, _, _) => certificate,
            }, stop);
            return tls;
        },
    });

    [GeneratedRegex(@"\\\n\s*")]
    private static partial Regex Continued();

    [GeneratedRegex(@"^(?<method>\S+) ((?<name>[^\s>/]+)>)?(?<host>[^\s/]*)(?<path>/\S*)( \((?<headers>[^)]*)\))? => (?<outcome>.+)$",
        RegexOptions.ExplicitCapture)]
    private static partial Regex CallOf();

    /// <summary>A sidecar in namespace <c>shop</c>, and the Services <c>echo</c> (10.96.3.1), which is <c>v3</c>, <c>v1</c> (10.96.3.2), <c>v2</c> and
    /// <c>v3</c>.</summary>
    private sealed class Caller(string routes, List<OriginServer> servers, string http, string other) : ConfiguredProxy(
        MeshOf(routes, servers), rig => rig.Sidecar("c1"), Build(ProxySettings.Default(ProxyIdentity.Unknown, "sidecar"), new NoLogs()), http, other)
    {
        private static MeshRig MeshOf(string routes, List<OriginServer> servers)
        {
            var rig = new MeshRig("c1");
            foreach (var (name, number, port) in new[] { ("echo", 1, servers[2].Port) }.Concat(Names.Select((name, i) => (name, i + 2, servers[i].Port))))
            {
                rig.Writer.Put("c1", new Service
                {
                    Metadata = new() { Name = name, Namespace = MeshRig.Namespace },
                    Spec = new()
                    {
                        Type = "ClusterIP", ClusterIP = $"10.96.3.{number}", ClusterIPs = [$"10.96.3.{number}"], Selector = { ["app"] = name },
                        Ports =
                        {
                            new() { Name = "http", Port = 80, TargetPort = JsonValue.Create(port) },
                            new() { Name = "http-second", Port = 8080, TargetPort = JsonValue.Create(port) },
                        },
                    },
                });
                rig.Writer.Put("c1", new EndpointSlice
                {
                    Metadata = new() { Name = $"{name}-1", Namespace = MeshRig.Namespace, Labels = { ["kubernetes.io/service-name"] = name } },
                    Endpoints = [new() { Addresses = ["127.0.0.1"], Conditions = new() { Ready = true } }],
                    Ports = { new() { Name = "http", Port = port }, new() { Name = "http-second", Port = port } },
                });
            }
            if (routes.Length > 0) rig.Config(routes);
            return rig;
        }
    }

    private sealed class NoLogs : ILogFiles
    {
        public Stream Open(string path) => Stream.Null;
    }
}

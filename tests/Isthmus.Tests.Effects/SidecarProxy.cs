using System.Net;
using Isthmus.Proxy;
using Isthmus.Proxy.Telemetry;
using Isthmus.Rigs.Mesh;
using Xunit;

namespace Isthmus.Tests.Effects;

/// <summary>A sidecar from Istio's objects to the connection: the control plane generates what it sends, a real proxy applies it on the
/// loopback interface. The host <c>web.example</c> has port 80 for HTTP and port 9000 for TCP.</summary>
internal sealed class SidecarProxy : ConfiguredProxy
{
    /// <param name="config">Istio's objects, besides the ServiceEntry of <c>web.example</c>.</param>
    /// <param name="endpoints">Ports on the loopback interface with the labels of the workloads behind them, as YAML.</param>
    /// <param name="settings">MeshConfig.</param>
    /// <param name="identity">What the proxy knows of itself.</param>
    internal SidecarProxy(string config, (int Port, string Labels)[] endpoints, TimeProvider? time = null, string settings = "", ProxyIdentity? identity = null)
        : base(MeshOf(config, endpoints, settings), rig => rig.Sidecar("c1"),
            Build(ProxySettings.Default(identity ?? ProxyIdentity.Unknown, "sidecar"), new NoLogs(), time), "0.0.0.0_80", "0.0.0.0_9000")
    {
    }

    /// <summary>The paths of problems with stored objects.</summary>
    internal IEnumerable<string> Reported => Rig.Mesh.Sources.Problems.Items.Values.SelectMany(item => item.Problems).Select(problem => problem.Path);

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    /// <summary>The ServiceEntry of <c>web.example</c>.</summary>
    internal static string Entry((int Port, string Labels)[] endpoints) => $$"""
        apiVersion: networking.istio.io/v1
        kind: ServiceEntry
        metadata: {name: web, namespace: shop}
        spec:
          hosts: [web.example]
          resolution: STATIC
          ports: [{number: 80, name: http, protocol: HTTP}, {number: 9000, name: tcp, protocol: TCP}]
          endpoints: [{{string.Join(", ", endpoints.Select(to => $$"""{address: 127.0.0.1, ports: {http: {{to.Port}}, tcp: {{to.Port}} }, labels: { {{to.Labels}} } }"""))}}]
        """;

    /// <summary>A request to <c>web.example</c> on a connection of its own.</summary>
    /// <param name="header">A header of the request, as <c>name: value</c>.</param>
    internal async Task<HttpResponseMessage> SendAsync(string path = "/", string header = "", HttpMethod? method = null, Version? version = null)
    {
        using var client = new HttpClient(new SocketsHttpHandler { UseCookies = false, AllowAutoRedirect = false, UseProxy = false });
        using var request = new HttpRequestMessage(method ?? HttpMethod.Get, $"http://127.0.0.1:{Port}{path}");
        request.Headers.Host = "web.example";
        if (version is not null) (request.Version, request.VersionPolicy) = (version, HttpVersionPolicy.RequestVersionExact);
        if (header.StartsWith("content-type: ", StringComparison.Ordinal))
        {
            request.Content = new ByteArrayContent([]) { Headers = { ContentType = new(header["content-type: ".Length..]) } };
            header = "";
        }
        foreach (var line in header.Split('\n', StringSplitOptions.RemoveEmptyEntries))
            Assert.True(request.Headers.TryAddWithoutValidation(line.Split(": ", 2)[0], line.Split(": ", 2)[1]));
        return await client.SendAsync(request, Stop);
    }

    /// <summary>The status and the body of the answer.</summary>
    internal async Task<(int Status, string Body)> CallAsync(string path = "/", string header = "")
    {
        using var response = await SendAsync(path, header);
        return ((int)response.StatusCode, await response.Content.ReadAsStringAsync(Stop));
    }

    private static MeshRig MeshOf(string config, (int Port, string Labels)[] endpoints, string settings)
    {
        var rig = new MeshRig("c1");
        if (settings.Length > 0) rig.Settings(settings);
        rig.Config(Entry(endpoints));
        if (config.Length > 0) rig.Config(config);
        return rig;
    }

    private sealed class NoLogs : ILogFiles
    {
        public Stream Open(string path) => Stream.Null;
    }
}

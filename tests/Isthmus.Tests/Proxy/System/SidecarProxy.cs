using System.Net;
using System.Text;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Isthmus.ControlPlane.Push;
using Isthmus.Proxy;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Telemetry;
using Isthmus.Testing;
using Isthmus.Tests.ControlPlane;
using Isthmus.Wire;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Isthmus.Tests.Proxy.System;

/// <summary>A sidecar from Istio's objects to the connection: the control plane generates what it sends, a real proxy applies it on the
/// loopback interface. The host <c>web.example</c> has port 80 for HTTP and port 9000 for TCP.</summary>
internal sealed class SidecarProxy : IDisposable
{
    private readonly ReservedPort _http = new(), _tcp = new();
    private readonly TimeProvider _time;

    /// <param name="config">Istio's objects, besides the ServiceEntry of <c>web.example</c>.</param>
    /// <param name="endpoints">Ports on the loopback interface with the labels of the workloads behind them, as YAML.</param>
    internal SidecarProxy(string config, (int Port, string Labels)[] endpoints, TimeProvider? time = null)
    {
        _time = time ?? TimeProvider.System;
        Rig.Config(Entry(endpoints));
        if (config.Length > 0) Rig.Config(config);
        Feed = Rig.Sidecar("c1");
        var ports = new ProxyPorts(_time, new ThreadRandom(), new ProcessSockets(), new SystemResolver());
        Plane = DataPlane.Build(ProxySettings.Default(ProxyIdentity.Unknown, "sidecar"), ports, new NoSecrets(), new NoLogs(), NullLoggerFactory.Instance);
        Push();
    }

    internal MeshRig Rig { get; } = new("c1");

    internal ProxyFeed Feed { get; }

    internal DataPlane Plane { get; }

    internal int Port => _http.Number;

    internal int TcpPort => _tcp.Number;

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

    /// <summary>Applies objects and what the control plane makes of them.</summary>
    internal void Apply(string config)
    {
        Rig.Config(config);
        Push();
    }

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
        foreach (var line in header.Split('\n', StringSplitOptions.RemoveEmptyEntries)) Assert.True(request.Headers.TryAddWithoutValidation(line.Split(": ", 2)[0], line.Split(": ", 2)[1]));
        return await client.SendAsync(request, Stop);
    }

    /// <summary>The status and the body of the answer.</summary>
    internal async Task<(int Status, string Body)> CallAsync(string path = "/", string header = "")
    {
        using var response = await SendAsync(path, header);
        return ((int)response.StatusCode, await response.Content.ReadAsStringAsync(Stop));
    }

    public void Dispose()
    {
        Plane.Dispose();
        _http.Dispose();
        _tcp.Dispose();
        Assert.Equal(0, Plane.FailedTasks);
    }

    private void Push()
    {
        Rig.Push();
        foreach (var type in (string[])[TypeUrls.Cluster, TypeUrls.Endpoints, TypeUrls.Route])
            Apply(type, Feed.Snapshot!.Types[type].All.Select(item => new NamedResource(item.Name, item.Version, item.Body)));
        Apply(TypeUrls.Listener, [Listener("0.0.0.0_80", _http), Listener("0.0.0.0_9000", _tcp)]);
        Assert.Empty(Plane.ListenerFailures);
    }

    private NamedResource Listener(string name, ReservedPort port)
    {
        var listener = MeshRig.Listener(Feed, name)!;
        listener.Address = new() { SocketAddress = new() { Address = "127.0.0.1", PortValue = (uint)port.Number } };
        listener.BindToPort = null;
        return new(name, "1", new Any { TypeUrl = TypeUrls.Listener, Value = listener.ToByteString() });
    }

    private void Apply(string typeUrl, IEnumerable<NamedResource> resources) => Assert.Empty(Plane.State.Apply(new(typeUrl, [.. resources], [], "1")));

    private sealed class NoLogs : ILogFiles
    {
        public Stream Open(string path) => Stream.Null;
    }
}

using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;
using Isthmus.Proxy;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Tls;
using Isthmus.Rigs.Mesh;
using Isthmus.Wire.Xds;
using Xunit;

namespace Isthmus.Tests.Effects.GatewayApi;

/// <summary>A gateway in namespace <c>shop</c> that serves the Gateway <c>front</c> of the Gateway API: port 80 for HTTP, and port 9000 for TCP.</summary>
internal sealed class ApiGatewayProxy : ConfiguredProxy
{
    private static readonly Dictionary<string, string> ByGateway = new() { ["gateway.networking.k8s.io/gateway-name"] = "front" };

    /// <param name="config">Routes and whatever they need.</param>
    /// <param name="endpoints">Services <c>NAME.NAMESPACE</c> and the ports behind them, each at its own Service port.</param>
    /// <param name="gateway">More fields of the Gateway.</param>
    /// <param name="prepare">What is in the mesh before.</param>
    /// <param name="second">The listeners at port 9000.</param>
    /// <param name="first">Those at port 80.</param>
    internal ApiGatewayProxy(string config, (string Name, string Protocol, int Port)[] endpoints, string gateway = "", Action<MeshRig>? prepare = null,
        string second = Tcp, string first = Http)
        : this(new SentSecrets(), config, endpoints, gateway, prepare, $"{first}\n{second}")
    {
    }

    private ApiGatewayProxy(
        SentSecrets secrets, string config, (string Name, string Protocol, int Port)[] endpoints, string gateway, Action<MeshRig>? prepare, string listeners)
        : base(MeshOf(config, endpoints, gateway, prepare, listeners), rig => rig.Router("c1", "front", labels: ByGateway),
            Build(ProxySettings.Default(ProxyIdentity.Unknown, ProxySettings.Gateway), new NoLogs(), secrets), "0.0.0.0_80", "0.0.0.0_9000")
    {
        foreach (var item in Feed.Snapshot!.Types[TypeUrls.Secret].All) secrets.Discovered.Put(item.Version,
            Wire.Envoy.Secret.Parser.ParseFrom(item.Body.Value));
        Plane.State.Look();
    }

    private const string Http = "{name: http, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All} } }";

    private const string Tcp = "{name: tcp, port: 9000, protocol: TCP, allowedRoutes: {namespaces: {from: All} } }";

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    /// <summary>The status and the body of the answer to a request for a host.</summary>
    internal async Task<(int Status, string Body)> CallAsync(string host, string path = "/")
    {
        using var response = await SendAsync(host, path);
        return ((int)response.StatusCode, await response.Content.ReadAsStringAsync(Stop));
    }

    /// <summary>The answer to a request for a host.</summary>
    internal async Task<HttpResponseMessage> SendAsync(string host, string path = "/")
    {
        using var client = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false, UseProxy = false });
        using var request = new HttpRequestMessage(HttpMethod.Get, $"http://127.0.0.1:{Port}{path}");
        request.Headers.Host = host;
        return await client.SendAsync(request, Stop);
    }

    /// <summary>A Service of namespace <c>shop</c> with its port 80 at a port of the machine.</summary>
    internal static void Service(MeshRig rig, string name, string protocol, int port, int number)
    {
        rig.Service("c1", name, $"10.96.1.{number}", protocol, 80, port);
        rig.Pod("c1", name, $"{name}-a", "127.0.0.1", mtls: false);
        rig.Slice("c1", name, port, protocol, ($"{name}-a", "127.0.0.1"));
    }

    private static MeshRig MeshOf(
        string config, (string Name, string Protocol, int Port)[] endpoints, string gateway, Action<MeshRig>? prepare, string listeners)
    {
        var rig = new MeshRig("c1");
        prepare?.Invoke(rig);
        for (var i = 0; i < endpoints.Length; i++) Service(rig, endpoints[i].Name, endpoints[i].Protocol, endpoints[i].Port, i + 1);
        rig.Writer.Put("c1", new Service
        {
            Metadata = new() { Name = "front", Namespace = MeshRig.Namespace },
            Spec = new()
            {
                Type = "ClusterIP", ClusterIP = "10.96.0.20", ClusterIPs = ["10.96.0.20"], Selector = { ["app"] = "front" },
                Ports =
                {
                    new() { Name = "http", Port = 80, TargetPort = JsonValue.Create(80) },
                    new() { Name = "tcp", Port = 9000, TargetPort = JsonValue.Create(9000) }
                },
            },
        });
        rig.Config($$"""
            apiVersion: gateway.networking.k8s.io/v1
            kind: Gateway
            metadata: {name: front, namespace: shop, annotations: {gateway.istio.io/service-account: front} }
            spec:
              gatewayClassName: istio
              listeners:
              {{string.Join("\n  ", listeners.Split('\n').Select(listener => $"- {listener}"))}}
              {{(gateway.Length > 0 ? gateway : "# nothing more")}}
            """);
        rig.Config("""
            apiVersion: gateway.networking.k8s.io/v1
            kind: TCPRoute
            metadata: {name: fallback, namespace: shop, creationTimestamp: '2026-12-31T00:00:00Z'}
            spec: {parentRefs: [{name: front, sectionName: tcp}], rules: [{backendRefs: [{name: nobody, port: 1}]}]}
            """);
        if (config.Length > 0) rig.Config(config);
        return rig;
    }

    private sealed class NoLogs : ILogFiles
    {
        public Stream Open(string path) => Stream.Null;
    }

    /// <summary>The certificates that the control plane sends.</summary>
    private sealed class SentSecrets : ISecretSource
    {
        public event Action<string>? Changed
        {
            add => Discovered.Changed += value;
            remove => Discovered.Changed -= value;
        }

        internal DiscoveredSecrets Discovered { get; } = new(TimeProvider.System);

        public CertificateSecret? FindCertificate(string name) => Discovered.FindCertificate(name);

        public RootSecret? FindRoots(string name) => Discovered.FindRoots(name);

        public bool IsAbsent(string name) => FindCertificate(name) is null && FindRoots(name) is null;

        public IReadOnlyList<SecretView> View() => [];
    }
}

using System.Net;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Isthmus.ControlPlane.Ca;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.Clusters;
using Isthmus.Wire.Envoy.Endpoints;
using Isthmus.Wire.Envoy.Listeners;
using Isthmus.Wire.Grpc;
using Isthmus.Wire.Istio;
using Isthmus.Wire.Tls;
using Isthmus.Wire.Xds;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;

namespace Isthmus.Bench.Proxies;

/// <summary>A control plane that serves given resources, and nothing else.</summary>
internal sealed class DiscoveryServer : IXdsFeeds, IAsyncDisposable
{
    // By this port, a proxy knows that the control plane takes no TLS.
    private const int Port = 15010;

    private readonly WebApplication _app;
    private readonly Issuer _authority = Issuer.SelfSigned(new("Isthmus bench"), Keys.Create(KeyKind.EcP256), DateTimeOffset.UtcNow.AddHours(-1),
        DateTimeOffset.UtcNow.AddDays(1));
    private XdsSnapshot _now = XdsSnapshot.Empty;
    private event Action? Published;
    private int _version, _acceptedEndpoints;

    private DiscoveryServer(int port)
    {
        var builder = WebApplication.CreateEmptyBuilder(new() { ApplicationName = "bench" });
        builder.Services.AddRoutingCore();
        builder.WebHost.UseKestrelCore()
            .ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, port, listen => listen.Protocols = HttpProtocols.Http2));
        _app = builder.Build();
        _app.UseRouting();
        new XdsServer(this, new(), new Random(1)).Map(_app);
        _app.MapUnary(CertificateEndpoint.Method, SignAsync);
        _app.UseEndpoints(_ => { });
    }

    internal int AcceptedEndpoints => Volatile.Read(ref _acceptedEndpoints);

    internal static string Address { get; } = $"127.0.0.1:{Port}";

    /// <param name="port">Agents of this program know the default as one without TLS.</param>
    internal static async Task<DiscoveryServer> StartAsync(int port = Port)
    {
        var server = new DiscoveryServer(port);
        await server._app.StartAsync();
        return server;
    }

    /// <summary>The encoded form of endpoints, to be published often.</summary>
    internal static XdsResourceMap Encode(IEnumerable<(string Endpoints, string Version)> all) =>
        new(all.Select(one => Resource(WireTypes.Lenient.Parse<ClusterLoadAssignment>(one.Endpoints), assignment => assignment.ClusterName, TypeUrls.Endpoints,
            one.Version)));

    /// <summary>Replaces everything.</summary>
    internal void Publish(OwnResources resources, NameTable names) => Publish(new Dictionary<string, IXdsResources>
    {
        [TypeUrls.Cluster] = new XdsResourceMap(resources.Clusters.Select(text => Resource(WireTypes.Lenient.Parse<Cluster>(text), cluster => cluster.Name,
            TypeUrls.Cluster, "1"))),
        [TypeUrls.Endpoints] = Encode(resources.Assignments.Select(text => (text, "1"))),
        [TypeUrls.Listener] = new XdsResourceMap(resources.Listeners.Select(text => Resource(WireTypes.Lenient.Parse<Listener>(text), listener => listener.Name,
            TypeUrls.Listener, "1"))),
        [TypeUrls.NameTable] = new XdsResourceMap([Resource(names, _ => "", TypeUrls.NameTable, "1")]),
    });

    /// <summary>Replaces all endpoints.</summary>
    internal void PublishEndpoints(XdsResourceMap endpoints) =>
        Publish(new Dictionary<string, IXdsResources>(_now.Types) { [TypeUrls.Endpoints] = endpoints });

    public ValueTask<IXdsFeed> OpenAsync(XdsClientHello client, CancellationToken stop) => ValueTask.FromResult<IXdsFeed>(new Feed(this));

    public async ValueTask DisposeAsync()
    {
        await _app.DisposeAsync();
        _authority.Dispose();
    }

    // Without a certificate, the clusters of mesh services would wait for it, and carry nothing.
    private Task<IstioCertificateResponse> SignAsync(GrpcCall call, IstioCertificateRequest request)
    {
        using var leaf = _authority.IssueLeaf(new(SigningRequest.Check(request.Csr), new([Credentials.Identity], [], []), DateTimeOffset.UtcNow.AddHours(-1),
            DateTimeOffset.UtcNow.AddHours(20)));
        return Task.FromResult(new IstioCertificateResponse { CertChain = { CertificateText.Write(leaf), CertificateText.Write(_authority.Certificate) } });
    }

    /// <summary>Replaces everything by what a control plane offers.</summary>
    internal void Publish(IReadOnlyDictionary<string, IXdsResources> types)
    {
        Volatile.Write(ref _now, new($"{++_version}", types));
        Published?.Invoke();
    }

    private static XdsResource Resource<T>(T message, Func<T, string> nameOf, string typeUrl, string version) where T : IMessage =>
        new(nameOf(message), version, new Any { TypeUrl = typeUrl, Value = message.ToByteString() });

    private sealed class Feed(DiscoveryServer server) : IXdsFeed
    {
        private Action? _offered;

        public void Follow(Action offered)
        {
            server.Published += _offered = offered;
            offered();
        }

        public XdsSnapshot? Newer(XdsSnapshot? last) => Volatile.Read(ref server._now) is var now && ReferenceEquals(now, last) ? null : now;

        public void Observe(XdsEvent happened)
        {
            if (happened is { Kind: XdsEventKind.Acknowledged, TypeUrl: TypeUrls.Endpoints }) Interlocked.Increment(ref server._acceptedEndpoints);
            if (happened.Kind == XdsEventKind.Rejected) Console.WriteLine($"rejected: {happened.TypeUrl} {happened.Detail}");
        }

        public ValueTask DisposeAsync()
        {
            server.Published -= _offered;
            return ValueTask.CompletedTask;
        }
    }
}

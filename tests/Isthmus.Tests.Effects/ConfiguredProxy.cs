using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Isthmus.ControlPlane.Push;
using Isthmus.Proxy;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Tls;
using Isthmus.Proxy.Transports;
using Isthmus.Rigs.Mesh;
using Isthmus.Rigs.Proxy;
using Isthmus.Testing;
using Isthmus.Wire;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Isthmus.Tests.Effects;

/// <summary>A real proxy on the loopback interface that applies what the control plane makes of Istio's objects. It has one listener for
/// HTTP and one for TCP.</summary>
internal abstract class ConfiguredProxy : IDisposable
{
    private readonly ReservedPort _http = new(), _tcp = new();
    private readonly string _httpListener, _tcpListener;

    /// <param name="rig">The mesh.</param>
    /// <param name="feed">What the control plane sends to the proxy.</param>
    /// <param name="plane">The proxy.</param>
    /// <param name="http">The name of its listener for HTTP.</param>
    /// <param name="tcp">The name of its listener for TCP.</param>
    private protected ConfiguredProxy(MeshRig rig, Func<MeshRig, ProxyFeed> feed, DataPlane plane, string http, string tcp)
    {
        (Rig, Feed, Plane) = (rig, feed(rig), plane);
        (_httpListener, _tcpListener) = (http, tcp);
        Push();
    }

    internal MeshRig Rig { get; }

    internal ProxyFeed Feed { get; }

    internal DataPlane Plane { get; }

    internal int Port => _http.Number;

    internal int TcpPort => _tcp.Number;

    /// <summary>Applies objects and what the control plane makes of them.</summary>
    internal void Apply(string config)
    {
        Rig.Config(config);
        Push();
    }

    /// <summary>Completes when no upstream connection is in use: a client may have its answer a moment before the proxy keeps the connection for
    /// others.</summary>
    internal Task IdleAsync() => IdleAsync(Plane);

    /// <inheritdoc cref="IdleAsync()"/>
    internal static Task IdleAsync(DataPlane plane) =>
        Eventually.TrueAsync(() => plane.State.Current.Clusters.Values.All(cluster => cluster.Hosts.All.All(host => host.Active == 0)));

    public void Dispose()
    {
        Plane.Dispose();
        _http.Dispose();
        _tcp.Dispose();
        Assert.Equal(0, Plane.FailedTasks);
    }

    private protected static DataPlane Build(ProxySettings settings, ILogFiles logs, TimeProvider? time = null) =>
        Build(settings, logs, new ProxyPorts(time ?? TimeProvider.System, new ThreadRandom(), new ProcessSockets(), new SystemResolver()));

    private protected static DataPlane Build(ProxySettings settings, ILogFiles logs, ProxyPorts ports, ISecretSource? secrets = null) =>
        DataPlane.Build(settings with { BatchTime = LoopbackProxy.BatchTime }, ports, secrets ?? new NoSecrets(), logs, NullLoggerFactory.Instance);

    private protected static DataPlane Build(ProxySettings settings, ILogFiles logs, ISecretSource secrets) =>
        Build(settings, logs, new(TimeProvider.System, new ThreadRandom(), new ProcessSockets(), new SystemResolver()), secrets);

    private void Push()
    {
        Rig.Push();
        foreach (var type in (string[])[TypeUrls.Cluster, TypeUrls.Endpoints, TypeUrls.Route])
            Apply(type, Feed.Snapshot!.Types[type].All.Select(item => new NamedResource(item.Name, item.Version, item.Body)));
        Apply(TypeUrls.Listener, [Listener(_httpListener, _http), Listener(_tcpListener, _tcp)]);
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
}

using Isthmus.Proxy.Clusters;
using Isthmus.Wire.Xds;

namespace Isthmus.Proxy.Snapshot;

/// <summary>The configuration of the data plane at one moment. Readers take it with one volatile load; a request keeps the
/// one it started with.</summary>
internal sealed record ProxySnapshot(
    long Version, IReadOnlyDictionary<string, ListenerSnapshot> Listeners, IReadOnlyDictionary<string, ClusterState> Clusters,
    IReadOnlyDictionary<string, RouteTable> Routes)
{
    public static readonly ProxySnapshot Empty = new(
        0, new Dictionary<string, ListenerSnapshot>(), new Dictionary<string, ClusterState>(), new Dictionary<string, RouteTable>());
}

/// <summary>One resource as received.</summary>
internal sealed record NamedResource(string Name, string Version, Google.Protobuf.WellKnownTypes.Any Value)
{
    /// <summary>A resource that came in parts is not joined.</summary>
    public NamedResource(string name, string version, XdsParts parts) : this(name, version, Nothing) => Parts = parts;

    private static readonly Google.Protobuf.WellKnownTypes.Any Nothing = new();

    /// <summary>Null if it is as in <see cref="Value"/>.</summary>
    public XdsParts? Parts { get; }
}

/// <summary>What changed in one type of resource.</summary>
/// <param name="Version">Version of the whole message, for dumps.</param>
internal sealed record ResourceUpdate(string TypeUrl, IReadOnlyList<NamedResource> Changed, IReadOnlyList<string> Removed, string Version);

/// <summary>A rejected resource; its last good version stays.</summary>
internal sealed record Rejection(string TypeUrl, string Name, string Message, string Version, DateTimeOffset At);

/// <summary>The type URLs that the data plane understands.</summary>
internal static class TypeUrls
{
    public const string Cluster = "type.googleapis.com/envoy.config.cluster.v3.Cluster";
    public const string Endpoints = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment";
    public const string Listener = "type.googleapis.com/envoy.config.listener.v3.Listener";
    public const string Route = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration";
    public const string Secret = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";
}

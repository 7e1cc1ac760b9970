namespace Isthmus.Wire.Xds;

/// <summary>The type URLs of discovery, and the order in which simultaneous changes are sent and applied.</summary>
public static class TypeUrls
{
    public const string Prefix = "type.googleapis.com/";
    public const string Cluster = Prefix + "envoy.config.cluster.v3.Cluster";
    public const string Endpoints = Prefix + "envoy.config.endpoint.v3.ClusterLoadAssignment";
    public const string Listener = Prefix + "envoy.config.listener.v3.Listener";
    public const string Route = Prefix + "envoy.config.route.v3.RouteConfiguration";

    /// <summary>The virtual hosts of route tables that say so (VHDS), named <c>TABLE/HOST</c>.</summary>
    public const string VirtualHost = Prefix + "envoy.config.route.v3.VirtualHost";

    public const string Secret = Prefix + "envoy.extensions.transport_sockets.tls.v3.Secret";
    public const string ExtensionConfig = Prefix + "envoy.config.core.v3.TypedExtensionConfig";
    public const string NameTable = Prefix + "istio.networking.nds.v1.NameTable";
    public const string ProxyConfig = Prefix + "istio.mesh.v1alpha1.ProxyConfig";

    /// <summary>What EnvoyFilters merge into the bootstrap of an Envoy: for agents of Isthmus, before they start it.</summary>
    public const string BootstrapPatch = Prefix + "isthmus.discovery.v1.BootstrapPatch";

    /// <summary>A proxy's report of the telemetry that it loses; only to control planes that say that they take it.</summary>
    public const string TelemetryReport = Prefix + "isthmus.reports.v1.TelemetryReport";

    /// <summary>Istio's debug resources have no googleapis prefix; the resource name is the name of the debug page.</summary>
    public const string Debug = "istio.io/debug";

    /// <summary>The connected proxies, as nodes; istiod's own name for them, and the one that istioctl uses.</summary>
    public const string Connect = "istio.io/connect", Connections = "istio.io/connections";

    /// <summary>Whether each connected proxy has what was sent to it.</summary>
    public const string DebugSync = "istio.io/debug/syncz";

    /// <summary>What was sent to the proxy that the resource name says, as sections of a configuration dump.</summary>
    public const string DebugConfigDump = "istio.io/debug/config_dump";

    private static readonly string[] Order = [BootstrapPatch, Cluster, Endpoints, Listener, Route, VirtualHost, NameTable, ExtensionConfig, Secret];

    /// <summary>Dependencies come first: clusters, endpoints, listeners, routes and their virtual hosts, then the rest (Istio's push order).</summary>
    public static int Rank(string typeUrl)
    {
        var index = Array.IndexOf(Order, typeUrl);
        return index < 0 ? Order.Length : index;
    }

    /// <summary>Types that are questions about the server: each request is answered once.</summary>
    public static bool IsDebug(string typeUrl) => typeUrl.StartsWith("istio.io/", StringComparison.Ordinal);

    /// <summary>Types whose empty subscription means "everything I should have".</summary>
    public static bool IsWildcard(string typeUrl) => typeUrl is Cluster or Listener or NameTable or ProxyConfig;
}

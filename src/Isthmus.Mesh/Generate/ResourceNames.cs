using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using Isthmus.Core.Net;
using Isthmus.Mesh.Model;

namespace Isthmus.Mesh.Generate;

/// <summary>Names of clusters, listeners and routes as Istio's tools and other proxies expect them.</summary>
public static class ResourceNames
{
    public const string BlackHole = "BlackHoleCluster";

    /// <summary>No proxy has this cluster: the share of a reference that leads nowhere.</summary>
    public const string Unresolved = "UnknownService";

    /// <summary>The virtual host for requests to hosts that the mesh does not have, where it lets nothing else out.</summary>
    public const string BlockAll = "block_all";

    /// <summary>Of endpoints: those of the proxy's own host.</summary>
    public const string OwnEndpoints = "local_cluster";
    public const string Passthrough = "PassthroughCluster";

    /// <summary>Hosts that requests name, outside of the mesh.</summary>
    public const string DynamicDns = "AllowAnyDynamicDNSCluster";
    public const string InboundPassthrough = "InboundPassthroughClusterIpv4";
    public const string VirtualOutbound = "virtualOutbound";
    public const string VirtualInbound = "virtualInbound";

    /// <summary>The listener within a proxy that opens tunnels, and the cluster of their ends.</summary>
    public const string ConnectOriginate = "connect_originate";

    /// <summary>The listener that ends tunnels.</summary>
    public const string ConnectTerminate = "connect_terminate";

    /// <summary>The listener within a proxy for what comes out of tunnels, and the cluster that leads to it.</summary>
    public const string MainInternal = "main_internal";
    public static readonly Address AnyAddress = Address.V4(0);

    public static string Outbound(int port, string subset, string host) => string.Create(CultureInfo.InvariantCulture, $"outbound|{port}|{subset}|{host}");

    /// <summary>The cluster of a port for datagrams: a port for connections may have the same number.</summary>
    public static string Datagrams(int port, string host) => string.Create(CultureInfo.InvariantCulture, $"udp|{port}||{host}");

    /// <summary>The SNI of mesh TLS, which is also the name of the gateway's cluster; an empty subset leaves <c>_._</c>.</summary>
    public static string Sni(int port, string subset, string host) => string.Create(CultureInfo.InvariantCulture, $"outbound_.{port}_.{subset}_.{host}");

    public static string Inbound(int port) => string.Create(CultureInfo.InvariantCulture, $"inbound|{port}||");

    public static string Listener(Address address, int port) => string.Create(CultureInfo.InvariantCulture, $"{address}_{port}");

    /// <summary>The route table of a port that is sniffed, and the virtual host of a service's port.</summary>
    public static string HostPort(string host, int port) => string.Create(CultureInfo.InvariantCulture, $"{host}:{port}");

    public static string Port(int port) => port.ToString(CultureInfo.InvariantCulture);

    /// <summary>Parses <c>outbound|PORT|SUBSET|HOST</c> or <c>outbound_.PORT_.SUBSET_.HOST</c>. <see cref="Subset.Any"/> is not a subset.</summary>
    public static bool TryParseOutbound(string name, out int port, [NotNullWhen(true)] out string? subset, [NotNullWhen(true)] out string? host, out bool sni)
    {
        (port, subset, host) = (0, null, null);
        sni = name.StartsWith("outbound_.", StringComparison.Ordinal);
        var parts = sni ? name.Split("_.", 4) : name.Split('|', 4);
        if (parts.Length != 4 || parts[0] != "outbound") return false;
        if (!int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out port)) return false;
        (subset, host) = (parts[2] == Subset.Any.Name ? "" : parts[2], parts[3]);
        return true;
    }
}

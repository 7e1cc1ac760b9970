using Isthmus.Core.Collections;
using Isthmus.Core.Net;

namespace Isthmus.Mesh.Model;

/// <summary>How a proxy finds the endpoints of a service.</summary>
public enum Resolution
{
    /// <summary>The control plane sends them.</summary>
    Endpoints,
    /// <summary>The proxy resolves the endpoints' host names, and balances over every address.</summary>
    Dns,
    /// <summary>The proxy resolves one host name and uses its current address.</summary>
    DnsRoundRobin,
    /// <summary>The proxy resolves the name that each request or TLS connection brings along, within a wildcard host.</summary>
    DynamicDns,
    /// <summary>The address that the application dialled (headless, or a ServiceEntry with resolution NONE).</summary>
    Original,
}

/// <summary>Which endpoints of a Service its callers prefer (<c>trafficDistribution</c>).</summary>
public enum TrafficDistribution
{
    Any,
    /// <summary>Those of the own network, then region, zone and subzone.</summary>
    SameZone,
    /// <summary>As <see cref="SameZone"/>, and then those of the own Node.</summary>
    SameNode,
}

/// <summary>How objects write <see cref="TrafficDistribution"/>.</summary>
public static class TrafficDistributions
{
    /// <summary>The value of an annotation, in whatever case; null when there is none. An unknown one is any endpoint.</summary>
    public static TrafficDistribution? OfAnnotation(string? text) => string.IsNullOrEmpty(text) ? null : Parse(text) ?? TrafficDistribution.Any;

    /// <summary>The values of the annotation, as people read them.</summary>
    public const string Known = "PreferClose, PreferSameZone, PreferSameNode or Any";

    /// <summary>Whether the value of an annotation, or none, means something.</summary>
    public static bool IsKnown(string text) => text.Length == 0 || Parse(text) is not null || text.Equals("Any", StringComparison.OrdinalIgnoreCase);

    /// <summary>The value of the field of a Service; null for one that is not known.</summary>
    public static TrafficDistribution? Parse(string text) => text.ToUpperInvariant() switch
    {
        "PREFERCLOSE" or "PREFERSAMEZONE" => TrafficDistribution.SameZone,
        "PREFERSAMENODE" => TrafficDistribution.SameNode,
        _ => null,
    };
}

/// <summary>A Service of type ExternalName: another name of a host.</summary>
/// <param name="Target">The host that it stands for, at the end of a chain of aliases.</param>
public sealed record HostAlias(string Hostname, string Target, string Namespace, ValueList<string> ExportTo)
{
    public bool VisibleTo(string ns) => Visibility.Allows(ExportTo, Namespace, ns);
}

/// <param name="Name">The port's name; empty when it has none.</param>
/// <param name="TargetPort">Port number or name at the workload; empty when it equals <paramref name="Number"/>.</param>
/// <param name="NodePort">0 when there is none.</param>
public sealed record ServicePort(string Name, int Number, Protocol Protocol, string TargetPort = "", int NodePort = 0)
{
    /// <summary>GRPCRoutes lead to it, and it names no protocol.</summary>
    public bool HasGrpcRoutes { get; init; }
}

/// <summary>One cluster's Service object, reduced to the fields that a mesh needs.</summary>
/// <param name="ClusterIps">Empty when headless, of type ExternalName or not yet allocated.</param>
/// <param name="ExternalAddresses">Load balancer addresses or host names, then spec.externalIPs.</param>
/// <param name="GatewayNetwork">The network that this Service is a gateway to; empty when it is not a gateway.</param>
/// <param name="GatewayPort">The gateway's port as seen from outside.</param>
/// <param name="GatewayNodes">Label selector of the Nodes whose addresses the gateway uses (NodePort gateways); null when not set.</param>
/// <param name="CreatedAt">Unix seconds: the oldest definition wins.</param>
/// <param name="GatewayWeight">The share of a gateway among those of its network; 0 takes it out.</param>
/// <param name="NodeLocal">Callers use endpoints of their own Node only (<c>internalTrafficPolicy: Local</c>).</param>
public sealed record ClusterService(
    ObjectRef Source,
    string Hostname,
    ValueList<ServicePort> Ports,
    ValueList<Address> ClusterIps,
    bool Headless,
    string ExternalName,
    ValueMap<string> Selector,
    ValueMap<string> Labels,
    ValueList<string> ExportTo,
    ValueList<EndpointAddress> ExternalAddresses,
    string GatewayNetwork,
    int GatewayPort,
    ValueMap<string>? GatewayNodes,
    bool PublishNotReady,
    long CreatedAt,
    uint GatewayWeight = 1,
    TrafficDistribution? Distribution = null,
    bool NodeLocal = false)
{
    /// <summary>The namespaces that may configure the host as if it were theirs.</summary>
    public ValueList<string> Grants { get; init; }

    /// <summary>Whether it is of type LoadBalancer: it may wait for its external addresses.</summary>
    public bool IsLoadBalancer { get; init; }

    /// <summary>What imports in other clusters repeat of it, if it is exported.</summary>
    public ServiceOffer? Offer { get; init; }

    public string Cluster => Source.Cluster;
    public string Namespace => Source.Namespace;
    public string Name => Source.Name;
}

/// <summary>
/// A host of the mesh: the Services of this name and namespace in every cluster, or a ServiceEntry's host.
/// Ports, labels and resolution come from the first definition, in the order config cluster, then cluster ID.
/// </summary>
/// <param name="Name">The Service's name; the host name for ServiceEntries.</param>
/// <param name="Vips">Cluster ID → the addresses at which that cluster's workloads reach the host: its ClusterIPs, or the
/// address allocated there.</param>
/// <param name="Addresses">Addresses valid in every cluster (ServiceEntry, CIDRs included).</param>
/// <param name="Allocated">Cluster ID → the addresses allocated for the host there, one of each family; absent where the host has its own.</param>
/// <param name="ServiceAccounts">SPIFFE IDs that ServiceEntries name beside those of the endpoints (subjectAltNames).</param>
/// <param name="Clusters">IDs of the clusters that define it, in order of precedence.</param>
/// <param name="ExportTo">Namespaces that see it: <c>*</c>, <c>.</c>, <c>~</c> or names; empty is everybody.</param>
/// <param name="ClusterLocal">Each cluster sees only its own endpoints.</param>
public sealed record MeshService(
    string Hostname,
    string Name,
    string Namespace,
    ValueList<ServicePort> Ports,
    Resolution Resolution,
    ValueMap<ValueList<Address>> Vips,
    ValueList<AddressOrRange> Addresses,
    ValueMap<ValueList<Address>> Allocated,
    ValueList<string> ServiceAccounts,
    ValueList<string> Clusters,
    ValueMap<string> Labels,
    ValueList<string> ExportTo,
    bool External,
    bool FromServiceEntry,
    bool ClusterLocal,
    ValueList<ObjectRef> Sources)
{
    /// <summary>Set when the host is one Pod of a headless Service.</summary>
    public HeadlessPod? Pod { get; init; }

    /// <summary>Cluster ID → those of <see cref="Addresses"/> that are another's there, and do not lead here.</summary>
    public ValueMap<ValueList<AddressOrRange>> Foreign { get; init; }

    /// <summary>The namespaces that may configure the host as if it were theirs; <c>*</c>: all.</summary>
    public ValueList<string> Grants { get; init; }

    /// <summary>Of a ServiceEntry's host: Unix seconds. What several hosts claim is the oldest one's.</summary>
    public long CreatedAt { get; init; }

    /// <summary>Callers connect to several addresses of a name, of both families, and use the first one that answers.</summary>
    public bool RacesAddresses { get; init; }

    /// <summary>Which endpoints callers prefer, where no DestinationRule says.</summary>
    public TrafficDistribution Distribution { get; init; }

    /// <summary>Callers use endpoints of their own Node only.</summary>
    public bool NodeLocal { get; init; }

    /// <summary>Services of type ExternalName that lead here: their names are names of this host.</summary>
    public ValueList<HostAlias> Aliases { get; init; }

    /// <summary>For a host that stands for an exported Service: the name of that Service's host.</summary>
    public string ExportOf { get; init; } = "";

    /// <summary>
    /// Some cluster defines the Service as headless, although the definition that applies here does not. The control plane of that cluster
    /// sends its callers to single Pods, so the gateways here must know them.
    /// </summary>
    public bool HeadlessElsewhere { get; init; }

    /// <summary>How callers use TLS, whatever DestinationRules say; at most one for a port.</summary>
    public ValueList<BackendTls> BackendTls { get; init; }

    /// <summary>How many requests callers may try again, whatever DestinationRules say; null: as these say.</summary>
    public RetryBudget? RetryBudget { get; init; }

    /// <summary>How the requests of a client stay with an endpoint, where routes do not say; null if they do not.</summary>
    public SessionPersistence? Session { get; init; }

    /// <summary>A headless host to which routes bring requests of other hosts.</summary>
    public bool IsRouteTarget { get; init; }

    public bool Headless => Resolution == Resolution.Original && !FromServiceEntry;

    /// <summary>How callers use TLS at a port; null: as DestinationRules say.</summary>
    public BackendTls? BackendTlsAt(int port) => BackendTls.IsEmpty ? null
        : BackendTls.FirstOrDefault(tls => tls.Port == port) ?? BackendTls.FirstOrDefault(tls => tls.Port == 0);

    /// <summary>The port with this number. UDP ports are ignored: UDP bypasses the proxies.</summary>
    public ServicePort? Port(int number)
    {
        foreach (var port in Ports)
        {
            if (port.Number == number && port.Protocol != Protocol.Udp) return port;
        }
        return null;
    }

    /// <summary>The <see cref="Addresses"/> that lead to the host in a cluster.</summary>
    public ValueList<AddressOrRange> AddressesIn(string cluster) =>
        Foreign.TryGetValue(cluster, out var foreign) ? Addresses.Where(address => !foreign.Contains(address)).ToValueList() : Addresses;

    /// <summary>Whether workloads in <paramref name="ns"/> may see the host.</summary>
    public bool VisibleTo(string ns) => Visibility.Allows(ExportTo, Namespace, ns);
}

/// <summary>Marks a host as one Pod of a headless Service: other networks reach the Pod by this host, through a gateway.</summary>
/// <param name="Hostname">The headless host.</param>
/// <param name="Name">The Pod's label in DNS.</param>
public sealed record HeadlessPod(string Hostname, string Name, string Cluster, string Network)
{
    /// <summary>No name here leads to the Pod: only gateways need to know it.</summary>
    public bool OnlyForGateways { get; init; }

    /// <summary>The Pod's name inside its own cluster.</summary>
    public string PlainName => $"{Name}.{Hostname}";

    /// <summary>The Pod's name that is unique in the mesh: it includes the cluster, as names of the Kubernetes MCS API do.</summary>
    public string FullName => NameOf(Name, Cluster, Hostname);

    public static string NameOf(string pod, string cluster, string hostname) => $"{pod}.{Label(cluster)}.{hostname}";

    /// <summary>A cluster ID as a label of a DNS name.</summary>
    public static string Label(string cluster) => string.Concat(cluster.Select(c => char.IsAsciiLetterOrDigit(c) ? char.ToLowerInvariant(c) : '-')).Trim('-');
}

/// <summary>exportTo of Services and of Istio's resources.</summary>
public static class Visibility
{
    public static bool Allows(ValueList<string> exportTo, string owner, string asking)
    {
        if (exportTo.IsEmpty) return true;
        foreach (var target in exportTo)
        {
            if (target == "*" || target == asking || (target == "." && owner == asking)) return true;
        }
        return false;
    }

    /// <summary>The namespaces that are allowed, each once; null: all.</summary>
    public static ValueList<string>? Namespaces(ValueList<string> exportTo, string owner) =>
        exportTo.IsEmpty || exportTo.Contains("*") ? null
            : exportTo.Where(target => target != "~").Select(target => target == "." ? owner : target).Distinct().ToValueList();
}

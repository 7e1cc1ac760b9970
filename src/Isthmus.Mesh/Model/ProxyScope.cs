using System.Net.Sockets;
using Isthmus.Core.Collections;

namespace Isthmus.Mesh.Model;

/// <summary>
/// Everything that a proxy's view of the mesh depends on, and nothing else: proxies with equal scopes share encoded resources.
/// Never all labels (a pod-template-hash would make every view unique), only those that a rule selects by.
/// </summary>
/// <param name="Locality">Unknown unless some policy prefers localities.</param>
/// <param name="RuleLabels">The labels of the proxy that a VirtualService or failover policy selects by.</param>
/// <param name="Sidecar">The Sidecar resource that applies, or null.</param>
public sealed record ProxyScope(
    ProxyKind Kind,
    string Cluster,
    string Network,
    ValueList<string> NetworkView,
    string Namespace,
    string Domain,
    bool DnsCapture,
    bool DnsAutoAllocate,
    Locality Locality,
    ValueMap<string> RuleLabels,
    Sidecar? Sidecar)
{
    /// <summary>How calls to other hosts are traced; null if they are not.</summary>
    public TracePlan? Tracing { get; init; }

    /// <summary>The access logs of calls to other hosts; null: as MeshConfig says.</summary>
    public ValueList<LogPlan>? Logs { get; init; }

    /// <summary>How the metrics of calls to other hosts differ from the standard ones.</summary>
    public MetricChanges Metrics { get; init; } = MetricChanges.None;

    /// <summary>The Node that the proxy is on; empty unless some Service keeps to Nodes.</summary>
    public string Node { get; init; } = "";

    /// <summary>The only family of addresses that the proxy can dial; null for any.</summary>
    public AddressFamily? Family { get; init; }

    /// <summary>The patches of EnvoyFilters for outbound traffic, or for a gateway.</summary>
    public ValueList<EnvoyPatch> Patches { get; init; }

    /// <summary>The WasmPlugins of the workload, for proxies that run them.</summary>
    public ValueList<WasmPlugin> Plugins { get; init; }

    /// <summary>The name under which a gateway gets the certificate that it shows to backends; empty for none.</summary>
    public string ClientCredential { get; init; } = "";

    /// <summary>What the proxy is made of.</summary>
    public ProxySoftware Software { get; init; } = ProxySoftware.Unknown;

    /// <summary>The proxy serves clients of HTTP/1.0.</summary>
    public bool AcceptsHttp10 { get; init; }

    /// <summary>The header fields that the proxy adds.</summary>
    public ProxyHeaders Headers { get; init; } = ProxyHeaders.Default;

    /// <summary>Limits of clients' connections.</summary>
    public ConnectionSettings Connections { get; init; } = ConnectionSettings.Default;

    /// <summary>What the endpoints of hosts depend on.</summary>
    public Vantage Vantage() => new(Kind, Cluster, Network, NetworkView, Locality, RuleLabels, Node, Family);
}

/// <summary>One port that a workload serves.</summary>
/// <param name="Port">At the workload.</param>
/// <param name="Hosts">Every Service (host, service port) that leads to it; the route's operation is named after the first.</param>
/// <param name="DefaultEndpoint">Where a Sidecar's ingress listener forwards; empty: the captured port.</param>
/// <param name="Limits">Null when there are none.</param>
public sealed record InboundPort(int Port, Protocol Protocol, MtlsMode Mode, ValueList<InboundHost> Hosts, string DefaultEndpoint = "",
    InboundLimits? Limits = null)
{
    /// <summary>Connections to the port are closed.</summary>
    public bool IsBlocked { get; init; }

    /// <summary>Neither a Service nor a Sidecar names the port: it differs from other such ports in its mode only.</summary>
    public bool IsUnnamed { get; init; }
}

/// <summary>Limits of connections to the application: of its Sidecar, else of the DestinationRule of its host.</summary>
/// <param name="Rule">The DestinationRule of the first host; null when there is none.</param>
public sealed record InboundLimits(ObjectRef? Rule, ConnectionPool? Pool);

/// <summary>A host, and the region of which a proxy knows its endpoints.</summary>
public sealed record OwnHost(string Hostname, int Port, string Region);

public readonly record struct InboundHost(string Hostname, string Name, string Namespace, int ServicePort);

/// <summary>What a sidecar accepts: workloads behind the same Services with the same policies share it.</summary>
/// <param name="CatchAll">The mode of ports that no Service exposes.</param>
/// <param name="Security">What it requires of callers; null for nothing.</param>
public sealed record InboundScope(ValueList<InboundPort> Ports, MtlsMode CatchAll, WorkloadSecurity? Security = null)
{
    /// <summary>The host whose endpoints are the workload and its like; null if nobody asks for it.</summary>
    public OwnHost? Own { get; init; }

    /// <summary>The patches of EnvoyFilters for inbound traffic.</summary>
    public ValueList<EnvoyPatch> Patches { get; init; }

    /// <summary>How calls to the workload are traced; null if they are not.</summary>
    public TracePlan? Tracing { get; init; }

    /// <summary>The access logs of calls to the workload; null: as MeshConfig says.</summary>
    public ValueList<LogPlan>? Logs { get; init; }

    /// <summary>How the metrics of calls to the workload differ from the standard ones.</summary>
    public MetricChanges Metrics { get; init; } = MetricChanges.None;

    /// <summary>The WasmPlugins of the workload, for proxies that run them.</summary>
    public ValueList<WasmPlugin> Plugins { get; init; }

    /// <summary>What the proxy is made of.</summary>
    public ProxySoftware Software { get; init; } = ProxySoftware.Unknown;

    /// <summary>The proxy serves clients of HTTP/1.0.</summary>
    public bool AcceptsHttp10 { get; init; }

    /// <summary>The header fields that the proxy adds.</summary>
    public ProxyHeaders Headers { get; init; } = ProxyHeaders.Default;

    /// <summary>Limits of clients' connections.</summary>
    public ConnectionSettings Connections { get; init; } = ConnectionSettings.Default;
}

/// <summary>What a gateway serves.</summary>
/// <param name="Gateways">The Gateways that select it, oldest first.</param>
/// <param name="Ports">Service port → port at the workload, over the Services that select it.</param>
/// <param name="SniDnat">AUTO_PASSTHROUGH has its older form: one chain that leads to whatever cluster the SNI names.</param>
/// <param name="Rewrites">The rewrites of that name, in order.</param>
public sealed record GatewayScope(ValueList<Gateway> Gateways, ValueList<PortMapping> Ports, bool SniDnat = false, ValueList<SniRewrite> Rewrites = default,
    WorkloadSecurity? Security = null)
{
    public GatewayTopology Topology { get; init; } = GatewayTopology.Default;

    /// <summary>As <paramref name="Ports"/>, of UDP: for HTTP/3.</summary>
    public ValueList<PortMapping> UdpPorts { get; init; }

    /// <summary>As <paramref name="Ports"/>, of UDP: for servers of datagrams. None if there is no such server.</summary>
    public ValueList<PortMapping> DatagramPorts { get; init; }

    /// <summary>Some server passes datagrams on.</summary>
    public bool PassesDatagrams => !DatagramPorts.IsEmpty;
}

public readonly record struct PortMapping(int Service, int Target);

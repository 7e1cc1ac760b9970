using Isthmus.Core.Collections;

namespace Isthmus.Mesh.Model;

/// <summary>
/// What a proxy's view of the mesh depends on, and nothing else: proxies with equal scopes share encoded resources.
/// Never raw labels (a pod-template-hash would make every view unique); only those that some rule looks at.
/// </summary>
/// <param name="Locality">Unknown unless some policy prefers localities.</param>
/// <param name="RuleLabels">The labels of the proxy that some VirtualService or failover policy looks at.</param>
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
    Sidecar? Sidecar);

/// <summary>One port on which a workload is served.</summary>
/// <param name="Port">At the workload.</param>
/// <param name="Hosts">Every Service (host, service port) that leads to it; the first names the route's operation.</param>
/// <param name="DefaultEndpoint">Where a Sidecar's ingress listener forwards; empty: the captured port.</param>
/// <param name="Limits">What a DestinationRule of the first host says of connections; null when there is none.</param>
public sealed record InboundPort(int Port, Protocol Protocol, MtlsMode Mode, ValueList<InboundHost> Hosts, string DefaultEndpoint = "", InboundLimits? Limits = null);

/// <summary>A DestinationRule holds for the workload behind its host too, as far as connections go.</summary>
public sealed record InboundLimits(ObjectRef Rule, ConnectionPool? Pool);

public readonly record struct InboundHost(string Hostname, string Name, string Namespace, int ServicePort);

/// <summary>What a sidecar accepts: workloads behind the same Services with the same policies share it.</summary>
/// <param name="CatchAll">The mode of ports that no Service names.</param>
/// <param name="Security">What it asks of callers; null: nothing.</param>
public sealed record InboundScope(ValueList<InboundPort> Ports, MtlsMode CatchAll, WorkloadSecurity? Security = null);

/// <summary>What a gateway serves.</summary>
/// <param name="Gateways">The Gateways that select it, oldest first.</param>
/// <param name="Ports">Service port → port at the workload, over the Services that select it.</param>
/// <param name="SniDnat">AUTO_PASSTHROUGH takes the older form: one chain that leads to the cluster named by the SNI, whatever that is.</param>
/// <param name="Rewrites">How such a name is changed first, in this order.</param>
public sealed record GatewayScope(ValueList<Gateway> Gateways, ValueList<PortMapping> Ports, bool SniDnat = false, ValueList<SniRewrite> Rewrites = default,
    WorkloadSecurity? Security = null);

public readonly record struct PortMapping(int Service, int Target);

using Isthmus.Core.Collections;
using Isthmus.Core.Net;

namespace Isthmus.Mesh.Model;

/// <summary>One port that a workload serves.</summary>
/// <param name="Port">At the workload.</param>
/// <param name="Hosts">Every Service (host, service port) that leads to it; the route's operation is named after the first.</param>
/// <param name="DefaultEndpoint">Where a Sidecar's ingress listener forwards; null: to the captured port.</param>
/// <param name="Limits">Null when there are none.</param>
public sealed record InboundPort(int Port, Protocol Protocol, MtlsMode Mode, ValueList<InboundHost> Hosts, DefaultEndpoint? DefaultEndpoint = null,
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
    /// <summary>The host whose endpoints are the workload and its like; null where no setting needs it.</summary>
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

    /// <summary>The workload's own addresses, for which the proxy accepts tunnels (HBONE); none: it accepts no tunnels. They are its own:
    /// sidecars that accept tunnels share less with each other.</summary>
    public ValueList<Address> Tunnelled { get; init; }

    /// <summary>What the proxy is made of.</summary>
    public ProxySoftware Software { get; init; } = ProxySoftware.Unknown;

    /// <summary>The proxy serves clients of HTTP/1.0.</summary>
    public bool AcceptsHttp10 { get; init; }

    /// <summary>The header fields that the proxy adds.</summary>
    public ProxyHeaders Headers { get; init; } = ProxyHeaders.Default;

    /// <summary>Limits of clients' connections.</summary>
    public ConnectionSettings Connections { get; init; } = ConnectionSettings.Default;
}

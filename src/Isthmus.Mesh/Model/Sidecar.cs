using Isthmus.Core.Collections;

namespace Isthmus.Mesh.Model;

/// <param name="Port">0: every port that no other listener names.</param>
/// <param name="Protocol">What clients speak on it; <see cref="Protocol.Auto"/>: what the Services of the port declare.</param>
/// <param name="Hosts">As written: <c>namespace/host</c>, where a namespace is <c>*</c> or <c>.</c>, too; those with <c>~</c> before it are
/// excluded, whatever the others say.</param>
public sealed record SidecarEgress(int Port, string PortName, Protocol Protocol, ValueList<string> Hosts);

/// <param name="DefaultEndpoint">Null: the captured port itself.</param>
public sealed record SidecarIngress(int Port, string PortName, Protocol Protocol, DefaultEndpoint? DefaultEndpoint)
{
    /// <summary>The listener demands what proxies cannot do: the port is closed.</summary>
    public bool IsBlocked { get; init; }

    /// <summary>Limits of connections to the application; null: those of the Sidecar.</summary>
    public ConnectionPool? Pool { get; init; }
}

/// <summary>What proxies of a namespace (or the selected ones) see and accept.</summary>
public sealed record Sidecar(
    ObjectRef Source,
    ValueMap<string> Selector,
    ValueList<SidecarIngress> Ingress,
    ValueList<SidecarEgress> Egress,
    OutboundPolicy? OutboundTrafficPolicy,
    long CreatedAt)
{
    /// <summary>Limits of connections to the application, instead of those of DestinationRules; null if there are none.</summary>
    public ConnectionPool? InboundPool { get; init; }

    public string Namespace => Source.Namespace;
    public string Name => Source.Name;
}

public enum MtlsMode { Unset, Disable, Permissive, Strict }

/// <summary>Which TLS the selected workloads accept.</summary>
/// <param name="Ports">Port at the workload, as text → mode.</param>
public sealed record PeerAuthentication(ObjectRef Source, ValueMap<string> Selector, MtlsMode Mode, ValueMap<MtlsMode> Ports, long CreatedAt)
{
    public string Namespace => Source.Namespace;
    public string Name => Source.Name;
}

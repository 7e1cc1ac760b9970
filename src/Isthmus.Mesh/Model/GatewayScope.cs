using Isthmus.Core.Collections;

namespace Isthmus.Mesh.Model;

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

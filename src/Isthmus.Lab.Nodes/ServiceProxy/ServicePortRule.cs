using System.Net;
using Isthmus.Core.Collections;

namespace Isthmus.Lab.Nodes.ServiceProxy;

/// <summary>A destination of connections to a Service.</summary>
internal sealed record ServiceTarget(IPAddress Address, int Port);

/// <summary>One port of one Service, as the packet filter sees it.</summary>
/// <param name="Name">Unique, and a valid nftables identifier.</param>
/// <param name="Protocol">tcp or udp.</param>
/// <param name="Port">The port at <paramref name="ClusterAddresses"/> and <paramref name="OuterAddresses"/>.</param>
/// <param name="ClusterAddresses">ClusterIPs.</param>
/// <param name="OuterAddresses">Load balancer and external addresses.</param>
/// <param name="NodePort">0 for none.</param>
/// <param name="StaysWithClient">sessionAffinity: ClientIP.</param>
/// <param name="Targets">Every usable endpoint of the cluster.</param>
/// <param name="Local">The targets on this node.</param>
/// <param name="InternalLocal">internalTrafficPolicy: Local.</param>
/// <param name="ExternalLocal">externalTrafficPolicy: Local.</param>
internal sealed record ServicePortRule(
    string Name,
    string Protocol,
    int Port,
    ValueList<IPAddress> ClusterAddresses,
    ValueList<IPAddress> OuterAddresses,
    int NodePort,
    bool StaysWithClient,
    ValueList<ServiceTarget> Targets,
    ValueList<ServiceTarget> Local,
    bool InternalLocal,
    bool ExternalLocal);

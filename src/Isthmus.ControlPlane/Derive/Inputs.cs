using Isthmus.Core.Collections;
using Isthmus.Core.Problems;
using Isthmus.Mesh.Model;

namespace Isthmus.ControlPlane.Derive;

/// <summary>What a mesh needs to know of a Pod.</summary>
/// <param name="Workload">The Deployment, StatefulSet … it belongs to, else its own name.</param>
/// <param name="Ports">Named container ports.</param>
public sealed record PodFacts(
    ObjectRef Source,
    ValueMap<string> Labels,
    string ServiceAccount,
    string Node,
    ValueList<string> Addresses,
    string Workload,
    string Hostname,
    string Subdomain,
    ValueMap<int> Ports);

/// <summary>Whether a Pod serves and stays.</summary>
public sealed record PodReadiness(bool IsReady);

/// <param name="Labels">All: NodePort gateways may select by any.</param>
public sealed record NodeFacts(ObjectRef Source, Locality Locality, ValueMap<string> Labels, ValueList<string> ExternalAddresses, ValueList<string> InternalAddresses = default);

/// <param name="Network">Its network label; empty when it has none.</param>
public sealed record NamespaceFacts(ObjectRef Source, string Network, ValueMap<string> Labels);

/// <param name="Pod">The Pod behind the address, <c>namespace/name</c> as a key of its cluster; null when it is none.</param>
/// <param name="Hostname">The endpoint's own DNS label; empty when it has none.</param>
public readonly record struct SliceAddress(string Address, EndpointHealth Health, ObjectKey? Pod, string Node, string Zone, string Hostname);

/// <param name="Ports">Port name → port.</param>
public sealed record SliceFacts(ObjectRef Source, string Service, ValueList<SliceAddress> Addresses, ValueMap<int> Ports);

/// <summary>The two documents of ConfigMap <c>istio</c>.</summary>
public sealed record MeshSettings(MeshConfig Mesh, MeshNetworks Networks)
{
    public static readonly MeshSettings Default = new(MeshConfig.Default, MeshNetworks.None);
}

/// <summary>The addresses that a gateway's host name has at the moment.</summary>
public sealed record HostAddresses(ValueList<string> Addresses);

/// <summary>Text that compares by content; strings themselves do too, this names what they are.</summary>
public sealed record AllocatedAddress(string Address);

/// <summary>Everything behind a host.</summary>
/// <param name="Identities">SPIFFE IDs that may answer for it, sorted.</param>
/// <param name="AllMtls">There are endpoints and every one accepts mesh TLS on all its ports.</param>
public sealed record HostEndpoints(ValueList<MeshEndpoint> Endpoints, ValueList<string> Identities, bool AllMtls)
{
    public static readonly HostEndpoints None = new(default, default, false);
}

/// <summary>The endpoints of one host that one EndpointSlice or ServiceEntry names.</summary>
internal sealed record EndpointSet(string Hostname, ValueList<MeshEndpoint> Endpoints);

/// <summary>The problems of one object.</summary>
public sealed record ObjectProblems(ValueList<Problem> Problems);

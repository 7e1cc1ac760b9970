using Isthmus.Core.Collections;
using Isthmus.Core.Net;
using Isthmus.Core.Problems;
using Isthmus.Mesh.Model;

namespace Isthmus.Graph.Derive;

/// <param name="Network">Its network label; empty when it has none.</param>
public sealed record NamespaceFacts(ObjectRef Source, string Network, ValueMap<string> Labels)
{
    /// <summary>Which endpoints callers of its hosts prefer, where the host does not say; null if it does not say either.</summary>
    public TrafficDistribution? Distribution { get; init; }

    /// <summary>The namespaces that may configure its hosts as if they were theirs.</summary>
    public ValueList<string> Grants { get; init; }
}

/// <param name="Pod">The Pod behind the address, <c>namespace/name</c> as a key of its cluster; null when it is not a Pod.</param>
/// <param name="Hostname">The endpoint's own DNS label; empty when it has none.</param>
public readonly record struct SliceAddress(Address Address, EndpointHealth Health, ObjectKey? Pod, string Node, string Zone, string Hostname);

/// <param name="Ports">Port name → port.</param>
public sealed record SliceFacts(ObjectRef Source, string Service, ValueList<SliceAddress> Addresses, ValueMap<int> Ports);

/// <summary>The current addresses of a gateway's host name.</summary>
public sealed record HostAddresses(ValueList<Address> Addresses);

/// <summary>What the allocator gave to a host.</summary>
/// <param name="Addresses">One of each family that it has ranges of.</param>
public sealed record AllocatedAddress(string Hostname, ValueList<Address> Addresses);

/// <summary>The endpoints of one host that one EndpointSlice or ServiceEntry names.</summary>
internal sealed record EndpointSet(string Hostname, ValueList<MeshEndpoint> Endpoints);

/// <summary>The problems of one object.</summary>
/// <param name="IsTold">The status of the object says that it has errors.</param>
public sealed record ObjectProblems(ValueList<Problem> Problems, bool IsTold = false)
{
    /// <summary>As in Gateway API: the type of the condition that says whether the object is used.</summary>
    public const string Condition = "Accepted";

    /// <summary>The type of the condition that says whether everything that the object claims is its own.</summary>
    public const string Ownership = "Owned";
}

using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;

namespace Isthmus.Graph.Derive;

/// <summary>A host that needs an address of the allocator.</summary>
internal sealed record AddressNeed(string Hostname);

/// <summary>A host for which the locality or Node of its callers matters.</summary>
internal sealed record NearHost(string Hostname, TrafficDistribution Distribution, bool NodeLocal);

/// <summary>One of the hosts of a ServiceEntry.</summary>
internal sealed record EntryHost(string Host, ServiceEntry Entry);

/// <summary>All clusters, in one value.</summary>
internal sealed record ClusterIds(ValueList<string> Ids);

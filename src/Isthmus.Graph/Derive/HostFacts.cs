using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;

namespace Isthmus.Graph.Derive;

/// <summary>A host that needs an address of the allocator.</summary>
internal sealed record AddressNeed(string Hostname);

/// <summary>One of the hosts of a ServiceEntry.</summary>
internal sealed record EntryHost(string Host, ServiceEntry Entry);

/// <summary>All clusters, in one value.</summary>
internal sealed record ClusterIds(ValueList<string> Ids);

/// <summary>Sessions stay with their endpoints somewhere in the mesh.</summary>
internal sealed record KeptSessions;

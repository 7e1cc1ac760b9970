using System.Net.Sockets;
using Isthmus.Core.Collections;

namespace Isthmus.Mesh.Model;

/// <summary>From where a proxy calls: which endpoints of a host it reaches, how, and which of them it prefers.</summary>
/// <param name="NetworkView">The networks whose endpoints it may reach; empty: all.</param>
/// <param name="Locality">Unknown unless some policy prefers localities.</param>
/// <param name="Labels">Those that failover policies select by.</param>
/// <param name="Node">Empty unless some Service keeps to Nodes.</param>
/// <param name="Family">The only family of addresses that it can dial; null for any.</param>
public sealed record Vantage(
    ProxyKind Kind, string Cluster, string Network, ValueList<string> NetworkView, Locality Locality, ValueMap<string> Labels, string Node,
    AddressFamily? Family);

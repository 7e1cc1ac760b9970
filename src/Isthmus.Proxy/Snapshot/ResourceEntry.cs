using Google.Protobuf;
using Isthmus.Proxy.Clusters;

namespace Isthmus.Proxy.Snapshot;

/// <summary>A resource in use, and possibly a newer one that still waits for what it needs (Envoy: warming). At least one of them.</summary>
internal sealed class ResourceEntry<T>
    where T : class
{
    public T? Active;
    public T? Waiting;
    public string Version = "";
    public DateTimeOffset Updated;
    public ByteString Bytes = ByteString.Empty;

    /// <summary>The waiting resource is served already, without these secrets.</summary>
    public (T From, string Lacking)? Partly;
}

/// <summary>The resources of each type, by name.</summary>
/// <param name="Versions">The version of the last message of each type.</param>
internal sealed record ResourceBooks(
    IReadOnlyDictionary<string, ResourceEntry<ClusterState>> Clusters,
    IReadOnlyDictionary<string, ResourceEntry<ListenerSnapshot>> Listeners,
    IReadOnlyDictionary<string, ResourceEntry<RouteTable>> Routes,
    IReadOnlyDictionary<string, ResourceEntry<LoadAssignment>> Assignments,
    IReadOnlyDictionary<string, string> Versions);

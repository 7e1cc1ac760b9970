using System.Text.Json.Nodes;

namespace Isthmus.Operate.Inventory;

/// <summary>An object to apply, and the cluster to apply it in.</summary>
public sealed record MissingObject(string Cluster, JsonObject Object)
{
    public bool Equals(MissingObject? other) => other is not null && Cluster == other.Cluster && JsonNode.DeepEquals(Object, other.Object);

    public override int GetHashCode() => Cluster.GetHashCode(StringComparison.Ordinal);
}

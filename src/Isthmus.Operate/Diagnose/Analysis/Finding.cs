using System.Text.Json.Nodes;
using Isthmus.Core.Problems;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Something that analysis found.</summary>
/// <param name="Cluster">The context of the cluster that has the object.</param>
/// <param name="Missing">An object that would mend it, and the context of the cluster where it belongs; null when none would.</param>
public sealed record Finding(string Cluster, Problem Problem, MissingObject? Missing = null);

/// <summary>An object to apply, and where.</summary>
public sealed record MissingObject(string Cluster, JsonObject Object)
{
    public bool Equals(MissingObject? other) => other is not null && Cluster == other.Cluster && JsonNode.DeepEquals(Object, other.Object);

    public override int GetHashCode() => Cluster.GetHashCode(StringComparison.Ordinal);
}

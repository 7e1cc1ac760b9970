using Isthmus.Core.Problems;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose;

/// <summary>A problem of an object in one of several clusters.</summary>
/// <param name="Cluster">The context of the cluster that has the object.</param>
/// <param name="Missing">The missing object that would fix it, with the context of its cluster; null when there is
/// none.</param>
public sealed record Finding(string Cluster, Problem Problem, MissingObject? Missing = null)
{
    /// <summary>The file that the object was read from, with the line where it begins, as <c>FILE:LINE</c>; empty for an object of a cluster.</summary>
    public string Reference { get; init; } = "";
}

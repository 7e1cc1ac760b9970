using Isthmus.Core.Problems;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>A problem that the analysis found.</summary>
/// <param name="Cluster">The context of the cluster that has the object.</param>
/// <param name="Missing">The missing object that would fix it, with the context of its cluster; null when there is
/// none.</param>
public sealed record Finding(string Cluster, Problem Problem, MissingObject? Missing = null);

using Isthmus.Core.Collections;

namespace Isthmus.Mesh.Model;

/// <summary>An object that applies to workloads: those of its namespace, or of the mesh if it is in the root namespace, that it selects. If it names
/// Gateways, it applies to those of its own namespace, which may be the root namespace.</summary>
public interface IWorkloadPolicy
{
    ObjectRef Source { get; }

    /// <summary>Empty: all workloads.</summary>
    WorkloadSelector Selector { get; }
}

public static class WorkloadPolicies
{
    /// <summary>Whether an object applies to a workload.</summary>
    /// <param name="ns">The namespace of the workload.</param>
    public static bool AppliesTo(this IWorkloadPolicy policy, string ns, string rootNamespace, ValueMap<string> labels) =>
        policy.Reaches(ns, rootNamespace) && policy.Selector.Selects(labels);

    /// <summary>Whether an object can apply to workloads of a namespace.</summary>
    public static bool Reaches(this IWorkloadPolicy policy, string ns, string rootNamespace) =>
        policy.Source.Namespace == ns || (policy.Source.Namespace == rootNamespace && !policy.Selector.IsOfGateways);
}

using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.Controllers.Framework;
using Isthmus.Lab.Controllers.Workloads;

namespace Isthmus.Lab.Controllers.Lifecycle;

/// <summary>What is known about an owner that an object names.</summary>
public enum OwnerState { Present, WaitsForDependents, Absent }

/// <summary>What happens to one object because of its owners or its dependents.</summary>
public static class GarbagePlan
{
    /// <param name="states">The state of each of its owners, in order.</param>
    /// <param name="dependents">The objects that it owns.</param>
    public static Plan For(GraphNode node, IReadOnlyList<OwnerState> states, IReadOnlyList<GraphNode> dependents)
    {
        var target = new PartialObject { Metadata = node.Metadata };
        if (node.IsLeaving)
        {
            if (node.Metadata.Finalizers.Contains(GraphNode.Orphan)) return Orphan(node, target, dependents);
            if (!node.WaitsForDependents) return Plan.Nothing;
            var blocking = dependents.Any(dependent => dependent.Metadata.OwnerReferences.Any(owner => owner.Uid == node.Uid
                && owner.BlockOwnerDeletion == true));
            return blocking ? Plan.Nothing : new() { Writes = [WithoutFinalizer(node, target, GraphNode.Foreground)] };
        }
        if (states.Count == 0) return Plan.Nothing;
        if (states.Contains(OwnerState.Present))
        {
            if (states.All(state => state == OwnerState.Present)) return Plan.Nothing;
            var kept = node.Metadata.OwnerReferences.Where((_, i) => states[i] == OwnerState.Present);
            return new() { Writes = [Ownership.Owners(node.Kind, target, Ownership.References(kept))] };
        }
        var foreground = states.Contains(OwnerState.WaitsForDependents) && dependents.Count > 0;
        var propagation = node.Metadata.Finalizers.Contains(GraphNode.Orphan) ? "Orphan"
            : foreground || node.Metadata.Finalizers.Contains(GraphNode.Foreground) ? "Foreground" : "Background";
        return new() { Writes = [Write.Delete(node.Kind, target) with { Propagation = propagation }] };
    }

    /// <summary>Removes the owner reference from every dependent first, then the finalizer.</summary>
    private static Plan Orphan(GraphNode node, PartialObject target, IReadOnlyList<GraphNode> dependents)
    {
        var writes = dependents.Select(dependent => Ownership.Owners(dependent.Kind, new PartialObject { Metadata = dependent.Metadata },
            Ownership.References(dependent.Metadata.OwnerReferences.Where(owner => owner.Uid != node.Uid)))).ToList();
        writes.Add(WithoutFinalizer(node, target, GraphNode.Orphan));
        return new() { Writes = writes };
    }

    private static Write WithoutFinalizer(GraphNode node, PartialObject target, string finalizer)
    {
        var rest = Tree.Strings(node.Metadata.Finalizers.Where(one => one != finalizer));
        return Write.Patch(node.Kind, target, new JsonObject
        {
            ["metadata"] = new JsonObject { ["resourceVersion"] = node.Metadata.ResourceVersion, ["finalizers"] = rest.Count > 0 ? rest : null },
        });
    }
}

using Isthmus.Graph.Derive;
using Isthmus.Graph.History;
using Isthmus.Core.Live;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;

namespace Isthmus.Graph.Intake;

/// <summary>WorkloadEntries: endpoints that are not Pods; all that they cause is derived. As Pods, they belong to the cluster that has them.</summary>
public sealed class WorkloadEntryKind() : IstioObjectKind<WorkloadEntry>(MeshApi.WorkloadEntry)
{
    internal override Source<ObjectKey, WorkloadEntry>? SourceIn(MeshSources sources) => null;

    internal override Reach ReachOf(WorkloadEntry value) => Reach.OfWorkloads(value.Namespace, value.Endpoint.Labels);

    /// <summary>The history tells of health by the ready endpoints of hosts, as with Pods: nobody has written the entry.</summary>
    internal override bool IsSame(IstioState<WorkloadEntry> before, IstioState<WorkloadEntry> after) => base.IsSame(
        before.Value is { } value ? before with { Value = value with { IsUnhealthy = after.Value?.IsUnhealthy ?? false } } : before, after);

    private protected override void PutValue(MeshSources sources, ObjectKey key, WorkloadEntry value) =>
        sources.Workloads.Put(value.Source, Workload.Of(value));

    private protected override void RemoveValue(MeshSources sources, ObjectKey key) =>
        sources.Workloads.Remove(new(key.Cluster, Resource.Kind, key.Namespace, key.Name));

    internal override void RemoveCluster(MeshSources sources, string cluster) =>
        sources.Workloads.RemoveWhere(key => key.Cluster == cluster && key.Kind == Resource.Kind);
}

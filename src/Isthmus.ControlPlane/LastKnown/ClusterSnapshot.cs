using System.Collections.Immutable;
using Isthmus.Graph.Derive;
using Isthmus.Graph.Intake;
using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;

namespace Isthmus.ControlPlane.LastKnown;

/// <summary>
/// Everything that a cluster reported about its services: enough to serve it without the cluster's API server. It holds
/// only the facts that a mesh uses, so it contains no Secret, and no environment or command line of a Pod. In key order.
/// </summary>
public sealed record ClusterSnapshot(
    string Cluster,
    ValueList<ClusterService> Services,
    ValueList<SliceFacts> Slices,
    ValueList<Workload> Pods,
    ValueList<NodeFacts> Nodes,
    ValueList<NamespaceFacts> Namespaces,
    ValueList<ServiceExport> Exports = default)
{
    public ValueList<WorkloadEntry> Workloads { get; init; }

    /// <summary>Restores the snapshot into the mesh.</summary>
    public void Restore(MeshObjects.Restoration into)
    {
        into.Put(into.Kinds.Services, Services);
        into.Put(into.Kinds.Slices, Slices);
        into.Put(into.Kinds.Pods, Pods);
        into.Put(into.Kinds.Nodes, Nodes);
        into.Put(into.Kinds.Namespaces, Namespaces);
        into.Put(into.Kinds.Exports, Exports);
        into.Put(into.Kinds.WorkloadEntries, Workloads.Select(workload => new IstioState<WorkloadEntry>(workload.Source, workload, default)));
    }
}

/// <summary>The collections that snapshots are made of, at one revision.</summary>
public sealed record SnapshotInputs(
    ImmutableDictionary<ObjectKey, ClusterService> Services,
    ImmutableDictionary<ObjectKey, SliceFacts> Slices,
    ImmutableDictionary<ObjectRef, Workload> Workloads,
    ImmutableDictionary<ObjectKey, NodeFacts> Nodes,
    ImmutableDictionary<ObjectKey, NamespaceFacts> Namespaces,
    ImmutableDictionary<ObjectKey, ServiceExport> Exports)
{
    public static SnapshotInputs Of(MeshSources sources) =>
        new(sources.Services.Items, sources.Slices.Items, sources.Workloads.Items, sources.Nodes.Items, sources.Namespaces.Items,
            sources.Exports.Items);
}

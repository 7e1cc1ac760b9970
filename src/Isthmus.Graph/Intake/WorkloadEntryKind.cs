using Isthmus.Graph.Derive;
using Isthmus.Graph.History;
using Isthmus.Core.Live;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;

namespace Isthmus.Graph.Intake;

/// <summary>WorkloadEntries: endpoints that are not Pods; all that they cause is derived. As Pods, they belong to the cluster that has them.</summary>
public sealed class WorkloadEntryKind() : IstioObjectKind<WorkloadEntry>(MeshApi.WorkloadEntry)
{
    internal override Source<ObjectKey, WorkloadEntry> SourceIn(MeshSources sources) => sources.WorkloadEntries;

    internal override Reach ReachOf(WorkloadEntry value) => Reach.OfWorkloads(value.Namespace, value.Endpoint.Labels);
}

using Isthmus.ControlPlane.Derive;
using Isthmus.ControlPlane.History;
using Isthmus.Core.Live;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;

namespace Isthmus.ControlPlane.Intake;

/// <summary>WorkloadEntries: endpoints that are not Pods; all that they cause is derived. As Pods, they belong to the cluster that has them.</summary>
public sealed class WorkloadEntryKind() : IstioObjectKind<WorkloadEntry>(IstioKind.WorkloadEntry)
{
    public override KindPlace Place => KindPlace.EveryCluster;

    /// <summary>Only a cluster that holds configuration must have Istio's definitions.</summary>
    public override bool IsOptionalInRemotes => true;

    internal override Source<ObjectKey, WorkloadEntry> SourceIn(MeshSources sources) => sources.WorkloadEntries;

    internal override Reach ReachOf(WorkloadEntry value) => Reach.OfWorkloads(value.Namespace, value.Endpoint.Labels);
}

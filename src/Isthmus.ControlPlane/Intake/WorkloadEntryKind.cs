using Isthmus.ControlPlane.Derive;
using Isthmus.Core.Live;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;

namespace Isthmus.ControlPlane.Intake;

/// <summary>WorkloadEntries: endpoints that are not Pods; all that they cause is derived.</summary>
public sealed class WorkloadEntryKind() : IstioObjectKind<WorkloadEntry>(IstioKind.WorkloadEntry)
{
    internal override Source<ObjectKey, WorkloadEntry> SourceIn(MeshSources sources) => sources.WorkloadEntries;
}

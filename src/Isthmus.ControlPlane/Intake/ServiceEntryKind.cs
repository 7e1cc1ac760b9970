using Isthmus.ControlPlane.Derive;
using Isthmus.ControlPlane.History;
using Isthmus.Core.Live;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;

namespace Isthmus.ControlPlane.Intake;

/// <summary>ServiceEntries: hosts that no Service defines; all that they cause is derived.</summary>
public sealed class ServiceEntryKind() : IstioObjectKind<ServiceEntry>(MeshApi.ServiceEntry)
{
    internal override Source<ObjectKey, ServiceEntry> SourceIn(MeshSources sources) => sources.ServiceEntries;

    internal override Reach ReachOf(ServiceEntry value) => Reach.OfHosts(value.Hosts);
}

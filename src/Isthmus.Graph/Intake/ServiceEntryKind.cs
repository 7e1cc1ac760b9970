using Isthmus.Graph.Derive;
using Isthmus.Graph.History;
using Isthmus.Core.Live;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;

namespace Isthmus.Graph.Intake;

/// <summary>ServiceEntries: hosts that no Service defines; all that they cause is derived.</summary>
public sealed class ServiceEntryKind() : IstioObjectKind<ServiceEntry>(MeshApi.ServiceEntry)
{
    internal override Source<ObjectKey, ServiceEntry> SourceIn(MeshSources sources) => sources.ServiceEntries;

    internal override Reach ReachOf(ServiceEntry value) => Reach.OfHosts(value.Hosts);
}

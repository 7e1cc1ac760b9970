using Isthmus.ControlPlane.Derive;
using Isthmus.Core.Live;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;

namespace Isthmus.ControlPlane.Intake;

/// <summary>Gateways: the servers of gateway proxies.</summary>
public sealed class GatewayKind() : IstioObjectKind<Gateway>(IstioKind.Gateway)
{
    internal override void Collect(MeshGraph mesh, MeshChanges changes) => changes.Config |= mesh.Sources.Gateways.Changed.Count > 0;

    internal override Source<ObjectKey, Gateway> SourceIn(MeshSources sources) => sources.Gateways;
}

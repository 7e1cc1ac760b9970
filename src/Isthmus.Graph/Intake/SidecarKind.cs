using Isthmus.Graph.Derive;
using Isthmus.Graph.History;
using Isthmus.Core.Live;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;

namespace Isthmus.Graph.Intake;

/// <summary>Sidecars: what proxies of workloads see of the mesh.</summary>
public sealed class SidecarKind() : IstioObjectKind<Sidecar>(MeshApi.Sidecar)
{
    internal override Source<ObjectKey, Sidecar> SourceIn(MeshSources sources) => sources.Sidecars;

    internal override Reach ReachOf(Sidecar value) => Reach.OfWorkloads(value.Source.Namespace, value.Selector);
}

using Isthmus.Graph.Derive;
using Isthmus.Graph.History;
using Isthmus.Core.Live;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;

namespace Isthmus.Graph.Intake;

/// <summary>PeerAuthentications: whether workloads accept plain text.</summary>
public sealed class PeerAuthenticationKind() : IstioObjectKind<PeerAuthentication>(MeshApi.PeerAuthentication)
{
    internal override Source<ObjectKey, PeerAuthentication> SourceIn(MeshSources sources) => sources.PeerAuthentications;

    internal override Reach ReachOf(PeerAuthentication value) => Reach.OfWorkloads(value.Source.Namespace, value.Selector);
}

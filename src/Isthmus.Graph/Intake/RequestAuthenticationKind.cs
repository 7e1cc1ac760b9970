using Isthmus.Graph.Derive;
using Isthmus.Graph.History;
using Isthmus.Core.Live;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;

namespace Isthmus.Graph.Intake;

/// <summary>RequestAuthentications: the tokens that workloads accept.</summary>
public sealed class RequestAuthenticationKind() : IstioObjectKind<RequestAuthentication>(MeshApi.RequestAuthentication)
{
    internal override Source<ObjectKey, RequestAuthentication> SourceIn(MeshSources sources) => sources.RequestAuthentications;

    internal override Reach ReachOf(RequestAuthentication value) => Reach.OfWorkloads(value.Source.Namespace, value.Selector);
}

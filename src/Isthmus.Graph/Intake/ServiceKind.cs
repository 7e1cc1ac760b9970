using Isthmus.Graph.Derive;
using Isthmus.Graph.History;
using Isthmus.Core.Live;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;

namespace Isthmus.Graph.Intake;

/// <summary>Services: hosts of the mesh and entries of networks.</summary>
public sealed class ServiceKind() : SourceKind<Service, ClusterService>(MeshApi.Service)
{
    internal override ClusterService Read(string cluster, Service item) => KubeFacts.Of(cluster, item);

    internal override ObjectRef SourceOf(ClusterService facts) => facts.Source;

    internal override Source<ObjectKey, ClusterService> SourceIn(MeshSources sources) => sources.Services;

    internal override Reach ReachOf(ClusterService facts) => Reach.OfHosts(facts.Hostname);
}

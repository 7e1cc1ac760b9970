using Isthmus.Graph.Derive;
using Isthmus.Graph.History;
using Isthmus.Core.Live;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;

namespace Isthmus.Graph.Intake;

/// <summary>Namespaces: the network of a cluster.</summary>
public sealed class NamespaceKind() : SourceKind<Namespace, NamespaceFacts>(MeshApi.Namespace)
{
    internal override NamespaceFacts Read(string cluster, Namespace item) => KubeFacts.Of(cluster, item);

    internal override ObjectRef SourceOf(NamespaceFacts facts) => facts.Source;

    internal override Source<ObjectKey, NamespaceFacts> SourceIn(MeshSources sources) => sources.Namespaces;

    internal override Reach ReachOf(NamespaceFacts facts) => Reach.OfWorkloads(facts.Source.Name, default);
}

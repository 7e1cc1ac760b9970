using Isthmus.Graph.Derive;
using Isthmus.Core.Live;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;

namespace Isthmus.Graph.Intake;

/// <summary>Nodes: localities of workloads, and addresses of NodePort gateways.</summary>
public sealed class NodeKind() : SourceKind<Node, NodeFacts>(MeshApi.Node)
{
    internal override NodeFacts Read(string cluster, Node item) => KubeFacts.Of(cluster, item);

    internal override ObjectRef SourceOf(NodeFacts facts) => facts.Source;

    internal override Source<ObjectKey, NodeFacts> SourceIn(MeshSources sources) => sources.Nodes;

    internal override bool IsRemembered => false;
}

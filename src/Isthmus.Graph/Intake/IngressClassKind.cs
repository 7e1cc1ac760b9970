using Isthmus.Graph.Derive;
using Isthmus.Graph.History;
using Isthmus.Core.Live;
using Isthmus.Kubernetes.Objects;
using IngressClass = Isthmus.Mesh.Model.IngressClass;
using Isthmus.Mesh.Config;
using ObjectKey = Isthmus.Mesh.Model.ObjectKey;
using ObjectRef = Isthmus.Mesh.Model.ObjectRef;

namespace Isthmus.Graph.Intake;

/// <summary>IngressClasses: which Ingress objects are meant for gateways of the mesh.</summary>
public sealed class IngressClassKind() : SourceKind<Kubernetes.Objects.IngressClass, IngressClass>(MeshApi.IngressClass)
{
    internal override IngressClass Read(string cluster, Kubernetes.Objects.IngressClass item) => IngressFacts.Of(cluster, item);

    internal override ObjectRef SourceOf(IngressClass facts) => facts.Source;

    internal override Source<ObjectKey, IngressClass> SourceIn(MeshSources sources) => sources.IngressClasses;

    internal override Reach ReachOf(IngressClass facts) => Reach.OfHosts("*") with { IsAtGateways = true };
}

using Isthmus.Graph.Derive;
using Isthmus.Graph.History;
using Isthmus.Core.Live;
using Isthmus.Kubernetes.Objects;
using Ingress = Isthmus.Mesh.Model.Ingress;
using Isthmus.Mesh.Config;
using ObjectKey = Isthmus.Mesh.Model.ObjectKey;
using ObjectRef = Isthmus.Mesh.Model.ObjectRef;

namespace Isthmus.Graph.Intake;

/// <summary>Ingress objects: routes of gateways; all that they cause is derived.</summary>
public sealed class IngressKind() : SourceKind<Kubernetes.Objects.Ingress, Ingress>(MeshApi.Ingress)
{
    internal override Ingress Read(string cluster, Kubernetes.Objects.Ingress item) => IngressFacts.Of(cluster, item);

    internal override ObjectRef SourceOf(Ingress facts) => facts.Source;

    internal override Source<ObjectKey, Ingress> SourceIn(MeshSources sources) => sources.Ingresses;

    internal override Reach ReachOf(Ingress facts) => Reach.OfHosts(Mesh.Model.IngressRouting.HostsOf(facts)) with { IsAtGateways = true };
}

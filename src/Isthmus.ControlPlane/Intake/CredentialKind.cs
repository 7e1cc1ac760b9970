using Isthmus.ControlPlane.Derive;
using Isthmus.ControlPlane.History;
using Isthmus.Core.Live;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;

namespace Isthmus.ControlPlane.Intake;

/// <summary>TLS Secrets of the system namespace: certificates of gateways. A control plane has no permission to read
/// Secrets elsewhere.</summary>
public sealed class CredentialKind() : SourceKind<Secret, TlsCredential>(Kinds.Secret)
{
    public override KindPlace Place => KindPlace.ConfigNamespace;

    public override bool IsOptional => true;

    internal override void Collect(MeshGraph mesh, MeshChanges changes) =>
        changes.Proxies.Places.UnionWith(mesh.Sources.Credentials.Changed.Select(key => (key.Cluster, key.Namespace)));

    internal override TlsCredential? Read(string cluster, Secret item) => KubeFacts.Of(cluster, item);

    internal override ObjectRef SourceOf(TlsCredential facts) => facts.Source;

    internal override Source<ObjectKey, TlsCredential> SourceIn(MeshSources sources) => sources.Credentials;

    internal override Reach ReachOf(TlsCredential facts) => Reach.OfWorkloads(facts.Source.Namespace, default) with { IsAtGateways = true };
}

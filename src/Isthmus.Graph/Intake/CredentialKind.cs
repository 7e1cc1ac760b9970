using Isthmus.Graph.Derive;
using Isthmus.Graph.History;
using Isthmus.Core.Live;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;

namespace Isthmus.Graph.Intake;

/// <summary>Secrets: certificates of gateways, and the credentials with which the modules of WasmPlugins are pulled.</summary>
/// <param name="ns">The namespace in which they are read; null for all.</param>
public sealed class CredentialKind(string? ns = null) : SourceKind<Secret, TlsCredential>(MeshApi.Secret)
{
    public override string? Namespace => ns;

    /// <summary>Those that clusters have many of, and that hold no certificate of a gateway.</summary>
    public override string FieldSelector => "type!=helm.sh/release.v1,type!=kubernetes.io/service-account-token";

    internal override TlsCredential? Read(string cluster, Secret item) => KubeFacts.Of(cluster, item);

    internal override ObjectRef SourceOf(TlsCredential facts) => facts.Source;

    internal override Source<ObjectKey, TlsCredential> SourceIn(MeshSources sources) => sources.Credentials;

    internal override Reach ReachOf(TlsCredential facts) => Reach.OfWorkloads(facts.Source.Namespace, default) with { IsAtGateways = true };
}

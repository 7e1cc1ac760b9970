using Isthmus.Graph.Derive;
using Isthmus.Core.Live;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;
using ObjectKey = Isthmus.Mesh.Model.ObjectKey;
using ObjectRef = Isthmus.Mesh.Model.ObjectRef;

namespace Isthmus.Graph.Intake;

/// <summary>ConfigMaps with CAs (<c>ca.crt</c>), to which Gateways and policies may refer.</summary>
public sealed class CaBundleKind() : SourceKind<ConfigMap, TlsCredential>(MeshApi.ConfigMap with { Place = KindPlace.ConfigCluster, Need = KindNeed.Nowhere })
{
    /// <summary>Control planes write it into every namespace, and it holds no such CA.</summary>
    public override string FieldSelector => "metadata.name!=istio-ca-root-cert";

    /// <summary>They are not configuration of the mesh: most concern nobody.</summary>
    internal override bool IsRemembered => false;

    internal override TlsCredential? Read(string cluster, ConfigMap item) => KubeFacts.Of(cluster, item);

    internal override ObjectRef SourceOf(TlsCredential facts) => facts.Source;

    internal override Source<ObjectKey, TlsCredential> SourceIn(MeshSources sources) => sources.CaBundles;
}

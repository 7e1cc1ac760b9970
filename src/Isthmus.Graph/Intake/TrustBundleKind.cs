using System.Text.Json.Nodes;
using Isthmus.Graph.Derive;
using Isthmus.Core.Live;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;

namespace Isthmus.Graph.Intake;

/// <summary>ClusterTrustBundles: CAs for the whole cluster, to which Gateways and policies of all namespaces may refer. They are kept with
/// those of ConfigMaps, which differ from them by having a namespace.</summary>
public sealed class TrustBundleKind() : SourceKind<JsonObject, TlsCredential>(MeshApi.ClusterTrustBundle)
{
    /// <summary>They are not configuration of the mesh: most concern nobody.</summary>
    internal override bool IsRemembered => false;

    internal override TlsCredential? Read(string cluster, JsonObject item) => KubeFacts.OfBundle(cluster, item);

    internal override ObjectRef SourceOf(TlsCredential facts) => facts.Source;

    internal override Source<ObjectKey, TlsCredential> SourceIn(MeshSources sources) => sources.CaBundles;
}

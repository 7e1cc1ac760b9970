using System.Text.Json.Nodes;
using Isthmus.Graph.Derive;
using Isthmus.Graph.History;
using Isthmus.Core.Live;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;

namespace Isthmus.Graph.Intake;

/// <summary>ServiceExports of Kubernetes' multi-cluster services API.</summary>
public sealed class ServiceExportKind(MultiClusterSettings settings)
    : SourceKind<JsonObject, ServiceExport>(MultiClusterFacts.Described(MeshApi.ServiceExport, settings))
{
    internal override ServiceExport? Read(string cluster, JsonObject item) => MultiClusterFacts.Of(cluster, Named(item)).Export;

    internal override ObjectRef SourceOf(ServiceExport facts) => facts.Source;

    internal override Source<ObjectKey, ServiceExport> SourceIn(MeshSources sources) => sources.Exports;

    internal override Reach ReachOf(ServiceExport facts) => Reach.OfHosts(MultiClusterFacts.HostsOf(facts.Source));
}

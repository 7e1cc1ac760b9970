using System.Text.Json.Nodes;
using Isthmus.Graph.Derive;
using Isthmus.Graph.History;
using Isthmus.Core.Live;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;

namespace Isthmus.Graph.Intake;

/// <summary>ServiceImports of Kubernetes' multi-cluster services API.</summary>
public sealed class ServiceImportKind(MultiClusterSettings settings)
    : SourceKind<JsonObject, ServiceImport>(MultiClusterFacts.Described(MeshApi.ServiceImport, settings))
{
    internal override ServiceImport? Read(string cluster, JsonObject item) => MultiClusterFacts.Of(cluster, Named(item)).Import;

    internal override ObjectRef SourceOf(ServiceImport facts) => facts.Source;

    internal override Source<ObjectKey, ServiceImport> SourceIn(MeshSources sources) => sources.Imports;

    internal override Reach ReachOf(ServiceImport facts) => Reach.OfHosts(MultiClusterFacts.HostsOf(facts.Source));
}

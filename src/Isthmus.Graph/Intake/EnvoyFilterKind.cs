using Isthmus.Graph.Derive;
using Isthmus.Graph.History;
using Isthmus.Core.Live;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;

namespace Isthmus.Graph.Intake;

/// <summary>EnvoyFilters: patches of proxy configuration.</summary>
public sealed class EnvoyFilterKind() : IstioObjectKind<EnvoyFilter>(MeshApi.EnvoyFilter)
{
    internal override Source<ObjectKey, EnvoyFilter> SourceIn(MeshSources sources) => sources.EnvoyFilters;

    internal override Reach ReachOf(EnvoyFilter value) => Reach.OfWorkloads(value.Source.Namespace, value.Selector);
}

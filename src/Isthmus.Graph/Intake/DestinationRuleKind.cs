using Isthmus.Graph.Derive;
using Isthmus.Graph.History;
using Isthmus.Core.Live;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;

namespace Isthmus.Graph.Intake;

/// <summary>DestinationRules: how clients reach hosts.</summary>
public sealed class DestinationRuleKind() : IstioObjectKind<DestinationRule>(MeshApi.DestinationRule)
{
    internal override Source<ObjectKey, DestinationRule> SourceIn(MeshSources sources) => sources.DestinationRules;

    internal override Reach ReachOf(DestinationRule value) => Reach.OfHosts(value.Host);
}

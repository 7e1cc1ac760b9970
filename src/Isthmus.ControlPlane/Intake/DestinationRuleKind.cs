using Isthmus.ControlPlane.Derive;
using Isthmus.ControlPlane.History;
using Isthmus.Core.Live;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;

namespace Isthmus.ControlPlane.Intake;

/// <summary>DestinationRules: how clients reach hosts.</summary>
public sealed class DestinationRuleKind() : IstioObjectKind<DestinationRule>(MeshApi.DestinationRule)
{
    internal override Source<ObjectKey, DestinationRule> SourceIn(MeshSources sources) => sources.DestinationRules;

    internal override Reach ReachOf(DestinationRule value) => Reach.OfHosts(value.Host);
}

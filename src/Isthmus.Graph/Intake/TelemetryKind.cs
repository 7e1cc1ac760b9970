using Isthmus.Graph.Derive;
using Isthmus.Graph.History;
using Isthmus.Core.Live;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;

namespace Isthmus.Graph.Intake;

/// <summary>Telemetries: what proxies report about their traffic.</summary>
public sealed class TelemetryKind() : IstioObjectKind<Telemetry>(MeshApi.Telemetry)
{
    internal override Source<ObjectKey, Telemetry> SourceIn(MeshSources sources) => sources.Telemetries;

    internal override Reach ReachOf(Telemetry value) => Reach.OfWorkloads(value.Source.Namespace, value.Selector);
}

using Isthmus.ControlPlane.Derive;
using Isthmus.ControlPlane.History;
using Isthmus.Core.Live;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;

namespace Isthmus.ControlPlane.Intake;

/// <summary>Telemetries: what proxies report about their traffic.</summary>
public sealed class TelemetryKind() : IstioObjectKind<Telemetry>(MeshApi.Telemetry)
{
    internal override void Collect(MeshGraph mesh, MeshChanges changes)
    {
        CollectPolicies(mesh, changes, mesh.TelemetriesByNamespace.Changed);
        // A collector that appears can be traced to.
        var settings = (mesh.Sources.Settings.Items.GetValueOrDefault("") ?? MeshSettings.Default).Mesh;
        changes.Proxies.All |= mesh.Services.Changed.Count > 0 && mesh.Services.Changed.Any(settings.IsCollector);
    }

    internal override Source<ObjectKey, Telemetry> SourceIn(MeshSources sources) => sources.Telemetries;

    internal override Reach ReachOf(Telemetry value) => Reach.OfWorkloads(value.Source.Namespace, value.Selector);
}

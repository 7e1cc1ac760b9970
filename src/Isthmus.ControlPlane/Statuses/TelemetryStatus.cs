using Isthmus.ControlPlane.Push;
using Isthmus.Core.Problems;
using Isthmus.Graph.Derive;
using Isthmus.Graph.Settings;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Resolve;
using Microsoft.Extensions.Logging;

namespace Isthmus.ControlPlane.Statuses;

/// <summary>Keeps a condition in the status of each Telemetry whose provider does not exist, or has a service that the mesh does not know or that has no
/// endpoint.</summary>
public sealed class TelemetryStatus(KubeClient client, PushEngine engine, TimeProvider time, ILogger log)
{
    internal static readonly ResourceKind Telemetry = MeshApi.Telemetry.Resource;

    private readonly ObjectCondition _references = new(client, Telemetry, (ObjectCondition.ResolvedRefs, "ProviderNotFound"), time, log);

    private sealed record Found(List<string> Known, List<Problem> Missing);

    public Task RunAsync(CancellationToken stop) => new Rounds(time).AfterAsync([Trigger.Commit(engine)], UpdateAsync, stop);

    internal async Task<NextRound> UpdateAsync(CancellationToken stop)
    {
        if (await engine.AskAsync(writer => Find(writer.Mesh), stop).ConfigureAwait(false) is not { } found) return NextRound.AtChange;
        return await _references.UpdateAsync(found.Known, found.Missing, stop).ConfigureAwait(false);
    }

    private Found? Find(MeshGraph mesh)
    {
        // Before all is known, everything seems to be missing.
        if (!engine.IsReady) return null;
        if (mesh.Sources.Telemetries.Items.Count == 0) return null;
        var view = mesh.View();
        var all = mesh.Sources.Telemetries.Items.Values.ToList();
        return new([.. all.Select(telemetry => Name(telemetry.Source))], [.. all.SelectMany(telemetry => TelemetryReferences.Missing(telemetry, view))]);
    }

    private static string Name(ObjectRef source) => $"{source.Namespace}/{source.Name}";
}

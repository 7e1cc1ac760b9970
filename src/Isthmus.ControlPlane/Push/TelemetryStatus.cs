using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Resolve;
using Microsoft.Extensions.Logging;

namespace Isthmus.ControlPlane.Push;

/// <summary>Keeps a condition in the status of each Telemetry whose provider does not exist, or has a service that the mesh does not know.</summary>
public sealed class TelemetryStatus(KubeClient client, PushEngine engine, TimeProvider time, ILogger log)
{
    internal static readonly ResourceKind Telemetry = new("telemetry.istio.io", "v1alpha1", "Telemetry", "telemetries", true);
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(2);

    private readonly ReferenceStatus _status = new(client, Telemetry, "ProviderNotFound", time, log);

    public async Task RunAsync(CancellationToken stop)
    {
        using var timer = new PeriodicTimer(Interval, time);
        while (await timer.WaitForNextTickAsync(stop).ConfigureAwait(false)) await UpdateAsync(stop).ConfigureAwait(false);
    }

    internal async Task UpdateAsync(CancellationToken stop)
    {
        var found = await engine.AskAsync<(List<string> Known, List<Problem> Problems)?>(writer =>
        {
            // Before all is known, everything seems to be missing.
            if (!engine.IsReady || writer.Mesh.Sources.Telemetries.Items.Count == 0) return null;
            var view = writer.Mesh.View();
            var all = writer.Mesh.Sources.Telemetries.Items.Values;
            return ([.. all.Select(telemetry => $"{telemetry.Namespace}/{telemetry.Name}")], [.. all.SelectMany(telemetry => TelemetryReferences.Missing(telemetry, view))]);
        }, stop).ConfigureAwait(false);
        if (found is { } told) await _status.UpdateAsync(told.Known, told.Problems, stop).ConfigureAwait(false);
    }
}

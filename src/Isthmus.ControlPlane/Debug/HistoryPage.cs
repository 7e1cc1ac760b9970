using System.Globalization;
using System.Text.Json.Nodes;
using Isthmus.Graph.Derive;
using Isthmus.Graph.History;
using Isthmus.ControlPlane.PastChanges;
using Isthmus.ControlPlane.Push;
using Isthmus.Core.Collections;
using Isthmus.Core.Time;
using Isthmus.Mesh.Model;
using Isthmus.Reports;
using Microsoft.AspNetCore.Http;

namespace Isthmus.ControlPlane.Debug;

/// <summary>Which control plane answers.</summary>
internal sealed record HistoryOwner(string Cluster, string Pod);

/// <summary>
/// <c>/debug/history?host=HOST&amp;pod=NAMESPACE/NAME&amp;since=DURATION</c>: what changed in the mesh, oldest first. With a host or a Pod, only
/// what concerns one of them; <c>since</c> is a duration such as 1h, or a time.
/// </summary>
internal static class HistoryPage
{
    internal static KeyValuePair<string, Func<HttpContext, Task<JsonNode>>> For(PushEngine engine, ChangeHistory history, HistoryOwner owner,
        TimeProvider time) =>
        new("history", async http =>
    {
        var query = http.Request.Query;
        var now = time.GetUtcNow();
        var changes = history.After(Since(query["since"].ToString(), now));
        var (host, pod) = (query["host"].ToString(), query["pod"].ToString());
        if (host.Length > 0 || pod.Length > 0)
        {
            var subject = await engine.AskAsync(writer => Subject.Of(writer.Mesh, host, pod), http.RequestAborted);
            changes = [.. changes.Where(change => subject.IsConcernedBy(change.Change.Reach))];
        }
        return DebugPage.Of(
            new(owner.Cluster, owner.Pod)
            {
                Now = now, Since = history.KeptSince ?? history.Since, Restarted = history.KeptSince is null ? null : history.Since,
                Forgotten = history.Forgotten, Changes = [.. changes.Select(ChangeReports.Of)],
            },
            ControlPlaneReports.Default.HistoryReport);
    });

    /// <summary>A duration before now, or a time; everything when it is empty or neither.</summary>
    private static DateTimeOffset Since(string text, DateTimeOffset now) =>
        Durations.TryParse(text, out var ago) ? now - ago
        : DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var at) ? at : DateTimeOffset.MinValue;

    /// <summary>The host and the Pod that a question is about, as the mesh knows them now.</summary>
    private sealed record Subject(IReadOnlyList<string> Hosts, IReadOnlyList<(string Namespace, ValueMap<string> Labels)> Workloads,
        IReadOnlyList<(string Namespace, ValueMap<string> Labels)> Selecting, string RootNamespace)
    {
        internal static Subject Of(MeshGraph mesh, string host, string pod)
        {
            // A name may be short: NAME.NAMESPACE, or NAME alone for those of all namespaces.
            var hosts = host.Length == 0
                ? []
                : mesh.Services.Items.Keys.Where(known => known == host || known.StartsWith(host + ".", StringComparison.Ordinal)).Append(host).Distinct()
                    .ToList();
            var workloads = hosts.SelectMany(known => mesh.Endpoints.Items.GetValueOrDefault(known)?.Endpoints.Select(endpoint => (endpoint.Workload.Namespace,
                endpoint.Labels))
                ?? [])
                .ToList();
            // A host without endpoints still stands for the workloads that it selects.
            var selectors = mesh.Sources.Services.Items.Values.Where(service => hosts.Contains(service.Hostname))
                .Select(service => (service.Namespace, service.Selector)).ToList();
            workloads.AddRange(selectors);
            if (pod.Split('/') is [var ns, var name])
            {
                workloads.AddRange(mesh.Sources.Workloads.Items.Values.Where(known => known.IsPod && known.Namespace == ns && known.Source.Name == name)
                    .Select(known => (ns, known.Labels)));
            }
            return new(hosts, workloads, selectors, (mesh.Sources.Settings.Items.GetValueOrDefault("") ?? MeshSettings.Default).Mesh.RootNamespace);
        }

        internal bool IsConcernedBy(Reach reach) =>
            reach.IsEverything || Hosts.Any(host => reach.Covers(host) || reach.Hosts.Any(known => known.StartsWith(host + ".", StringComparison.Ordinal)))
            || (reach.Namespace is { } ns
                && (Workloads.Any(workload => (ns == workload.Namespace || ns == RootNamespace) && Selectors.Matches(reach.Selector, workload.Labels))
                    // Of a workload that was scaled to nothing, no endpoint is left to compare with.
                    || Selecting.Any(service => ns == service.Namespace && service.Labels.Count > 0 && Selectors.Matches(service.Labels, reach.Selector))));
    }
}

using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Explain.Probing;
using Isthmus.Operate.Diagnose.History;
using Isthmus.WebConsole.Reading;

namespace Isthmus.WebConsole.Answers;

/// <summary>Asks all control planes what changed, as <c>isthmus history</c> does.</summary>
internal sealed class HistoryAnswer(MeshStateReader reader, string istioNamespace, TimeProvider time)
{
    /// <summary>The choices of the page.</summary>
    private static readonly Dictionary<string, TimeSpan> Spans = new(StringComparer.Ordinal)
    {
        ["15m"] = TimeSpan.FromMinutes(15), ["1h"] = TimeSpan.FromHours(1), ["6h"] = TimeSpan.FromHours(6), ["24h"] = TimeSpan.FromDays(1),
    };

    private readonly WorkloadLists _workloads = new(time);

    /// <param name="host">Only what concerns this host; empty: everything.</param>
    /// <exception cref="ProblemException">No control plane remembers anything.</exception>
    public async Task<JsonNode> ReadAsync(MeshState mesh, string host, string since, CancellationToken stop)
    {
        if (!Spans.TryGetValue(since, out var span))
            throw new ProblemException($"time {since}", "is not one of the choices", $"use {string.Join(", ", Spans.Keys)}");
        var places = mesh.Clusters.Where(cluster => cluster.Facts.Error.Length == 0)
            .Select(cluster => (Client: reader.Client(cluster.Context),
                Namespace: cluster.Facts.SystemNamespace.Length > 0 ? cluster.Facts.SystemNamespace : istioNamespace)).ToList();
        var history = await (await MeshHistory.AskAsync(places, new(host, "", span), stop))
            .NameWritersAsync(places.Select(place => place.Client), _workloads, stop);
        var unread = mesh.Clusters.Where(cluster => cluster.Facts.Error.Length > 0).Select(cluster => $"cluster {cluster.Context}: {cluster.Facts.Error}");
        if (history.ControlPlanes.Count == 0)
            throw new ProblemException(history.Silent.FirstOrDefault() ?? history.WithoutHistory.Select(plane => plane.Problem).FirstOrDefault()
                ?? new ProblemException("mesh", unread.FirstOrDefault() ?? "none of the clusters has a control plane", "see the page Problems").Problem);
        // What a probe makes and removes again would hide the rest.
        var shown = history with { Changes = [.. history.Changes.Where(change => !MeshProbe.HasMade(change))] };
        var page = HistoryTree.Of(shown);
        foreach (var (line, change) in page["changes"]!.AsArray().Zip(shown.Changes))
            (line!["object"], line["concerns"], line["effect"]) = (change.Object, change.Concerns, change.Effect);
        page["ofProbes"] = history.Changes.Count - shown.Changes.Count;
        foreach (var error in unread) page["unknown"]!.AsArray().Add((JsonNode)error);
        page["now"] = time.GetUtcNow();
        return page;
    }
}

using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Reports;

namespace Isthmus.Operate.Diagnose;

/// <summary>Where a control plane got each address of a proxy, and how recent that is.</summary>
/// <param name="page">Null: none tells.</param>
public sealed class EndpointSources(SourcesReport? page, DateTimeOffset now)
{
    /// <summary>For example <c>cluster2 (live)</c>; <c>-</c> when unknown.</summary>
    public string Of(string address)
    {
        var clusters = Clusters(address);
        return clusters.Count == 0 ? "-"
            : string.Join(", ", clusters.Select(cluster => $"{cluster} ({Freshness(Known(cluster)?.Source, Known(cluster)?.Confirmed, now)})"));
    }

    public JsonArray Json(string address) => new([.. Clusters(address).Select(cluster =>
    {
        var line = Known(cluster) is { } known ? JsonSerializer.SerializeToNode(known, ControlPlaneReports.Default.SourceReport)!.AsObject() : [];
        line["cluster"] = cluster;
        return (JsonNode)line;
    })]);

    /// <summary><c>live</c>, or the source served instead and its age.</summary>
    public static string Freshness(string? source, DateTimeOffset? confirmed, DateTimeOffset now) => source switch
    {
        null or "" => "unknown",
        "live" or "nothing" => source,
        _ when confirmed is { } time => $"{source}, {Age(now - time)} old",
        _ => source,
    };

    /// <summary><c>12s ago</c>, or <c>never</c>.</summary>
    public static string Since(DateTimeOffset? time, DateTimeOffset now) => time is { } known ? $"{Age(now - known)} ago" : "never";

    /// <summary>For example <c>40s ago</c>.</summary>
    public static string Ago(DateTimeOffset time, DateTimeOffset now) => $"{Age(now - time)} ago";

    private static string Age(TimeSpan age) =>
        age.TotalSeconds < 120 ? $"{Math.Max(0, age.TotalSeconds):0}s" : age.TotalMinutes < 120 ? $"{age.TotalMinutes:0}m" : $"{age.TotalHours:0}h";

    private IReadOnlyList<string> Clusters(string address) => page?.Addresses?.GetValueOrDefault(address) ?? [];

    private SourceReport? Known(string cluster) => page?.Clusters?.GetValueOrDefault(cluster);
}

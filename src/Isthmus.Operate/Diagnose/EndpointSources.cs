using System.Globalization;
using System.Text.Json.Nodes;
using static Isthmus.Operate.Diagnose.ConfigDump;

namespace Isthmus.Operate.Diagnose;

/// <summary>Where a control plane got each address of a proxy, and how recent that is (its
/// <c>/debug/sourcez</c>).</summary>
public sealed class EndpointSources(JsonNode? page, DateTimeOffset now)
{
    /// <summary>For example <c>cluster2 (live)</c>; <c>-</c> when unknown.</summary>
    public string Of(string address)
    {
        var clusters = Clusters(address);
        return clusters.Count == 0 ? "-" : string.Join(", ", clusters.Select(cluster =>
            $"{cluster} ({Freshness(At(page, "clusters", cluster, "source")?.ToString(), At(page, "clusters", cluster, "confirmed")?.ToString(), now)})"));
    }

    public JsonArray Json(string address) => new([.. Clusters(address).Select(cluster =>
    {
        var known = At(page, "clusters", cluster)?.DeepClone() as JsonObject ?? [];
        known["cluster"] = cluster;
        return (JsonNode)known;
    })]);

    /// <summary><c>live</c>, or the source served instead and its age.</summary>
    public static string Freshness(string? source, string? confirmed, DateTimeOffset now) => source switch
    {
        null or "" => "unknown",
        "live" or "nothing" => source,
        _ when Parse(confirmed) is { } time => $"{source}, {Age(now - time)} old",
        _ => source,
    };

    /// <summary><c>12s ago</c>, or <c>never</c>.</summary>
    public static string Since(string? time, DateTimeOffset now) => Parse(time) is { } parsed ? $"{Age(now - parsed)} ago" : "never";

    /// <summary>For example <c>40s ago</c>.</summary>
    public static string Ago(DateTimeOffset time, DateTimeOffset now) => $"{Age(now - time)} ago";

    private static DateTimeOffset? Parse(string? time) => DateTimeOffset.TryParse(time, CultureInfo.InvariantCulture, out var parsed) ? parsed : null;

    private static string Age(TimeSpan age) =>
        age.TotalSeconds < 120 ? $"{Math.Max(0, age.TotalSeconds):0}s" : age.TotalMinutes < 120 ? $"{age.TotalMinutes:0}m" : $"{age.TotalHours:0}h";

    private List<string> Clusters(string address) => [.. (At(page, "addresses", address) as JsonArray ?? []).Select(cluster => cluster?.ToString() ?? "")];
}

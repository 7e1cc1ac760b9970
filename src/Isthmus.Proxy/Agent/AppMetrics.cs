using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Json;
using Isthmus.Core.Problems;

namespace Isthmus.Proxy.Agent;

/// <summary>Where the application serves metrics of its own.</summary>
internal sealed record AppMetrics(int Port, string Path)
{
    /// <summary>Reads <c>ISTIO_PROMETHEUS_ANNOTATIONS</c>: <c>port</c> and <c>path</c>, or several <c>targets</c>, in their order; none when the
    /// application is not to be scraped.</summary>
    /// <exception cref="ProblemException">The text is malformed.</exception>
    public static IReadOnlyList<AppMetrics> Read(string json)
    {
        if (json.Length == 0) return [];
        try
        {
            var given = StrictJson.Parse(json)!.AsObject();
            if (given["targets"] is JsonArray { Count: > 0 } targets) return [.. targets.Select(target => Target(target!.AsObject()))];
            return given["scrape"]?.ToString() == "true" ? [Target(given)] : [];
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException or OverflowException or NullReferenceException)
        {
            throw new ProblemException("ISTIO_PROMETHEUS_ANNOTATIONS", $"cannot be read: {e.Message}", "it is written by injection", e);
        }
    }

    private static AppMetrics Target(JsonObject given) => new(
        int.Parse(given["port"]?.ToString() is { Length: > 0 } port ? port : "80", CultureInfo.InvariantCulture),
        given["path"]?.ToString() is { Length: > 0 } path ? path : "/metrics");
}

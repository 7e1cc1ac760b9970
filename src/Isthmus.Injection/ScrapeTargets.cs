using System.Globalization;
using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;

namespace Isthmus.Injection;

/// <summary>The annotation <c>prometheus.istio.io/scrape-targets</c>: several paths at which a Pod serves metrics, as <c>8080:/metrics,9100:/custom</c>
/// (https://istio.io/latest/docs/ops/integrations/prometheus/).</summary>
internal static class ScrapeTargets
{
    internal const string Annotation = "prometheus.istio.io/scrape-targets";

    /// <summary>Each is a call of the agent for each scrape.</summary>
    private const int Most = 32;

    /// <summary>The targets as the agent reads them: <c>[{"port": "8080", "path": "/metrics"}]</c>.</summary>
    /// <param name="agent">The port at which the agent serves the merged metrics.</param>
    /// <exception cref="ProblemException">The text names no targets, or some that cannot be scraped.</exception>
    internal static JsonArray Read(string text, int agent)
    {
        var entries = text.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        if (entries.Length is 0 or > Most)
            throw Bad(text, entries.Length == 0 ? "names no target" : $"names {entries.Length} targets, and at most {Most} are scraped");
        return [.. entries.Select(entry => (JsonNode)Target(entry, agent))];
    }

    private static JsonObject Target(string entry, int agent)
    {
        var (port, path) = entry.Split(':', 2, StringSplitOptions.TrimEntries) is [var before, var after] ? (before, after) : (entry, "");
        if (!int.TryParse(port, NumberStyles.None, CultureInfo.InvariantCulture, out var number) || number is < 1 or > 65535)
            throw Bad(entry, $"'{port}' is not a port");
        if (number == agent || Ports.IsOfProxy(number)) throw Bad(entry, $"port {number} belongs to the proxy and its agent");
        if (path.Length > 0 && (path[0] != '/' || path.Any(character => character is <= ' ' or > '~' or '#')))
            throw Bad(entry, $"'{path}' is not a path of a URL");
        return new() { ["port"] = number.ToString(CultureInfo.InvariantCulture), ["path"] = path.Length > 0 ? path : "/metrics" };
    }

    private static ProblemException Bad(string value, string why) =>
        new(new Problem("ISM0101", "Pod", $"metadata.annotations[{Annotation}]", $"invalid value '{value}': {why}",
            "write PORT:PATH,PORT:PATH, for example 8080:/metrics,9100:/custom"));
}

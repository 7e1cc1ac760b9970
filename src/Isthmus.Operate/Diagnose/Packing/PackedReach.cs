using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Json;
using Isthmus.Kubernetes.Client;
using Isthmus.Reports;

namespace Isthmus.Operate.Diagnose.Packing;

/// <summary>What the proxies of a cluster said when they were asked to connect to gateways of other networks.</summary>
internal static class PackedReach
{
    internal static JsonArray Tree(IEnumerable<GatewayReach> reached) => new([.. reached.Select(reach => (JsonNode)new JsonObject
    {
        ["pod"] = reach.Proxy, ["to"] = reach.Address, ["connected"] = reach.Error.Length == 0, ["known"] = reach.IsKnown, ["error"] = reach.Error,
    })]);

    /// <summary>What the proxy answered; null when it was not asked.</summary>
    /// <param name="text">The file; null when there is none.</param>
    /// <exception cref="HttpRequestException">It gave no answer.</exception>
    internal static StandInAnswer? Find(string? text, string pod, string to)
    {
        var found = (text is null ? null : StrictJson.Parse(text) as JsonArray)?.OfType<JsonObject>()
            .FirstOrDefault(line => line["pod"]?.ToString() == pod && line["to"]?.ToString() == to);
        if (found is null) return null;
        var error = found["error"]?.ToString() ?? "";
        return (bool?)found["known"] == false
            ? throw new HttpRequestException($"when the snapshot was made: {error}")
            : StandInAnswer.Ok(JsonSerializer.Serialize(
                new ReachReport(to, (bool?)found["connected"], error), ProxyReports.Default.ReachReport));
    }
}

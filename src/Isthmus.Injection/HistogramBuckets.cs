using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Json;

namespace Isthmus.Injection;

/// <summary>The ranges of a proxy's histograms, as an annotation of its Pod has them: upper bounds by the beginnings of names.</summary>
internal static class HistogramBuckets
{
    private const string Annotation = "sidecar.istio.io/statsHistogramBuckets", Path = $"metadata.annotations[{Annotation}]";

    // As Istio's Envoy calls them. Proxies have no other histograms.
    private static readonly string[] Histograms = ["istiocustom.istio_request_duration_milliseconds", "istiocustom.istio_request_bytes",
        "istiocustom.istio_response_bytes"];

    /// <summary>What applies to histograms that exist; null for nothing.</summary>
    internal static JsonObject? Read(InjectionInputs inputs)
    {
        if (inputs.Annotation(Annotation) is not { } text) return null;
        var read = new JsonObject();
        if (Parse(text) is not { } given)
        {
            inputs.Warnings.Add(
                $"{Path}: is not a JSON object of lists of numbers; the default buckets apply (write it like {{\"istiocustom\": [1, 5, 10, 50]}})");
            return null;
        }
        foreach (var (prefix, bounds) in given)
        {
            if (!Histograms.Any(name => name.StartsWith(prefix, StringComparison.Ordinal))) Refuse(prefix, "no histogram of the proxy begins like that");
            else if (bounds.Length == 0 || bounds.Any(bound => !(bound > 0)) || bounds.Distinct().Count() < bounds.Length)
                Refuse(prefix, "needs different numbers above 0");
            else read[prefix] = new JsonArray([.. bounds.Order().Select(bound => (JsonNode)bound)]);
        }
        return read.Count > 0 ? read : null;

        void Refuse(string prefix, string why) => inputs.Warnings.Add($"{Path}: \"{prefix}\" has no effect: {why}");
    }

    private static Dictionary<string, double[]>? Parse(string text)
    {
        try
        {
            return StrictJson.Parse(text)!.AsObject()
                .ToDictionary(item => item.Key, item => item.Value!.AsArray().Select(bound => bound!.GetValue<double>()).ToArray());
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException or NullReferenceException or ArgumentException)
        {
            return null;
        }
    }
}

using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Json;
using Isthmus.Core.Problems;

namespace Isthmus.Proxy.Telemetry;

/// <summary>The upper bounds of the ranges of Istio's histograms, ascending; fixed for the life of the proxy.</summary>
internal sealed record HistogramBuckets(double[] Duration, double[] RequestBytes, double[] ResponseBytes)
{
    /// <summary>What the names of Istio's metrics begin with where the settings of buckets select them, as in Istio's Envoy.</summary>
    private const string Namespace = "istiocustom.";

    private const string Variable = "ISTIO_HISTOGRAM_BUCKETS";

    private static readonly double[] Standard = [0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 300000, 600000, 1800000, 3600000];

    /// <summary>Envoy's.</summary>
    public static HistogramBuckets Default { get; } = new(Standard, Standard, Standard);

    /// <summary>Reads what injection makes of the annotation <c>sidecar.istio.io/statsHistogramBuckets</c>: bounds by the beginnings of names. The
    /// first beginning in the order of bytes decides, as in Envoy.</summary>
    /// <param name="json">Empty: the default.</param>
    /// <exception cref="ProblemException">It is not an object of lists of numbers.</exception>
    public static HistogramBuckets Read(string json)
    {
        if (json.Length == 0) return Default;
        try
        {
            var all = StrictJson.Parse(json)!.AsObject().OrderBy(item => item.Key, StringComparer.Ordinal)
                .Select(item => (Prefix: item.Key, Bounds: item.Value!.AsArray().Select(bound => bound!.GetValue<double>()).Order().ToArray())).ToList();
            double[] Of(string metric) => all.Find(item => (Namespace + metric).StartsWith(item.Prefix, StringComparison.Ordinal)).Bounds ?? Standard;
            return new(Of("istio_request_duration_milliseconds"), Of("istio_request_bytes"), Of("istio_response_bytes"));
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException or NullReferenceException)
        {
            throw new ProblemException(Variable, $"cannot be read: {e.Message}", "it is written by injection", e);
        }
    }
}

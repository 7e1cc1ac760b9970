using System.Globalization;
using System.Text.Json.Nodes;
using Isthmus.Core.Problems;

namespace Isthmus.Explain.Tracing.Reading;

/// <summary>What a proxy counted of an endpoint: why outlier detection ejected it.</summary>
/// <param name="Errors">Responses with 5xx, and requests without one.</param>
/// <param name="Requests">All requests.</param>
/// <param name="Unconnected">Connections that were not made.</param>
/// <param name="TimedOut">Requests whose response took too long.</param>
internal readonly record struct HostCounts(long Errors, long Requests, long Unconnected, long TimedOut)
{
    /// <param name="host">An element of <c>host_statuses</c>, with the names of Envoy.</param>
    public static HostCounts Of(JsonObject host)
    {
        var counts = (host["stats"] as JsonArray ?? []).OfType<JsonObject>().ToLookup(one => one["name"]?.ToString() ?? "", one => one["value"]?.ToString());
        long Count(string name) => long.TryParse(counts[name].FirstOrDefault(), NumberStyles.None, CultureInfo.InvariantCulture, out var count) ? count : 0;
        return new(Count("rq_error"), Count("rq_total"), Count("cx_connect_fail"), Count("rq_timeout"));
    }

    public static HostCounts operator +(HostCounts one, HostCounts other) =>
        new(one.Errors + other.Errors, one.Requests + other.Requests, one.Unconnected + other.Unconnected, one.TimedOut + other.TimedOut);

    /// <summary>What was wrong, with the numbers; without any, only that something was.</summary>
    public string Why
    {
        get
        {
            var causes = new List<string>();
            if (Unconnected > 0) causes.Add($"{Counted.Of(Unconnected, "connection")} failed");
            if (TimedOut > 0) causes.Add($"{Counted.Of(TimedOut, "request")} timed out");
            if (Errors > Unconnected)
                causes.Add(FormattableString.Invariant($"{Errors} of {Counted.Of(Requests, "request")} failed: 5xx of the application, or no response"));
            return causes.Count > 0 ? $"because {string.Join(", and ", causes)}" : "because calls kept failing";
        }
    }
}

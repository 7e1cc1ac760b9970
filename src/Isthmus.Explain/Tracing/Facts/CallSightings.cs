using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Reading;

namespace Isthmus.Explain.Tracing.Facts;

/// <summary>What proxies recorded about a traced call.</summary>
internal sealed record CallSightings(IReadOnlyList<Sighting> All)
{
    public static readonly CallSightings None = new([]);

    /// <summary>The request where it came last: gateways pass requests on. Null when no proxy saw one.</summary>
    public Sighting? Last(Func<PodRef, bool> isGateway) =>
        All.Where(sighting => sighting.IsRequest).OrderBy(sighting => isGateway(sighting.Proxy)).FirstOrDefault();
}

/// <summary>One proxy's record of a request or connection.</summary>
/// <param name="Start">When it began; null if unknown.</param>
internal sealed record Sighting(
    PodRef Proxy, bool IsRequest, double Milliseconds, double? ResponseAfter, int Status, string Flags, string Details, string TransportFailure,
    string Upstream,
    string UpstreamLocal, string DownstreamRemote, string ServerName, DateTimeOffset? Start = null);

/// <summary>What came of one of several calls.</summary>
internal sealed record CallOutcome(MadeCall Call, CallSightings Sightings);

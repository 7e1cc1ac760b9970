using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;
using Isthmus.Wire.Reports;
using Isthmus.Wire.Xds;

namespace Isthmus.Mesh.Overflows;

/// <summary>Calls that the limits of a proxy's cluster (circuit breakers) refused lately, as the proxy says.</summary>
/// <param name="Cluster">Its name.</param>
/// <param name="Config">The path of the object that configures it; empty: none is named.</param>
/// <param name="Count">Requests and connections since the proxy started.</param>
/// <param name="Last">When the last one was refused.</param>
public sealed record RefusedCalls(string Cluster, string Config, long Count, DateTimeOffset Last)
{
    private const int LongestName = 1024;

    /// <summary>Proxies are not trusted to say little, nor only what can be true.</summary>
    public static ValueList<RefusedCalls> Of(TelemetryReport report) => report.Refused.Take(TelemetryReports.MostRefused)
        .Where(pool => pool is { Cluster.Length: > 0 and <= LongestName, Config.Length: <= LongestName, Count: > 0 and <= long.MaxValue }
            && pool.Last > 0 && pool.Last < DateTimeOffset.MaxValue.ToUnixTimeSeconds())
        .Select(pool => new RefusedCalls(pool.Cluster, pool.Config, (long)pool.Count, DateTimeOffset.FromUnixTimeSeconds(pool.Last))).ToValueList();
}

/// <summary>A proxy with the calls that its limits refused.</summary>
public sealed record RefusingProxy(ProxyIdentity Proxy, ValueList<RefusedCalls> Refused);

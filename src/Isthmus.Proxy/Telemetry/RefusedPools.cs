using Isthmus.Proxy.Clusters;
using Isthmus.Wire.Reports;
using Isthmus.Wire.Xds;

namespace Isthmus.Proxy.Telemetry;

/// <summary>The clusters whose limits lately refused calls: who looks for the cause comes later than the calls that failed.</summary>
internal sealed class RefusedPools(TimeProvider time)
{
    private static readonly TimeSpan Lately = TimeSpan.FromMinutes(10);

    /// <summary>When <see cref="Environment.TickCount64"/> was 0. It is read once, so that the same refusals are the same report.</summary>
    private readonly DateTimeOffset _begun = time.GetUtcNow() - TimeSpan.FromMilliseconds(Environment.TickCount64);

    /// <summary>Those of the last minutes, always in the same order.</summary>
    public IEnumerable<RefusedPool> Of(IEnumerable<ClusterState> clusters) => clusters
        .Select(cluster => (cluster.Config, cluster.Counters.Refusals, At: Volatile.Read(ref cluster.Counters.RefusedAt)))
        .Where(found => found.At != 0 && Environment.TickCount64 - found.At < Lately.TotalMilliseconds)
        .OrderByDescending(found => found.At).Take(TelemetryReports.MostRefused)
        .OrderBy(found => found.Config.Name, StringComparer.Ordinal)
        .Select(found => new RefusedPool
        {
            Cluster = found.Config.Name, Count = (ulong)found.Refusals, Last = (_begun + TimeSpan.FromMilliseconds(found.At)).ToUnixTimeSeconds(),
            Config = found.Config.Resource.Metadata?.FilterMetadata.GetValueOrDefault("istio")?.Fields.GetValueOrDefault("config")?.StringValue ?? "",
        });
}

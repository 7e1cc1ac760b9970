using System.Globalization;
using System.Text.RegularExpressions;

namespace Isthmus.Quickstart;

/// <summary>One row of the closing table: calls that took the same way.</summary>
/// <param name="From">The calling cluster.</param>
/// <param name="Version">What answered, in its own words.</param>
/// <param name="In">The cluster in whose log the call was found.</param>
/// <param name="Path">How it came there, by the addresses in the logs of callee and gateways.</param>
/// <param name="Caller">The caller's identity, as the callee's proxy saw it.</param>
internal sealed record CallRow(string From, string Version, string In, int Calls, string Path, string Caller);

/// <summary>What the proxies of one cluster wrote, and which versions of the callee run there.</summary>
/// <param name="Callees">Access log lines of the callee's sidecars, by version.</param>
/// <param name="Gateway">Access log lines of its east-west gateway.</param>
internal sealed record ClusterLogs(string Cluster, IReadOnlyList<(string Version, AccessLogLine Line)> Callees, IReadOnlyList<AccessLogLine> Gateway,
    string GatewayAddress);

/// <summary>Puts together what the logs say about the calls of one caller: evidence, not configuration.</summary>
internal static partial class CallEvidence
{
    /// <summary>The user agent by which the calls that one run makes from a cluster are found again.</summary>
    internal static string Agent(string cluster, long run) => string.Create(CultureInfo.InvariantCulture, $"isthmus-quickstart/{cluster}/{run}");

    /// <summary>The user agent of calls that only wait for the mesh to be ready.</summary>
    internal const string WaitingAgent = "isthmus-quickstart-waiting";

    internal static IReadOnlyList<CallRow> Rows(string caller, long run, IReadOnlyList<ClusterLogs> logs)
    {
        var rows =
            from cluster in logs
            from call in cluster.Callees
            where call.Line.UserAgent == Agent(caller, run)
            group call by (call.Version, cluster.Cluster, Path: Path(caller, cluster, call.Line), call.Line.Peer) into way
            orderby way.Key.Version, way.Key.Path
            select new CallRow(caller, way.Key.Version, way.Key.Cluster, way.Count(), way.Key.Path, way.Key.Peer);
        return [.. rows];
    }

    /// <summary>A call came through the gateway when the address it came from is one that the gateway connected from.</summary>
    private static string Path(string caller, ClusterLogs cluster, AccessLogLine call)
    {
        if (cluster.Gateway.FirstOrDefault(line => line.UpstreamLocal == call.DownstreamRemote) is { } passed)
            return $"gateway of {cluster.Cluster} {cluster.GatewayAddress}, SNI {passed.Sni}";
        return caller == cluster.Cluster ? "direct, inside the cluster" : $"from {call.DownstreamRemote}, by no gateway of {cluster.Cluster}";
    }

    /// <summary>Counts the versions in the callee's answers.</summary>
    internal static IReadOnlyDictionary<string, int> Versions(string answers) =>
        Answer().Matches(answers).GroupBy(match => match.Groups[1].Value, StringComparer.Ordinal)
            .ToDictionary(group => group.Key, group => group.Count(), StringComparer.Ordinal);

    [GeneratedRegex(@"version: (\S+), instance")]
    private static partial Regex Answer();
}

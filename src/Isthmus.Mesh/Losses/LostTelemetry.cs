using Isthmus.Core.Collections;
using Isthmus.Wire.Reports;
using Isthmus.Wire.Xds;
using Kind = Isthmus.Wire.Reports.TelemetryLoss.Types.Kind;
using Reason = Isthmus.Wire.Reports.TelemetryLoss.Types.Reason;

namespace Isthmus.Mesh.Losses;

/// <summary>Telemetry that a proxy loses at present, as it says itself.</summary>
/// <param name="Counter">The proxy's counter of it.</param>
/// <param name="Target">The cluster that leads to the collector; empty if there is none.</param>
/// <param name="Status">Of HTTP or gRPC, which the collector answers with; 0: none.</param>
public sealed record LostTelemetry(Kind Kind, string Counter, string Target, Reason Reason, int Status)
{
    private const int LongestText = 256;

    /// <summary>Proxies are not trusted to say little, or something that can be printed.</summary>
    public static ValueList<LostTelemetry> Of(TelemetryReport report) => report.Losses.Take(TelemetryReports.MostLosses)
        .Select(loss => new LostTelemetry(loss.Kind, Printable(loss.Counter), Printable(loss.Target), loss.Reason, loss.Status)).ToValueList();

    /// <summary>Why it is lost.</summary>
    public string Cause => Reason switch
    {
        Reason.NoEndpoint => "it has no ready endpoint",
        Reason.Unreachable => "it cannot be connected to, or closes connections",
        Reason.Timeout => "it does not answer in time",
        Reason.Refused => Status >= 100 ? $"it answers with status {Status}" : $"it answers with gRPC status {Status}",
        Reason.Nonsense => "its answers are not those of a collector",
        Reason.TooSlow => "it takes less than there is",
        Reason.PartlyRefused => "it refuses some of them",
        _ => "the proxy's log says why",
    };

    internal string Remedy => Reason switch
    {
        Reason.NoEndpoint => "start its Pods, or correct the service of the provider",
        Reason.Unreachable => "check that it listens on the port of the provider, and that no policy or network keeps proxies out",
        Reason.Timeout or Reason.TooSlow => "give it more resources or replicas, or send it less",
        Reason.PartlyRefused => "see its log for what it refuses, and why",
        Reason.Refused => "see its log, and check path and headers of the provider",
        Reason.Nonsense => "check that the provider has the collector's port and protocol",
        _ => "see the logs of the proxy and of the collector",
    };

    private static string Printable(string text) =>
        string.Concat(text.Take(LongestText).Select(c => c is >= ' ' and <= '~' ? c : '?'));
}

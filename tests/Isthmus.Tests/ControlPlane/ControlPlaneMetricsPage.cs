using System.Text;
using System.Text.RegularExpressions;
using Xunit;

namespace Isthmus.Tests.ControlPlane;

/// <summary>docs/reference/control-plane-metrics.md: every metric of a control plane, from its own page of metrics.</summary>
internal static partial class ControlPlaneMetricsPage
{
    internal static string Print(string metrics)
    {
        var families = Family().Matches(metrics);
        // A metric without a text for people would be missing here.
        Assert.Equal(metrics.Split('\n').Count(line => line.StartsWith("# TYPE ", StringComparison.Ordinal)), families.Count);
        var page = new StringBuilder("""
            # Metrics of the control plane

            A control plane serves these metrics at `/metrics` on port 15014, in the text form of Prometheus. Names are istiod's where istiod has the metric; the others begin with `isthmus_`. Dashboards made for istiod find what they ask for under the names below. For the metrics of proxies, see [proxy-telemetry.md](proxy-telemetry.md).

            This page is generated from a running control plane. `./test --accept` writes it, and a test fails if it is out of date.

            | metric | type | meaning |
            |---|---|---|

            """);
        foreach (var family in families.OrderBy(family => family.Groups["name"].Value, StringComparer.Ordinal))
            page.Append("| `").Append(family.Groups["name"].Value).Append("` | ").Append(family.Groups["type"].Value).Append(" | ").Append(family.Groups["help"].Value).Append(" |\n");
        return page.ToString();
    }

    [GeneratedRegex(@"^# HELP (?<name>\S+) (?<help>.+)\n# TYPE \k<name> (?<type>\w+)$", RegexOptions.Multiline)]
    private static partial Regex Family();
}

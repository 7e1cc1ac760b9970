using System.Globalization;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Mesh.Certificates;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Telemetry;

/// <summary>The alerts of samples/addons: they ask for what there is, and judge certificates as the commands do.</summary>
public sealed partial class AlertsTests
{
    private sealed record Alert(string Name, string Expression, string Severity, string Summary, string Description);

    /// <summary>What control planes and proxies export is on generated pages, which other tests compare with what they say.</summary>
    [Fact]
    public void Every_series_of_an_alert_is_exported()
    {
        var known = string.Concat(((string[])["control-plane-metrics", "proxy-telemetry"]).Select(page =>
            File.ReadAllText(Repository.At($"docs/reference/{page}.md"))));
        var series = Alerts().SelectMany(alert => Series().Matches(Label().Replace(alert.Expression, "")).Select(match => (alert.Name, Series: match.Value)))
            .ToList();
        Assert.Equal(Alerts().Select(alert => alert.Name).Distinct(), series.Select(one => one.Name).Distinct());
        Assert.All(series, one => Assert.Contains($"\n| `{one.Series}` | gauge |", known, StringComparison.Ordinal));
    }

    [Fact]
    public void Every_kind_and_reason_of_an_alert_is_one()
    {
        string[] known = [.. Enum.GetValues<CertificateRole>().Select(CertificateState.NameOf), CertificateState.OtherHosts, CertificateState.UnusableKey,
            CertificateState.UnusableCa, CertificateState.Untrusted, CertificateState.RefusedCa, CertificateState.WaitingCa];
        var asked = Alerts().SelectMany(alert => Asked().Matches(alert.Expression)).SelectMany(match => match.Groups[1].Value.Split('|')).ToList();
        Assert.Subset(known.ToHashSet(), asked.ToHashSet());
        // Something is said of every reason.
        Assert.Superset(known[^6..].ToHashSet(), asked.ToHashSet());
    }

    [Theory]
    [InlineData("MeshRootEnds", CertificateRole.Root)]
    [InlineData("MeshAuthorityEnds", CertificateRole.Authority)]
    [InlineData("WorkloadCertificateNotRenewed", CertificateRole.Workload)]
    [InlineData("ControlPlaneCertificateNotRenewed", CertificateRole.ControlPlane)]
    [InlineData("ControlPlaneCertificateNotRenewed", CertificateRole.WebhookBundle)]
    [InlineData("GatewayCertificateEnds", CertificateRole.Gateway)]
    [InlineData("ClientAuthorityEnds", CertificateRole.ClientAuthority)]
    [InlineData("OriginationCertificateEnds", CertificateRole.Origination)]
    [InlineData("OriginationCertificateEnds", CertificateRole.ServerAuthority)]
    [InlineData("RemoteCredentialsEnd", CertificateRole.RemoteToken)]
    public void What_is_left_of_a_life_is_told_when_the_commands_tell_it(string name, CertificateRole role)
    {
        var named = Alerts().Where(alert => alert.Name == name).ToList();
        // Other series have no kind: they are of one.
        Assert.All(named, alert => Assert.True(Asked().Match(alert.Expression) is not { Success: true } kinds
            || kinds.Groups[1].Value.Split('|').Contains(CertificateState.NameOf(role)), alert.Expression));
        var alerts = named.ToDictionary(alert => alert.Severity, alert => Shares(alert.Expression));
        Assert.Equal(["critical", "warning"], alerts.Keys.Order());
        var now = DateTimeOffset.UnixEpoch.AddYears(50);
        foreach (var life in (double[])[1, 30, 90, 365, 3650])
        {
            foreach (var (severity, (share, days)) in alerts)
            {
                var due = TimeSpan.FromDays(Math.Min(life / share, days));
                Assert.Equal(severity == "critical" ? CertificateTime.EndsNow : CertificateTime.EndsSoon, TimeOf(due - TimeSpan.FromSeconds(1)));
                Assert.Equal(severity == "critical" ? CertificateTime.EndsSoon : CertificateTime.Good, TimeOf(due + TimeSpan.FromSeconds(1)));
            }

            CertificateTime TimeOf(TimeSpan left) => CertificateState.TimeOf(
                new MeshCertificate("c1", role, "Secret a/b", "", now + left - TimeSpan.FromDays(life), now + left), now);
        }
    }

    /// <summary>Who is woken by one has a sentence that says what happens, and then what to do or which command shows more.</summary>
    [Fact]
    public void Every_alert_says_what_happens_and_which_command_helps() => Assert.All(Alerts(), alert =>
    {
        Assert.StartsWith(alert.Summary[..1].ToUpperInvariant(), alert.Summary, StringComparison.Ordinal);
        Assert.Contains("{{ $labels.", alert.Summary, StringComparison.Ordinal);
        Assert.Matches("`(isthmus|kubectl) ", alert.Description);
        Assert.EndsWith(".", alert.Description, StringComparison.Ordinal);
        // What has expired, does not end in a time below zero.
        Assert.Equal(alert.Summary.Contains("expires in", StringComparison.Ordinal), alert.Summary.Contains("has expired", StringComparison.Ordinal));
    });

    private static (double Share, double Days) Shares(string expression)
    {
        var match = Notice().Match(expression);
        Assert.True(match.Success, expression);
        return (double.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture), double.Parse(match.Groups[2].Value, CultureInfo.InvariantCulture));
    }

    private static IReadOnlyList<Alert> Alerts()
    {
        var map = YamlText.ParseAll(File.ReadAllText(Repository.At("samples/addons/prometheus.yaml")), "prometheus.yaml").OfType<JsonObject>()
            .Single(item => item["kind"]!.ToString() == "ConfigMap");
        return [.. YamlText.Parse(map["data"]!["alerts.yml"]!.ToString(), "alerts.yml")!["groups"]!.AsArray().SelectMany(group => group!["rules"]!.AsArray())
            .Select(rule => new Alert(rule!["alert"]!.ToString(), rule["expr"]!.ToString(), rule["labels"]!["severity"]!.ToString(),
                $"{rule["annotations"]?["summary"]}", $"{rule["annotations"]?["description"]}"))];
    }

    /// <summary>What is no name of a series: labels and their values, and functions.</summary>
    [GeneratedRegex(@"\{[^}]*\}|\bby \([^)]*\)|\b\w+(?= ?\()|\b(?:or|unless)\b")]
    private static partial Regex Label();

    [GeneratedRegex(@"\b[a-z_]{4,}\b")]
    private static partial Regex Series();

    [GeneratedRegex("""\b(?:kind|reason)=~?"([^"]+)""")]
    private static partial Regex Asked();

    [GeneratedRegex(@" / (\d+)\s*\) < (\d+) \* 86400\n")]
    private static partial Regex Notice();
}

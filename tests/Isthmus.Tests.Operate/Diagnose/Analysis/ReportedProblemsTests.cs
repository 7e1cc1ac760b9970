using Isthmus.Core.Problems;
using Isthmus.Mesh.Losses;
using Isthmus.Mesh.Overflows;
using Isthmus.Mesh.Spoken;
using Isthmus.Operate.Diagnose.Analysis;
using Xunit;

namespace Isthmus.Tests.Operate.Diagnose.Analysis;

/// <summary>What control planes report of running proxies.</summary>
public sealed class ReportedProblemsTests
{
    [Theory]
    [InlineData("ISM1423", LossProblems.Lost)]
    [InlineData("ISM1424", LossProblems.Bounded)]
    [InlineData("ISM1480", SpokenProblems.Code)]
    [InlineData("ISM1551", RefusedProblems.Code)]
    public void Analyze_says_what_control_planes_report(string code, string reported)
    {
        Assert.Equal(code, reported);
        var problem = new Problem(code, "Telemetry shop/all", "spec.tracing[0].providers[0].name", "spans do not reach it", "start it", Severity.Warning);
        var cluster = MeshText.Clusters(MeshText.Web)[0];
        Assert.DoesNotContain(Isthmus.Operate.Diagnose.Analysis.Analysis.Run([cluster]), finding => finding.Problem.Code == code);
        var losing = cluster.WithReports([problem]);
        var finding = Assert.Single(Isthmus.Operate.Diagnose.Analysis.Analysis.Run([losing]), finding => finding.Problem.Code == code);
        Assert.Equal(("c1", problem), (finding.Cluster, finding.Problem));
        Assert.Equal(Severity.Warning, AnalysisCodes.Find(code)!.Severity);
        // Objects that are added do not change what runs, and the author can say that it is intended.
        Assert.Contains(Isthmus.Operate.Diagnose.Analysis.Analysis.Run([losing.With()]), found => found.Problem == problem);
        var intended = MeshText.Clusters(MeshText.Istio("Telemetry", "shop", "all", "metrics: []")
            .Replace("metadata: {", $"metadata: {{annotations: {{galley.istio.io/analyze-suppress: {code}}}, ", StringComparison.Ordinal))[0].AllObjects;
        Assert.DoesNotContain(Isthmus.Operate.Diagnose.Analysis.Analysis.Run([losing.With(intended)]), found => found.Problem.Code == code);
    }
}

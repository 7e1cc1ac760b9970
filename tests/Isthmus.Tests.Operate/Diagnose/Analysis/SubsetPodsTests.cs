using Xunit;
using static Isthmus.Tests.Operate.Diagnose.Analysis.MeshText;

namespace Isthmus.Tests.Operate.Diagnose.Analysis;

/// <summary>Whether the labels of a subset are wrong, or the selector of a Service.</summary>
public sealed class SubsetPodsTests
{
    [Theory]
    [InlineData("app: wep", "app: web, version: v2", false)]
    [InlineData("app: web", "app: web, version: v3", true)]
    [InlineData("app: wep", "app: other, version: v2", true)]
    public void A_subset_is_right_whose_Pods_a_wrong_selector_leaves_out(string selector, string pod, bool isWrong)
    {
        var rule = Join(Istio("DestinationRule", "shop", "rule", "host: web, subsets: [{name: v2, labels: {version: v2} }]"),
            Istio("VirtualService", "shop", "route", "hosts: [web], http: [{route: [{destination: {host: web, subset: v2} }] }]"));
        var findings = Analyze(Join(Web, rule, Next, Root, Namespace("shop"), Service("shop", "web", selector), Pod("shop", "web-2", pod), rule));
        Assert.Equal(isWrong, findings.Any(finding => finding.Problem.Code == "IST0173"));
    }
}

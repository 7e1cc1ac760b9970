using Xunit;
using static Isthmus.Tests.Operate.Diagnose.Analysis.MeshText;

namespace Isthmus.Tests.Operate.Diagnose.Analysis;

/// <summary>What to do about a Pod that cannot run depends on why.</summary>
public sealed class UnusedPodsTests
{
    [Theory]
    [InlineData("CrashLoopBackOff", "kubectl --context=c1 -n shop logs web-1 -c app --previous")]
    [InlineData("ImagePullBackOff", "correct image app:none in the template of the Pod")]
    [InlineData("ErrImagePull", "kubectl --context=c1 -n shop describe pod web-1")]
    [InlineData("CreateContainerConfigError", "kubectl --context=c1 -n shop describe pod web-1")]
    public void The_remedy_fits_the_reason(string reason, string remedy)
    {
        var pod = Pod("shop", "web-1", "app: web",
            status: $"containerStatuses: [{{name: app, image: 'app:none', state: {{waiting: {{reason: {reason} }} }} }}]");
        var finding = Assert.Single(Analyze(Join(Root, Namespace("shop"), Service("shop", "web", "app: web"), pod)),
            found => found.Problem.Code == "ISM1418");
        Assert.Contains(remedy, finding.Problem.Remedy, StringComparison.Ordinal);
    }
}

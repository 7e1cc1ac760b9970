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

    /// <summary>The image of a proxy is not in the template of its Pod.</summary>
    [Theory]
    [InlineData("sidecar.istio.io/proxyImage: 'proxy:none'", "correct the annotation sidecar.istio.io/proxyImage in the template of the Pod (proxy:none)")]
    [InlineData("a: b", "correct the image of proxies, proxy:none (values.global.hub and tag")]
    public void The_image_of_a_proxy_is_corrected_where_it_is_said(string annotation, string remedy)
    {
        var pod = Pod("shop", "web-1", "app: web",
            status: "containerStatuses: [{name: istio-proxy, image: 'proxy:none', state: {waiting: {reason: ImagePullBackOff} } }]")
            .Replace("metadata: {", $"metadata: {{annotations: {{{annotation}}}, ", StringComparison.Ordinal);
        var finding = Assert.Single(Analyze(Join(Root, Namespace("shop"), Service("shop", "web", "app: web"), pod)), found => found.Problem.Code == "ISM1418");
        Assert.StartsWith(remedy, finding.Problem.Remedy, StringComparison.Ordinal);
    }

    /// <summary>A gateway whose image an injector should have written: nobody has to pull it.</summary>
    [Fact]
    public void Of_an_image_that_no_injector_changed_nothing_else_is_said()
    {
        var found = Analyze(Join(Root, Namespace("shop", "istio-injection: disabled"), Service("shop", "door", "app: door"), Workload("shop", "door-1",
            "app: door, sidecar.istio.io/inject: 'true'", "containers: [{name: istio-proxy, image: auto}]",
            "containerStatuses: [{name: istio-proxy, image: auto, state: {waiting: {reason: ErrImagePull} } }]")));
        Assert.DoesNotContain(found, one => one.Problem.Code == "ISM1418");
        var told = Assert.Single(found, one => one.Problem.Code == "IST0147").Problem;
        Assert.EndsWith("namespace shop has istio-injection=disabled, which keeps injectors from its Pods, whatever they ask for", told.Message,
            StringComparison.Ordinal);
        Assert.StartsWith("remove the label: kubectl --context=c1 label namespace shop istio-injection-", told.Remedy, StringComparison.Ordinal);
    }
}

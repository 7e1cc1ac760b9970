using Isthmus.Operate.Diagnose;
using Xunit;
using static Isthmus.Tests.Operate.Diagnose.MeshVerificationTests;

namespace Isthmus.Tests.Operate.Diagnose;

/// <summary>What is said of gateways between networks that have no Pods.</summary>
public sealed class VerifiedGatewayTests
{
    private static readonly DateTimeOffset Now = new(2026, 6, 1, 0, 0, 0, TimeSpan.Zero);

    [Fact]
    public void A_gateways_service_that_selects_nothing_and_a_cluster_without_dns_are_named()
    {
        var gateway = Healthy(2,
            "n2") with
            {
                Gateways = [new GatewayFacts("istio-system/gw", "n2", ["172.18.0.2"], 0, true) { SelectsNothing = "istio=eastwset" }],
                Dns = new("kube-system/kube-dns", 0)
            };
        var told = MeshVerification.Run([Healthy(1, "n1") with { Dns = new("kube-system/kube-dns", 2) }, gateway], Now).Select(check => check.Problem)
            .OfType<Core.Problems.Problem>().ToList();
        Assert.Equal(["ISM1006", "ISM1033"], told.Select(problem => problem.Code).Order(StringComparer.Ordinal));
        Assert.Contains("istio=eastwset matches no Pod", told.Find(problem => problem.Code == "ISM1006")!.Message, StringComparison.Ordinal);
    }

    /// <summary>Callers leave out gateways without Pods: where another one leads to the network, none fails.</summary>
    [Theory]
    [InlineData("n2", 1, "Warning")]
    [InlineData("n2", 0, "Error")]
    [InlineData("n3", 1, "Error")]
    public void A_gateway_without_Pods_beside_one_that_works_is_a_warning(string network, int ready, string severity)
    {
        var two = Healthy(2, "n2") with
        {
            Gateways = [new GatewayFacts("istio-system/old", "n2", ["172.18.0.3"], 0, true) { SelectsNothing = "istio=old" },
                new GatewayFacts("istio-system/gw", network, ["172.18.0.2"], ready, true)],
        };
        var problem = MeshVerification.Run([Healthy(1, "n1"), two], Now).Select(check => check.Problem).OfType<Core.Problems.Problem>()
            .First(problem => problem is { Code: "ISM1006", Object: "Service istio-system/old in c2" });
        Assert.Equal(severity, problem.Severity.ToString());
        Assert.Equal(severity == "Warning", problem.Remedy.StartsWith("if it is left over: kubectl --context=c2 -n istio-system delete service old; otherwise ",
            StringComparison.Ordinal));
    }
}

using Isthmus.Commands;
using Isthmus.Core.Problems;
using Isthmus.Operate.Inventory;
using Xunit;

namespace Isthmus.Tests.Commands;

/// <summary>What <c>isthmus certificates</c> says of a mesh as a whole.</summary>
public sealed class CertificatesCommandTests
{
    [Theory]
    [InlineData("AAAA", "AAAA", null, "✔ None of 3 certificates needs anything now.")]
    [InlineData("AAAA", "BBBB", null, "✘ The roots of clusters differ: their proxies refuse each other.")]
    [InlineData("AAAA", "BBBB", "istio-system", "✘ The roots of clusters differ: their proxies refuse each other.")]
    [InlineData("AAAA", "BBBB", "shop", "✔ None of 3 certificates needs anything now.")]
    [InlineData("AAAA", "AAAA+BBBB", null, "✔ None of 3 certificates needs anything now.")]
    public void Roots_that_differ_are_told(string one, string other, string? ns, string conclusion)
    {
        var clusters = new[] { Cluster("c1", one), Cluster("c2", other) };
        var findings = CertificatesCommand.Findings(clusters, ns);
        Assert.Equal(conclusion, CertificatesCommand.Conclusion(3, findings, isAllRead: true));
        // It exits with 1.
        Assert.Equal(conclusion.StartsWith('✘'), findings.Exists(finding => finding.Problem is { Code: "ISM1454", Severity: Severity.Error }));
    }

    private static ClusterInventory Cluster(string context, string root) => ClusterInventory.From(context, [],
        new(true, new(root), null, Root.None, null, new(root), null, null, default, default));
}

using Isthmus.Core.Problems;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Why gateways do not take calls, or lead them where they fail, as checks of <c>verify</c>: what no control plane reports. Pure.</summary>
public static class EntryVerification
{
    private static readonly Analyzer[] Asked =
    [
        CredentialReferences.Misplaced, GatewayFiles.Analyzer, HeaderReaders.Analyzer, GatewayProtocols.Analyzer, PassedRequests.Analyzer,
        DestinationProtocols.Analyzer, GatewayApiProtocols.Analyzer,
    ];

    public static IEnumerable<Check> Checks(IReadOnlyList<ClusterInventory> clusters) => Analysis.Examine(clusters, Asked).Findings
        .Where(finding => finding.Problem.Severity != Severity.Info)
        .Select(finding => new Check(finding.Cluster, "gateway", finding.Problem.Object,
            finding.Problem with { Object = $"{finding.Problem.Object} in {finding.Cluster}" }));
}

using Isthmus.Mesh.Certificates;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Roots that replace each other. Pure.</summary>
public static class RotationAnalysis
{
    private const int Named = 5;

    public static Analyzer Analyzer
    {
        get;
    } = new("trust.RotationAnalyzer", "Checks whether a rotation of the root is under way, and what it waits for",
        [OwnCodes.RotationUnderWay, OwnCodes.LeafUntrusted], [], mesh => Check(mesh.Readable));

    public static IEnumerable<Finding> Check(IReadOnlyList<ClusterInventory> clusters)
    {
        if (RotationPlan.UnderWay(clusters) is { Due: { } due } plan)
        {
            var at = clusters.First(cluster => due.Pending[0].EndsWith($" in {cluster.Context}", StringComparison.Ordinal));
            yield return OwnCodes.RotationUnderWay.At(at, $"root {plan.Target[..16]}", "",
                $"step {(int)due.Action + 1} of {plan.Steps.Count} is due ({due.Title}), for {Names(due)}",
                "with the directory of that root in place of DIRECTORY (the way back: --undo): isthmus ca rotate --dir DIRECTORY --wait");
        }
        // A control plane that serves another cluster says nothing about proxies of this one.
        foreach (var cluster in clusters.Where(cluster => !cluster.Trust.ServesElsewhere))
        {
            var trusted = cluster.Certificates.Where(one => one is { Role: CertificateRole.Root, IsInForce: true }).Select(one => one.Fingerprint)
                .ToHashSet(StringComparer.Ordinal);
            if (trusted.Count == 0) continue;
            foreach (var leaf in cluster.Certificates.Where(one => one is { Role: CertificateRole.Workload, Fingerprint.Length: > 0 }
                && !trusted.Contains(one.Root)))
                yield return OwnCodes.LeafUntrusted.At(cluster, leaf.Owner, "",
                    $"has a certificate of {(leaf.Root.Length > 0 ? $"root {leaf.Root[..16]}" : "a root that it does not trust itself")} (issued by "
                        + $"'{leaf.Issuer}'), and the cluster trusts only "
                        + $"{string.Join(", ", trusted.Select(root => root[..16]).Order(StringComparer.Ordinal))}");
        }
    }

    private static string Names(RotationStep step) =>
        string.Join(", ", step.Pending.Take(Named)) + (step.Pending.Count > Named ? $" and {step.Pending.Count - Named} more" : "");
}

using Isthmus.Mesh.Certificates;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Whom a rotation is for: everyone of one root. Pure.</summary>
public static class RotationScope
{
    /// <summary>What control planes of the named namespace have and give out, and in other namespaces that which shares a root with it. A root that goes would
    /// be missing there, too.</summary>
    /// <param name="read">Clusters, once for each namespace of a control plane.</param>
    public static IReadOnlyList<ClusterInventory> Of(IReadOnlyList<ClusterInventory> read, string istioNamespace)
    {
        var taken = read.Where(one => one.SystemNamespace == istioNamespace).ToList();
        while (true)
        {
            var roots = Roots(taken);
            var next = read.Where(one => taken.Contains(one) || Shares(one, roots)).ToList();
            if (next.Count == taken.Count) return taken;
            taken = next;
        }
    }

    /// <summary>A control plane that serves a cluster which is not among those that were read; null if there is none. A cluster that is served from elsewhere
    /// has the namespace of that control plane.</summary>
    public static ClusterInventory? WithoutServed(IReadOnlyList<ClusterInventory> clusters) => clusters.FirstOrDefault(host => host.Trust.ServesElsewhere
        && !clusters.Any(one => one.SystemNamespace == host.SystemNamespace && one.Trust.InstalledAt is null && one.CertificatesAt is not null));

    /// <summary>The digests of all roots that they have, in force or not.</summary>
    internal static HashSet<string> Roots(IEnumerable<ClusterInventory> clusters) =>
        clusters.SelectMany(cluster => cluster.Certificates).Where(one => one is { Role: CertificateRole.Root, Fingerprint.Length: > 0 })
            .Select(one => one.Fingerprint).ToHashSet(StringComparer.Ordinal);

    /// <summary>Whether a proxy is known to be of another mesh: it trusts none of the roots, and its certificate leads to one that it trusts.</summary>
    internal static bool IsElsewhere(MeshCertificate proxy, IReadOnlySet<string> roots) =>
        proxy is { Fault: "", Root.Length: > 0, Trusts.IsEmpty: false } && !roots.Contains(proxy.Root) && !proxy.Trusts.Any(roots.Contains);

    /// <summary>Of a control plane or of proxies whose roots nobody can tell, nobody can say that they are of another mesh.</summary>
    private static bool Shares(ClusterInventory one, HashSet<string> roots) => Roots([one]) is { Count: > 0 } own
        ? own.Overlaps(roots)
        : one.Trust.InstalledAt is not null || one.Certificates.Any(certificate => certificate.Role == CertificateRole.Workload);
}

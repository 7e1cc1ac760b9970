using Isthmus.Core.Collections;
using Isthmus.Mesh.Certificates;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>The steps from one root to another. Each may begin when those before it are done everywhere.</summary>
public enum RotationAction
{
    /// <summary>Everyone trusts both roots.</summary>
    Trust,

    /// <summary>Every control plane signs below the new root.</summary>
    Sign,

    /// <summary>Every workload has a certificate of the new root.</summary>
    Renew,

    /// <summary>Nobody trusts another root any more.</summary>
    Distrust,
}

/// <summary>One step, and who is not there yet.</summary>
/// <param name="Pending">Objects and workloads with their cluster.</param>
public sealed record RotationStep(RotationAction Action, ValueList<string> Pending)
{
    public bool IsDone => Pending.IsEmpty;

    public string Title => Action switch
    {
        RotationAction.Trust => "both roots are trusted everywhere",
        RotationAction.Sign => "control planes sign below the new root",
        RotationAction.Renew => "every workload has a certificate of the new root",
        _ => "the old root is out",
    };
}

/// <summary>Where a mesh is on its way to another root: computed from what clusters and proxies have, so that it does not matter what was interrupted.
/// Pure.</summary>
/// <param name="Target">The digest of the root that remains.</param>
public sealed record RotationPlan(string Target, ValueList<RotationStep> Steps)
{
    /// <summary>The first step that is not done; null: all are.</summary>
    public RotationStep? Due => Steps.FirstOrDefault(step => !step.IsDone);

    /// <param name="clusters">Those of the mesh. Proxies there that are of another mesh are left alone.</param>
    /// <param name="target">The root to end with.</param>
    public static RotationPlan Of(IReadOnlyList<ClusterInventory> clusters, string target)
    {
        var roots = RotationScope.Roots(clusters);
        roots.Add(target);
        var states = clusters.Where(cluster => cluster.CertificatesAt is not null).Select(cluster => new ClusterState(cluster, roots)).ToList();
        return new(target,
        [
            new(RotationAction.Trust, states.SelectMany(state => state.WithoutTrust(target)).Distinct().ToValueList()),
            new(RotationAction.Sign, states.SelectMany(state => state.WithoutSigner(target)).Distinct().ToValueList()),
            new(RotationAction.Renew, states.SelectMany(state => state.WithoutLeaf(target)).Distinct().ToValueList()),
            new(RotationAction.Distrust, states.SelectMany(state => state.WithOtherRoots(target)).Distinct().ToValueList()),
        ]);
    }

    /// <summary>The rotation that clusters are in; null when all of them have one root, the same.</summary>
    public static RotationPlan? UnderWay(IReadOnlyList<ClusterInventory> clusters)
    {
        var roots = clusters.SelectMany(cluster => cluster.Certificates).Where(one => one.Role == CertificateRole.Root && (one.IsInForce || one.Signs))
            .DistinctBy(one => one.Fingerprint).ToList();
        if (roots.Count < 2) return null;
        // Clusters without a common root are several meshes, or a mistake, which other checks name.
        if (!clusters.Where(cluster => cluster.CertificatesAt is not null)
            .Select(cluster => cluster.Certificates.Where(one => one is { Role: CertificateRole.Root, IsInForce: true }).Select(one => one.Fingerprint)
                .ToHashSet(StringComparer.Ordinal))
            .Where(trusted => trusted.Count > 0)
            .Aggregate((HashSet<string>?)null, (common, next) => common is null ? next : [.. common.Intersect(next)])!.Any())
                return null;
        return Of(clusters, roots.MaxBy(root => root.Begins)!.Fingerprint);
    }

    /// <summary>One cluster: which roots it trusts, what signs there, and what its proxies have.</summary>
    /// <param name="known">The roots of the mesh.</param>
    private sealed class ClusterState(ClusterInventory cluster, HashSet<string> known)
    {
        private readonly List<MeshCertificate> _roots = [.. cluster.Certificates.Where(one => one.Role == CertificateRole.Root)];
        private readonly List<MeshCertificate> _proxies =
            [.. cluster.Certificates.Where(one => one.Role == CertificateRole.Workload && !RotationScope.IsElsewhere(one, known))];

        /// <summary>Whether a control plane of its own signs there.</summary>
        private bool IsSigning => cluster.Trust.InstalledAt is not null;

        private string Secret => In($"Secret {cluster.SystemNamespace}/cacerts");

        private string Map => In($"ConfigMap {cluster.SystemNamespace}/istio-ca-root-cert");

        public IEnumerable<string> WithoutTrust(string target)
        {
            if (_roots.TrueForAll(root => root.Fingerprint != target))
                yield return IsSigning ? Secret : Map;
            else if (!_roots.Exists(root => root.Fingerprint == target && root.IsInForce))
                yield return Map;
            foreach (var proxy in _proxies.Where(proxy => !proxy.Trusts.Contains(target))) yield return Name(proxy);
        }

        public IEnumerable<string> WithoutSigner(string target)
        {
            if (IsSigning && !cluster.Certificates.Any(one => one.Signs && one.Root == target)) yield return Secret;
            var other = cluster.Certificates.FirstOrDefault(one => one is { Signs: true, Root.Length: > 0 } && one.Root != target);
            if (IsSigning || other is null) yield break;
            // A control plane elsewhere may not have taken what is in its Secret; and one that is installed anew signs with what it finds here.
            yield return other.Owner == $"Secret {cluster.SystemNamespace}/cacerts" ? In($"{other.Owner} (delete it if nothing uses it)") : Map;
        }

        public IEnumerable<string> WithoutLeaf(string target) => _proxies.Where(proxy => proxy.Root != target).Select(Name);

        public IEnumerable<string> WithOtherRoots(string target)
        {
            if (_roots.Exists(root => root.Fingerprint != target && root.IsInForce))
                yield return IsSigning ? Secret : Map;
            foreach (var proxy in _proxies.Where(proxy => proxy.Trusts.Any(root => root != target))) yield return Name(proxy);
        }

        private string Name(MeshCertificate proxy) => In(proxy.Fault.Length > 0 ? $"{proxy.Owner} ({proxy.Fault})" : proxy.Owner);

        private string In(string text) => $"{text} in {cluster.Context}";
    }
}

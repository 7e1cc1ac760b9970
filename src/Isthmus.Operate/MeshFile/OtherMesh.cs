using System.Text;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Operate.Inventory;
using Isthmus.Wire.Tls;

namespace Isthmus.Operate.MeshFile;

/// <summary>Whether a cluster already belongs to another mesh: its control plane has another mesh ID, or its workloads
/// trust another root.</summary>
internal sealed class OtherMesh(MeshDesign design, MeshTrust trust)
{
    private const string RootFile = "root-cert.pem";

    internal async Task<IReadOnlyList<Problem>> FindAsync(ClusterLink link, CancellationToken stop)
    {
        var path = $"spec.clusters[{design.Mesh.Clusters.ToList().IndexOf(link.Cluster)}]";
        var (member, roots) = (MemberAsync(link, stop), RootsAsync(link, stop));
        var problems = new List<Problem>();
        if (await member is var (name, at) && name != design.Mesh.Name)
        {
            problems.Add(new("ISM0333", design.Mesh.Source, path, $"'{link.Name}' belongs to mesh '{name}' ({at}), and would move to '{design.Mesh.Name}'",
                "correct metadata.name, remove the cluster from that mesh first, or use --take-over"));
        }
        if (await roots is var (trusted, where))
        {
            var own = trust.Root(link.Cluster);
            // Another check reports a root that is still to be created next to a CA's own files.
            if (own is null ? where != CaCerts(link) : !trusted.Contains(own))
            {
                problems.Add(new("ISM0334", design.Mesh.Source, path,
                    $"workloads of '{link.Name}' trust the root {Shown(trusted[0])} ({where}), but the mesh's root is "
                        + $"{(own is null ? "not created yet" : Shown(own))}: until all workloads are restarted, those with old and those with new "
                        + $"certificates would reject each other",
                    "set spec.trust to that root, or use --take-over"));
            }
        }
        return problems;
    }

    /// <summary>The mesh that the cluster is in, and the object that names it.</summary>
    private async Task<(string Name, string At)?> MemberAsync(ClusterLink link, CancellationToken stop)
    {
        var ns = await link.Client.FindAsync<Namespace>(Kinds.Namespace, null, link.Cluster.SystemNamespace, stop);
        if (ns?.Metadata.Annotations.GetValueOrDefault(Annotations.Mesh) is { Length: > 0 } owner) return (owner, $"Namespace {ns.Metadata.Name}");
        // Clusters that are joined by names have no mesh ID.
        if (ns is null || design.JoinsByNames) return null;
        foreach (var map in design.Mesh.Revision.Length == 0 ? (string[])["istio"] : [$"istio-{design.Mesh.Revision}", "istio"])
        {
            var live = await link.Client.FindAsync(Kinds.ConfigMap, link.Cluster.SystemNamespace, map, stop);
            if (live is not null && MeshMap.Read(live)?.MeshId is { Length: > 0 } id) return (id, $"ConfigMap {link.Cluster.SystemNamespace}/{map}");
        }
        return null;
    }

    /// <summary>Thumbprints of the roots in the cluster's CA, otherwise of those that its workloads trust, with the object
    /// that holds them.</summary>
    private static async Task<(IReadOnlyList<string> Trusted, string Where)?> RootsAsync(ClusterLink link, CancellationToken stop)
    {
        var ns = link.Cluster.SystemNamespace;
        var authority = await link.Client.FindAsync<Secret>(Kinds.Secret, ns, WellKnown.CaCerts, stop);
        if (Thumbprints(Encoding.UTF8.GetString(authority?.Bytes(RootFile) ?? [])) is { Count: > 0 } own) return (own, CaCerts(link));
        var told = await link.Client.FindAsync<ConfigMap>(Kinds.ConfigMap, ns, WellKnown.RootCertConfigMap, stop);
        return Thumbprints(told?.Data.GetValueOrDefault(WellKnown.RootCertKey) ?? "") is { Count: > 0 } roots
            ? (roots, $"ConfigMap {ns}/{WellKnown.RootCertConfigMap}")
            : null;
    }

    private static string CaCerts(ClusterLink link) => $"Secret {link.Cluster.SystemNamespace}/{WellKnown.CaCerts}";

    private static List<string> Thumbprints(string pem)
    {
        if (pem.Length == 0) return [];
        try { return [.. CertificateText.Read(pem, RootFile).Select(MeshTrust.Thumbprint)]; }
        catch (ProblemException) { return []; }
    }

    private static string Shown(string thumbprint) => $"{thumbprint[..12]}…";
}

using Isthmus.Core.Problems;
using Isthmus.Operate.Diagnose;

namespace Isthmus.Operate.MeshFile;

/// <summary>Decides whether clusters can leave a mesh that continues without them, as a pure function of the
/// file.</summary>
public static class MeshDeparture
{
    /// <exception cref="MeshProblemsException">A name does not exist, or remaining clusters depend on one that would
    /// leave.</exception>
    public static void Check(MeshSpec mesh, IReadOnlyCollection<string> leaving)
    {
        var problems = Unknown(mesh, leaving).Concat(Served(mesh, leaving)).Concat(Entered(mesh, leaving)).ToList();
        if (problems.Count > 0) throw new MeshProblemsException(problems);
    }

    private static IEnumerable<Problem> Unknown(MeshSpec mesh, IReadOnlyCollection<string> leaving) =>
        leaving.Where(name => mesh.Clusters.All(cluster => cluster.Name != name))
            .Select(name => new Problem("ISM0341", mesh.Source, "spec.clusters", $"has no cluster '{name}'",
                $"clusters: {string.Join(", ", mesh.Clusters.Select(cluster => cluster.Name))}"));

    /// <summary>A remaining cluster keeps its control plane, and an external control plane does not outlive its
    /// cluster.</summary>
    private static IEnumerable<Problem> Served(MeshSpec mesh, IReadOnlyCollection<string> leaving)
    {
        for (var i = 0; i < mesh.Clusters.Count; i++)
        {
            var cluster = mesh.Clusters[i];
            var leaves = leaving.Contains(cluster.Name);
            if (cluster.ControlPlane is { } host && leaves != leaving.Contains(host.Cluster))
            {
                yield return new("ISM0342", mesh.Source, $"spec.clusters[{i}].controlPlane",
                    leaves
                        ? $"the control plane of '{cluster.Name}' runs in '{host.Cluster}', which would stay"
                        : $"'{host.Cluster}' runs the control plane of '{cluster.Name}', which would stay",
                    $"remove both: --cluster {cluster.Name} --cluster {host.Cluster}");
            }
            if (leaves) continue;
            foreach (var primary in cluster.Primaries.Where(leaving.Contains))
            {
                yield return new("ISM0342", mesh.Source, $"spec.clusters[{i}].primaries", $"'{primary}' serves '{cluster.Name}', which would stay",
                    $"remove '{cluster.Name}' too, or give it other primaries and run 'isthmus mesh up' first");
            }
        }
    }

    /// <summary>A network that other networks call keeps a gateway.</summary>
    private static IEnumerable<Problem> Entered(MeshSpec mesh, IReadOnlyCollection<string> leaving)
    {
        for (var i = 0; i < mesh.Networks.Count; i++)
        {
            var network = mesh.Networks[i];
            var staying = mesh.Clusters.Where(cluster => cluster.Network == network.Name && !leaving.Contains(cluster.Name)).Select(cluster => cluster.Name)
                .ToList();
            if (network.Gateway.Clusters.IsEmpty || staying.Count == 0 || !network.Gateway.Clusters.All(leaving.Contains)) continue;
            yield return new("ISM0343", mesh.Source, $"spec.networks[{i}].gateway.clusters",
                $"all gateways into '{network.Name}' would leave, but '{staying[0]}' would stay",
                $"add '{staying[0]}' and run 'isthmus mesh up' first");
        }
    }
}

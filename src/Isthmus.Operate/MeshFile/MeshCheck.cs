using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Operate.Install.Operator;

namespace Isthmus.Operate.MeshFile;

/// <summary>Finds contradictions in a mesh file, as a pure function of its content. Missing names are reported
/// earlier.</summary>
internal static class MeshCheck
{
    /// <summary>Fields of <c>values.global</c> that the rest of the file determines, and what determines each.</summary>
    private static readonly (string Field, string By)[] Decided =
    [
        ("meshID", "metadata.name"), ("network", "the cluster's network"), ("multiCluster", "the cluster's name"),
        ("istioNamespace", "the design: it is istio-system in every cluster"), ("remotePilotAddress", "the primary's gateway"),
    ];

    internal static IEnumerable<Problem> Run(MeshSpec mesh) =>
        Twice(mesh).Concat(Names(mesh)).Concat(Hosts(mesh)).Concat(Networks(mesh)).Concat(Primaries(mesh)).Concat(Gateways(mesh)).Concat(Installs(mesh));

    private static IEnumerable<Problem> Twice(MeshSpec mesh)
    {
        foreach (var (index, name, first) in Repeated(mesh.Clusters.Select(cluster => cluster.Name)))
            yield return Wrong(mesh, "ISM0311", $"spec.clusters[{index}].name", $"'{name}' is already the name of spec.clusters[{first}]",
                "give each cluster a unique name");
        foreach (var (index, name, first) in Repeated(mesh.Clusters.Select(cluster => cluster.Context)))
            yield return Wrong(mesh, "ISM0311", $"spec.clusters[{index}].context", $"'{name}' is already the context of spec.clusters[{first}]",
                "specify the context of this cluster");
        foreach (var (index, name, first) in Repeated(mesh.Networks.Select(network => network.Name)))
            yield return Wrong(mesh, "ISM0311", $"spec.networks[{index}].name", $"'{name}' is already the name of spec.networks[{first}]",
                "give each network a unique name");
    }

    private static IEnumerable<(int Index, string Name, int First)> Repeated(IEnumerable<string> names)
    {
        var seen = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (var (name, index) in names.Select((name, index) => (name, index)))
        {
            if (name.Length > 0 && !seen.TryAdd(name, index)) yield return (index, name, seen[name]);
        }
    }

    private static IEnumerable<Problem> Hosts(MeshSpec mesh)
    {
        for (var i = 0; i < mesh.Clusters.Count; i++)
        {
            if (mesh.Clusters[i].ControlPlane is not { } host) continue;
            var path = $"spec.clusters[{i}].controlPlane";
            if (!mesh.Clusters[i].Primaries.IsEmpty)
                yield return Wrong(mesh, "ISM0315", path, $"cannot be combined with primaries ({string.Join(", ", mesh.Clusters[i].Primaries)})",
                    "a cluster has either primaries or a control plane elsewhere: remove one");
            if (host.Cluster.Length > 0 && mesh.Clusters.All(cluster => cluster.Name != host.Cluster || !cluster.IsPrimary))
                yield return Wrong(mesh, "ISM0315", $"{path}.cluster", $"'{host.Cluster}' is not a primary in this file",
                    $"primaries: {string.Join(", ", mesh.Clusters.Where(cluster => cluster.IsPrimary).Select(cluster => cluster.Name))}");
            if (host.Namespace == WellKnown.SystemNamespace)
                yield return Wrong(mesh, "ISM0315", $"{path}.namespace", $"'{host.Namespace}' is where '{host.Cluster}' has its own control plane",
                    "use another namespace, for example external-istiod");
            if (mesh.Clusters.Take(i).FirstOrDefault(other => other.ControlPlane == host) is { } same)
                yield return Wrong(mesh, "ISM0311", path, $"'{same.Name}' has its control plane in the same namespace",
                    "give each control plane its own namespace");
        }
    }

    /// <summary>Clusters that do not watch each other cannot share a control plane, and east-west gateways do not serve
    /// them.</summary>
    private static IEnumerable<Problem> Names(MeshSpec mesh)
    {
        if (mesh.Join != JoinKind.Names) yield break;
        for (var i = 0; i < mesh.Clusters.Count; i++)
        {
            if (!mesh.Clusters[i].IsPrimary)
                yield return Wrong(mesh, "ISM0320",
                    mesh.Clusters[i].ControlPlane is null ? $"spec.clusters[{i}].primaries" : $"spec.clusters[{i}].controlPlane",
                    $"'{mesh.Clusters[i].Name}' is a remote, but with 'join: names' each cluster has its own control plane",
                    "remove it, or set 'join: discovery'");
        }
        for (var i = 0; i < mesh.Networks.Count; i++)
        {
            if (!mesh.Networks[i].Gateway.IsDefault)
                yield return Wrong(mesh, "ISM0320", $"spec.networks[{i}].gateway",
                    "is set, but with 'join: names' clusters are entered through their ingress gateways",
                    "remove it, and set the ingress gateway in spec.install.components");
        }
    }

    private static IEnumerable<Problem> Networks(MeshSpec mesh)
    {
        var names = mesh.Networks.Select(network => network.Name).ToList();
        for (var i = 0; i < mesh.Clusters.Count; i++)
        {
            if (mesh.Clusters[i].Network.Length > 0 && !names.Contains(mesh.Clusters[i].Network))
                yield return Wrong(mesh, "ISM0312", $"spec.clusters[{i}].network", $"'{mesh.Clusters[i].Network}' is not in spec.networks",
                    $"networks: {string.Join(", ", names)}");
        }
        for (var i = 0; i < mesh.Networks.Count; i++)
        {
            if (mesh.Clusters.All(cluster => cluster.Network != mesh.Networks[i].Name) && mesh.Networks.Count > 1)
                yield return Wrong(mesh, "ISM0313", $"spec.networks[{i}].name", $"no cluster is in network '{mesh.Networks[i].Name}'",
                    "add a cluster to it, or remove it");
        }
    }

    private static IEnumerable<Problem> Primaries(MeshSpec mesh)
    {
        var primaries = mesh.Clusters.Where(cluster => cluster.IsPrimary).Select(cluster => cluster.Name).ToList();
        if (primaries.Count == 0 && !mesh.Clusters.IsEmpty)
            yield return Wrong(mesh, "ISM0314", "spec.clusters", "no cluster is a primary, so nothing would configure the proxies",
                "remove 'primaries' from one of them");
        for (var i = 0; i < mesh.Clusters.Count; i++)
        {
            for (var j = 0; j < mesh.Clusters[i].Primaries.Count; j++)
            {
                var (path, primary) = ($"spec.clusters[{i}].primaries[{j}]", mesh.Clusters[i].Primaries[j]);
                if (primary == mesh.Clusters[i].Name)
                    yield return Wrong(mesh, "ISM0315", path, $"'{primary}' is the cluster itself, listed with others",
                        "a cluster either is a primary or has primaries; remove one");
                else if (mesh.Clusters.All(cluster => cluster.Name != primary))
                    yield return Wrong(mesh, "ISM0315", path, $"'{primary}' is not a cluster in this file", $"primaries: {string.Join(", ", primaries)}");
                else if (!primaries.Contains(primary))
                    yield return Wrong(mesh, "ISM0315", path, $"'{primary}' is itself a remote", $"primaries: {string.Join(", ", primaries)}");
                else if (mesh.Clusters[i].Primaries.Take(j).Contains(primary))
                    yield return Wrong(mesh, "ISM0311", path, $"'{primary}' is listed twice", "list each primary once");
            }
        }
    }

    private static IEnumerable<Problem> Gateways(MeshSpec mesh)
    {
        for (var i = 0; i < mesh.Networks.Count; i++)
        {
            for (var j = 0; j < mesh.Networks[i].Gateway.Clusters.Count; j++)
            {
                var name = mesh.Networks[i].Gateway.Clusters[j];
                if (mesh.Clusters.All(cluster => cluster.Name != name || cluster.Network != mesh.Networks[i].Name))
                    yield return Wrong(mesh, "ISM0316", $"spec.networks[{i}].gateway.clusters[{j}]",
                        $"'{name}' is not a cluster in network '{mesh.Networks[i].Name}'",
                        $"its clusters are: "
                            + $"{string.Join(", ", mesh.Clusters.Where(cluster => cluster.Network == mesh.Networks[i].Name).Select(cluster => cluster.Name))}");
            }
            if (mesh.Networks[i].Gateway.Service.ContainsKey("ports") || mesh.Networks[i].Gateway.Service.ContainsKey("selector"))
                yield return Wrong(mesh, "ISM0316", $"spec.networks[{i}].gateway.service", "sets ports or selector, which are derived from the mesh",
                    "remove them");
        }
        // A remote reaches its control plane through the gateway in the control plane's cluster.
        for (var i = 0; i < mesh.Clusters.Count; i++)
        {
            foreach (var primary in mesh.Clusters[i].Entries.Where(name => mesh.Clusters.Any(cluster => cluster.Name == name
                && mesh.Networks.Any(network => network.Name == cluster.Network)))
                .Select(mesh.Cluster))
            {
                var gateway = mesh.NetworkOf(primary).Gateway;
                if (!gateway.Clusters.IsEmpty && !gateway.Clusters.Contains(primary.Name))
                    yield return Wrong(mesh, "ISM0317",
                        mesh.Clusters[i].ControlPlane is null ? $"spec.clusters[{i}].primaries" : $"spec.clusters[{i}].controlPlane",
                        $"'{primary.Name}' runs no east-west gateway, which this cluster needs to reach its control plane",
                        $"add it to the gateway's clusters of network '{primary.Network}'");
            }
        }
    }

    private static IEnumerable<Problem> Installs(MeshSpec mesh)
    {
        foreach (var problem in Install(mesh, "spec.install", mesh.Install)) yield return problem;
        for (var i = 0; i < mesh.Clusters.Count; i++)
        {
            foreach (var problem in Install(mesh, $"spec.clusters[{i}].install", mesh.Clusters[i].Install)) yield return problem;
        }
    }

    private static IEnumerable<Problem> Install(MeshSpec mesh, string path, JsonObject install)
    {
        foreach (var problem in OperatorSchema.Check(install))
            yield return problem with
            {
                Object = mesh.Source, Path = path + problem.Path["spec".Length..],
                Message = problem.Message.Replace("in spec", $"in {path}", StringComparison.Ordinal)
            };
        if (install["profile"]?.ToString() is { Length: > 0 } profile && !Profiles.Names.Contains(profile))
            yield return Wrong(mesh, "ISM0318", $"{path}.profile", $"'{profile}' is not a profile", $"profiles: {string.Join(", ", Profiles.Names)}");
        var global = install["values"]?["global"] as JsonObject ?? [];
        foreach (var (field, remedy) in Decided)
        {
            if (global[field] is { } value)
                yield return Wrong(mesh, "ISM0319", $"{path}.values.global.{field}", $"'{value}' conflicts with the mesh file",
                    $"remove it; it is derived from {remedy}");
        }
        if (install["revision"] is { } revision)
            yield return Wrong(mesh, "ISM0319", $"{path}.revision", $"'{revision}' conflicts with the mesh file", "set spec.revision instead");
    }

    private static Problem Wrong(MeshSpec mesh, string code, string path, string message, string remedy) => new(code, mesh.Source, path, message, remedy);
}

using Isthmus.Core.Problems;
using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>VirtualServices of sidecars for Services that no cluster has, often because a short name is completed with the wrong namespace. Pure.</summary>
public static class VirtualServiceHosts
{
    private const string Suffix = ".svc.cluster.local";

    public static Analyzer Analyzer
    {
        get;
    } = new("virtualservice.HostAnalyzer", "Checks that the Services exist whose routes VirtualServices define for sidecars",
        [IstioCodes.ReferencedResourceNotFound], ["VirtualService", "Service"], mesh =>
        from config in mesh.Clusters
        // Clusters that were not read may have them.
        where mesh.ReadsAll
        from service in config.Cluster.Istio<VirtualService>()
        where service.ForSidecars
        from host in service.Hosts.Index()
        let meant = Shortened(mesh, host.Item)
        where (meant.Length > 0 || host.Item.EndsWith(Suffix, StringComparison.Ordinal)) && !host.Item.StartsWith('*') && mesh.Hosts.Find(host.Item).Count == 0
        let elsewhere = mesh.Readable.SelectMany(cluster => cluster.Services).FirstOrDefault(other => other.Metadata.Name == host.Item.Split('.')[0])
        select IstioCodes.ReferencedResourceNotFound.At(config.Cluster, $"VirtualService {service.Namespace}/{service.Name}", $"spec.hosts[{host.Index}]",
            $"Referenced host not found: \"{host.Item}\": the routes have no effect on calls inside the mesh"
                + (meant.Length > 0 ? ", because a name with a dot is taken as it is written" : ""),
            meant.Length > 0 ? $"write the host as {meant}" : elsewhere is null ? null : $"write the host as {HostTable.NameOf(elsewhere)}", Severity.Warning));

    /// <summary>The host of which a name with a dot leaves out the end, as only callers may; empty: of none.</summary>
    private static string Shortened(MeshSnapshot mesh, string name)
    {
        var full = name.EndsWith(".svc", StringComparison.Ordinal) ? $"{name}{Suffix[4..]}" : $"{name}{Suffix}";
        return name.Contains('.', StringComparison.Ordinal) && mesh.Hosts.Find(full).Any(known => known.Service is not null) ? full : "";
    }
}

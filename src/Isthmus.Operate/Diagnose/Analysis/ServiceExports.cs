using Isthmus.Core.Problems;
using Isthmus.Mesh.Config;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>ServiceExports whose name no Service has: they export nothing. Pure.</summary>
public static class ServiceExports
{
    public static Analyzer Analyzer
    {
        get;
    } = new("multicluster.ServiceExportAnalyzer", "Checks that ServiceExports are for Services", [ClusterCodes.ExportOfNothing],
        [MeshApi.Service.Name, MeshApi.ServiceExport.Name], mesh =>
        from cluster in mesh.Readable
        // One set of objects may be applied to all clusters, also to those without the Service.
        where mesh.ReadsAll
        from export in cluster.Objects(MeshApi.ServiceExport.Name)
        let ns = export["metadata"]?["namespace"]?.ToString() ?? ""
        let name = export["metadata"]?["name"]?.ToString() ?? ""
        where mesh.Readable.All(other => other.Service(ns, name) is null)
        let near = Spelling.Nearest(name, cluster.Services.Where(service => service.Metadata.Namespace == ns).Select(service => service.Metadata.Name))
        select ClusterCodes.ExportOfNothing.At(cluster, $"ServiceExport {ns}/{name}", "metadata.name",
            $"Referenced Service not found: \"{ns}/{name}\": no cluster has it, so nothing is exported",
            near is null ? null : $"did you mean \"{near}\"? Create a ServiceExport with that name, and delete this one"));
}

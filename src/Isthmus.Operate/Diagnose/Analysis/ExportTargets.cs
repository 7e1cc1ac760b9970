using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Mesh.Config;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Objects that are exported to namespaces which no cluster has, and so have no effect there. Pure.</summary>
public static class ExportTargets
{
    public static Analyzer Analyzer { get; } = new("export.NamespaceAnalyzer", "Checks that the namespaces exist to which objects are exported",
        [IstioCodes.ReferencedResourceNotFound], ["Namespace"], mesh =>
    {
        // Every cluster has these, also where only files are known.
        var known = mesh.Readable.SelectMany(cluster => cluster.Namespaces).Select(ns => ns.Metadata.Name)
            .Concat(["default", WellKnown.SystemNamespace, "kube-system"]).ToHashSet(StringComparer.Ordinal);
        return
            from cluster in mesh.Readable
            from value in MeshApi.Istio.SelectMany(kind => cluster.Objects(kind.Name))
            from target in (value["spec"]?["exportTo"] as JsonArray ?? []).Index()
            let ns = target.Item?.ToString() ?? ""
            where ns is not ("" or "*" or "." or "~") && !known.Contains(ns) && mesh.ReadsAll
            select IstioCodes.ReferencedResourceNotFound.At(cluster, ClusterInventory.NameOf(value), $"spec.exportTo[{target.Index}]",
                $"Referenced namespace not found: \"{ns}\": no cluster has it", Spelling.Nearest(ns, known) is { } near ? $"did you mean \"{near}\"?" : null,
                Severity.Warning);
    });
}

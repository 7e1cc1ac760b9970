using System.Text.Json.Nodes;
using Isthmus.Core.Json;
using Isthmus.Mesh.Model;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Patches that refer to a filter which another EnvoyFilter inserts later, so that they change nothing. Pure.</summary>
public static class EnvoyFilterOrder
{
    private sealed record Placed(EnvoyFilter Owner, int Index, EnvoyPatch Patch)
    {
        /// <summary>The filter that the patch refers to; empty if it refers to none.</summary>
        public string Refers =>
            Patch.Operation is PatchOperation.Add or PatchOperation.InsertFirst || Patch.Listener is not { } listener
                ? ""
                : Patch.Target == PatchTarget.HttpFilter
                ? listener.SubFilter
                : Patch.Target == PatchTarget.NetworkFilter
                ? listener.Filter
                : "";

        /// <summary>The filter that it inserts; empty if it inserts none.</summary>
        public string Inserts =>
            Patch.IsMerge || Patch.Operation == PatchOperation.Remove || Patch.Value is null
                ? ""
                : StrictJson.Parse(Patch.Value.Json)?["name"]?.ToString() ?? "";
    }

    public static Analyzer Analyzer
    {
        get;
    } = new("envoyfilter.EnvoyPatchAnalyzer", "Checks that EnvoyFilters apply after those whose filters they refer to",
        [IstioCodes.RelativePatch, IstioCodes.RelativePatchOfVersion], ["EnvoyFilter"], mesh => mesh.Readable.SelectMany(Check));

    /// <summary>Patches that change nothing, because of the order.</summary>
    internal static IEnumerable<Finding> Check(ClusterInventory cluster)
    {
        var ordered = cluster.Istio<EnvoyFilter>().OrderBy(filter => filter.Priority).ThenBy(filter => filter.Namespace != cluster.RootNamespace)
            .ThenBy(filter => filter.CreatedAt).ThenBy(filter => filter.Source).ToList();
        var patches = ordered.SelectMany(filter => filter.Patches.Index().Select(patch => new Placed(filter, patch.Index, patch.Item))).ToList();
        return
            from pair in patches.Index()
            let refers = pair.Item.Refers
            where refers.Length > 0
            let inserting = patches.Index()
                .Where(other => other.Item.Owner != pair.Item.Owner && other.Item.Patch.Target == pair.Item.Patch.Target && other.Item.Inserts == refers
                    && CanMeet(cluster, pair.Item.Owner, other.Item.Owner))
                .ToList()
            // One that is earlier is enough.
            where inserting.Count > 0 && inserting.TrueForAll(other => other.Index > pair.Index)
            let later = inserting[0].Item.Owner
            select (pair.Item.Patch.Proxy.Version.Length > 0 ? IstioCodes.RelativePatchOfVersion : IstioCodes.RelativePatch)
                .At(cluster, $"EnvoyFilter {pair.Item.Owner.Namespace}/{pair.Item.Owner.Name}", $"spec.configPatches[{pair.Item.Index}].patch.operation",
                $"refers to the filter {refers}, which EnvoyFilter {later.Namespace}/{later.Name} inserts later, so it changes nothing",
                $"set spec.priority above {later.Priority}");
    }

    private static bool CanMeet(ClusterInventory cluster, EnvoyFilter one, EnvoyFilter two) =>
        one.Namespace == two.Namespace || one.Namespace == cluster.RootNamespace || two.Namespace == cluster.RootNamespace;
}

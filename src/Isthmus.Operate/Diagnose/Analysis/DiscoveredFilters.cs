using System.Text.Json.Nodes;
using Isthmus.Core.Json;
using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Filters of EnvoyFilters that discover their configuration: a patch has to add it, with a type that they take. Pure.</summary>
public static class DiscoveredFilters
{
    private sealed record Added(string Namespace, EnvoyPatch Patch, string Name, string Type);

    public static Analyzer Analyzer { get; } = new("envoyfilter.DiscoveryAnalyzer", "Checks that what filters discover is added by patches of EXTENSION_CONFIG",
        [OwnCodes.NothingDiscovered], ["EnvoyFilter"], mesh => mesh.Clusters.SelectMany(Check));

    private static IEnumerable<Finding> Check(ConfigCluster config)
    {
        var filters = config.Cluster.Istio<EnvoyFilter>().ToList();
        var added = filters.SelectMany(filter => filter.Patches.Where(patch => patch.Target == PatchTarget.ExtensionConfig)
            .Select(patch => Of(filter.Namespace, patch))).ToList();
        return
            from filter in filters
            from patch in filter.Patches.Index()
            where patch.Item is { IsForEnvoys: true, Target: not PatchTarget.ExtensionConfig, Value: not null }
            let value = StrictJson.Parse(patch.Item.Value!.Json) as JsonObject ?? []
            let discovery = value["config_discovery"] as JsonObject
            where discovery is not null
            let name = value["name"]?.ToString() ?? ""
            let meant = added.Where(item => item.Name == name && AreTogether(config, filter.Namespace, item) && MayMeet(patch.Item.Context, item.Patch))
                .ToList()
            let types = (discovery["type_urls"] as JsonArray ?? []).Select(url => TypeName(url?.ToString() ?? "")).ToList()
            where !meant.Exists(item => types.Contains(item.Type))
            select OwnCodes.NothingDiscovered.At(config.Cluster, $"EnvoyFilter {filter.Namespace}/{filter.Name}",
                $"spec.configPatches[{patch.Index}].patch.value.config_discovery",
                meant.Count > 0
                    ? $"takes {string.Join(", ", types)}, but \"{name}\" is added with the type {meant[0].Type}, which Envoy refuses"
                    : $"no patch of EXTENSION_CONFIG adds \"{name}\" for these proxies: "
                        + $"{(discovery["default_config"] is null ? "they refuse all requests (500) or connections" : "they keep default_config")}");
    }

    /// <summary>Some proxy may get both: objects of the root namespace are for all namespaces.</summary>
    private static bool AreTogether(ConfigCluster config, string ns, Added item) =>
        ns == item.Namespace || config.Cluster.RootNamespace == ns || config.Cluster.RootNamespace == item.Namespace;

    private static bool MayMeet(PatchContext context, EnvoyPatch added) =>
        context == PatchContext.Any || added.IsFor(context)
        || (context == PatchContext.SidecarInbound && added.IsFor(PatchContext.SidecarOutbound));

    private static Added Of(string ns, EnvoyPatch patch)
    {
        var value = StrictJson.Parse(patch.Value!.Json);
        var config = value?["typed_config"];
        var type = TypeName(config?["@type"]?.ToString() ?? "");
        // Envoy reads a struct as the message that it describes.
        if (type.EndsWith(".TypedStruct", StringComparison.Ordinal)) type = TypeName(config!["type_url"]?.ToString() ?? "");
        return new(ns, patch, value?["name"]?.ToString() ?? "", type);
    }

    private static string TypeName(string url) => url[(url.LastIndexOf('/') + 1)..];
}

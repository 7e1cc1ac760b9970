using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Mesh.Model;

namespace Isthmus.Mesh.Config;

/// <summary>Reads EnvoyFilters. Patches that proxies would not honour as a whole are errors.</summary>
internal static class EnvoyFilterReader
{
    private const string SniCluster = "envoy.filters.network.sni_cluster";
    private const string RewriteType = "istio.envoy.config.filter.network.tcp_cluster_rewrite.v2alpha1.TcpClusterRewrite";
    private const int LongestPattern = 1024;

    public static EnvoyFilter Read(ObjectRef source, Field spec, long createdAt)
    {
        var target = WorkloadTarget.Read(spec, spec["workloadSelector"]["labels"]);
        var rewrites = new List<SniRewrite>();
        var patches = new List<EnvoyPatch>();
        foreach (var patch in spec["configPatches"].Items)
        {
            if (!IsWhole(patch)) continue;
            if (IsRewrite(patch))
            {
                if (ReadRewrite(patch) is { } rewrite) rewrites.Add(rewrite);
            }
            else if (patch["patch"]["value"]["typed_config"]["@type"] is var type && type.Text.EndsWith("/" + RewriteType, StringComparison.Ordinal))
                type.Error("works only directly after sni_cluster in a gateway", $"use INSERT_AFTER with the filter {SniCluster}, in the context GATEWAY");
            else if (EnvoyPatchReader.Read(patch) is { } read) patches.Add(read);
        }
        return new(source, target, rewrites.ToValueList(),
            createdAt) { Priority = spec["priority"].Int ?? 0, Patches = patches.ToValueList() };
    }

    /// <summary>Whether the patch has the place, operation and value that Istio requires.</summary>
    private static bool IsWhole(Field patch)
    {
        var (place, change) = (patch["applyTo"], patch["patch"]);
        if (place.Text is "" or "INVALID") place.Error("must say what the patch is applied to", "for example HTTP_FILTER");
        else if (change["operation"].Text is "" or "INVALID") change["operation"].Error("must say what the patch does", "for example MERGE");
        else if (change["operation"].Text != "REMOVE" && !change["value"].Exists) change["value"].Error("is missing: only REMOVE does without one");
        else return true;
        return false;
    }

    private static bool IsRewrite(Field patch)
    {
        var (match, change) = (patch["match"], patch["patch"]);
        return patch["applyTo"].Text == "NETWORK_FILTER"
            && match["context"].Text is "" or "ANY" or "GATEWAY"
            && match["listener"]["filterChain"]["filter"]["name"].Text == SniCluster
            && change["operation"].Text == "INSERT_AFTER"
            && change["value"]["typed_config"]["@type"].Text.EndsWith("/" + RewriteType, StringComparison.Ordinal);
    }

    private static SniRewrite? ReadRewrite(Field patch)
    {
        var config = patch["patch"]["value"]["typed_config"];
        var (pattern, replacement) = (config["cluster_pattern"], config["cluster_replacement"]);
        if (pattern.Text.Length is 0 or > LongestPattern)
        {
            pattern.Error($"must have between 1 and {LongestPattern} characters");
            return null;
        }
        if (LinearRegex.Fault(pattern.Text) is { } fault)
        {
            pattern.Error($"\"{pattern.Text}\" is not a usable regular expression: {fault}");
            return null;
        }
        return new(patch["match"]["listener"]["portNumber"].Int ?? 0, pattern.Text, replacement.Text);
    }
}

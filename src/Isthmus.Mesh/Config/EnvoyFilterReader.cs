using System.Text.RegularExpressions;
using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;

namespace Isthmus.Mesh.Config;

/// <summary>Reads the patches of an EnvoyFilter that the control plane supports, and reports the others as ignored.</summary>
internal static class EnvoyFilterReader
{
    private const string SniCluster = "envoy.filters.network.sni_cluster";
    private const string RewriteType = "istio.envoy.config.filter.network.tcp_cluster_rewrite.v2alpha1.TcpClusterRewrite";
    private const int LongestPattern = 1024;

    public static EnvoyFilter Read(ObjectRef source, Field spec, long createdAt)
    {
        TargetRefs.Refuse(spec);
        var rewrites = new List<SniRewrite>();
        foreach (var patch in spec["configPatches"].Items)
        {
            if (!IsWhole(patch)) continue;
            if (!IsRewrite(patch)) patch.Warn("is accepted and not acted on: only tcp_cluster_rewrite behind sni_cluster is", "express it by another of Istio's objects");
            else if (ReadRewrite(patch) is { } rewrite) rewrites.Add(rewrite);
        }
        return new(source, spec["workloadSelector"]["labels"].TextMap, rewrites.ToValueList(), createdAt);
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
        try
        {
            _ = new Regex(pattern.Text, RegexOptions.NonBacktracking | RegexOptions.CultureInvariant);
        }
        catch (Exception e) when (e is ArgumentException or NotSupportedException)
        {
            pattern.Error($"\"{pattern.Text}\" is not a usable regular expression: {e.Message}");
            return null;
        }
        return new(patch["match"]["listener"]["portNumber"].Int ?? 0, pattern.Text, replacement.Text);
    }
}

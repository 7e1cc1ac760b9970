using Isthmus.Core.Problems;
using Isthmus.Mesh.Model.GatewayApi;

namespace Isthmus.Mesh.Resolve.GatewayApi;

/// <summary>Which ConfigMaps say how Gateways are deployed. Pure.</summary>
public static class ParameterRules
{
    /// <summary>The keys of such a ConfigMap, each with the kind of object that it is for.</summary>
    public static readonly IReadOnlyDictionary<string, string> Parts = new Dictionary<string, string>(StringComparer.Ordinal)
    {
        ["deployment"] = "Deployment", ["service"] = "Service", ["serviceAccount"] = "ServiceAccount",
        ["horizontalPodAutoscaler"] = "HorizontalPodAutoscaler", ["podDisruptionBudget"] = "PodDisruptionBudget",
    };

    private const string InvalidParameters = "InvalidParameters";

    /// <summary>Whether a ConfigMap with these keys is one of them.</summary>
    public static bool Has(IEnumerable<string> keys) => keys.Any(Parts.ContainsKey);

    /// <summary>Whether all keys are such ones.</summary>
    public static bool AreAll(IEnumerable<string> keys) => keys.All(Parts.ContainsKey);

    /// <summary>What is wrong with a reference to one; null for nothing.</summary>
    /// <param name="reference">The reference.</param>
    /// <param name="isThere">Whether there is such a ConfigMap.</param>
    /// <param name="from">The object that has the reference.</param>
    /// <param name="path">The field.</param>
    public static Problem? Fault(ApiReference reference, bool isThere, string from, string path) =>
        reference is not { Group: "", Kind: "ConfigMap" }
            ? new(InvalidParameters, from, path, $"{reference.Kind} of group \"{reference.Group}\" is not supported", "refer to a ConfigMap (group \"\")")
        : isThere ? null
        : new(InvalidParameters, from, path,
            $"ConfigMap {reference.Namespace}/{reference.Name} does not exist, or has none of the keys {string.Join(", ", Parts.Keys)}",
            "create it, or correct the reference");
}

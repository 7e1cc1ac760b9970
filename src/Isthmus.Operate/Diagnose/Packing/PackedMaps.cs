using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Mesh.Resolve.GatewayApi;

namespace Isthmus.Operate.Diagnose.Packing;

/// <summary>
/// Of ConfigMaps only those of the mesh and of the DNS, those with nothing but CAs, and of those that say how Gateways are deployed the keys: others
/// may hold anything. Pure.
/// </summary>
internal static class PackedMaps
{
    /// <summary>The root of the API server, in every namespace.</summary>
    private const string KubernetesRoot = "kube-root-ca.crt";

    private static readonly string[] CaKeys = ["ca.crt", "cacert", "ca.crl"];

    internal static bool IsNeeded(JsonObject value)
    {
        if (value["kind"]?.ToString() != "ConfigMap") return true;
        var name = value["metadata"]?["name"]?.ToString() ?? "";
        var keys = KeysOf(value);
        if (keys.Count > 0 && name != KubernetesRoot && (IsOfGateways(keys) || keys.TrueForAll(CaKeys.Contains))) return true;
        return name is WellKnown.RootCertConfigMap or "coredns" || name.StartsWith("istio-sidecar-injector", StringComparison.Ordinal)
            || value["data"]?["mesh"] is not null;
    }

    /// <summary>The object, without what a patch of Pods may say.</summary>
    internal static JsonObject Trimmed(JsonObject value)
    {
        if (value["kind"]?.ToString() != "ConfigMap" || KeysOf(value) is not { Count: > 0 } keys || !IsOfGateways(keys)) return value;
        var trimmed = (JsonObject)value.DeepClone();
        trimmed["data"] = new JsonObject(keys.Select(key => KeyValuePair.Create(key, (JsonNode?)"")));
        return trimmed;
    }

    private static bool IsOfGateways(List<string> keys) => ParameterRules.AreAll(keys);

    private static List<string> KeysOf(JsonObject value) => [.. (value["data"] as JsonObject ?? []).Select(item => item.Key)];
}

using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Core.Json;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Resolve;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>WasmPlugins, and EnvoyFilters with what only Envoy knows, that are for Pods whose proxy is not an Envoy. Pure.</summary>
public static class EnvoyOnlyObjects
{
    public static Analyzer Analyzer
    {
        get;
    } = new("workload.EnvoyOnlyAnalyzer", "Checks that Pods have the proxy that WasmPlugins and EnvoyFilters need", [OwnCodes.NeedsEnvoy], ["Pod"],
        mesh => mesh.Clusters.SelectMany(Check));

    private static IEnumerable<Finding> Check(ConfigCluster config) =>
        from item in config.Cluster.Istio<WasmPlugin>().Cast<object>().Concat(config.Cluster.Istio<EnvoyFilter>())
        let wanted = EnvoyOnly.Of(item)
        where wanted is not null
        let places = config.Selected(wanted.Value.Source.Namespace, wanted.Value.Selector).Where(workload => workload.Pod is not null && workload.HasProxy)
            .Select(workload => new EnvoyOnly.Place(workload.Pod!.Key, workload.Namespace, workload.Labels.ToValueMap(),
                IsEnvoy(Workload.ProxyOf(workload.Pod.Spec)!, EnvoyOnly.NeedsOurAgent(item))))
        let unserved = EnvoyOnly.Unserved(wanted.Value.Source.Namespace, wanted.Value.Selector, config.Cluster.RootNamespace, places)
        where unserved is not null
        select OwnCodes.NeedsEnvoy.At(config.Cluster, $"{wanted.Value.Source.Kind} {wanted.Value.Source.Namespace}/{wanted.Value.Source.Name}", "spec",
            unserved);

    /// <summary>The agent of Isthmus runs an Envoy if it is told to; the image of Istio has one.</summary>
    private static bool IsEnvoy(Container proxy, bool byOurAgent) => (!byOurAgent && IsOfIstio(proxy))
        || proxy.Env.Any(variable => variable.Name == "PROXY_BINARY_PATH"
            ? variable.Value is { Length: > 0 }
            : variable.Name == "PROXY_CONFIG" && HasBinary(variable.Value));

    private static bool IsOfIstio(Container proxy) => proxy.Image.Split('@')[0].Split('/')[^1].Split(':')[0].StartsWith("proxyv2", StringComparison.Ordinal);

    private static bool HasBinary(string? config)
    {
        try
        {
            return config is { Length: > 0 } && StrictJson.Parse(config) is JsonObject fields && fields["binaryPath"] is JsonValue path
                && path.TryGetValue<string>(out var text) && text.Length > 0;
        }
        catch (JsonException)
        {
            return false;
        }
    }
}

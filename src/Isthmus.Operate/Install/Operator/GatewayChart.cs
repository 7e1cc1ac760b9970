using System.Text.Json;
using System.Text.Json.Nodes;

namespace Isthmus.Operate.Install.Operator;

/// <summary>The values of the chart <c>gateway</c>, which no IstioOperator has.</summary>
public static class GatewayChart
{
    private const string Ports = "networkGatewayPorts";

    /// <summary>By path: the keys that have an effect. What is below a path that is not listed is free.</summary>
    private static readonly Dictionary<string, string[]> Keys = new(StringComparer.Ordinal)
    {
        [""] = Words(
            "name revision replicaCount autoscaling podDisruptionBudget strategy terminationGracePeriodSeconds rbac serviceAccount networkGateway "
                + "networkGatewayPorts service labels annotations podAnnotations"
            + " imagePullPolicy imagePullSecrets env resources nodeSelector tolerations topologySpreadConstraints affinity priorityClassName volumes "
            + "volumeMounts securityContext containerSecurityContext global"),
        [Ports] = Words("status-port tls tls-istiod tls-webhook"),
        [$"{Ports}.status-port"] = Words("port targetPort protocol"),
        [$"{Ports}.tls"] = Words("port targetPort protocol"),
        [$"{Ports}.tls-istiod"] = Words("port targetPort protocol"),
        [$"{Ports}.tls-webhook"] = Words("port targetPort protocol"),
        ["rbac"] = Words("enabled"),
        ["serviceAccount"] = Words("create annotations name"),
        ["service"] = Words("type ports annotations loadBalancerIP loadBalancerClass loadBalancerSourceRanges externalTrafficPolicy externalIPs"),
        ["autoscaling"] = Words("enabled minReplicas maxReplicas targetCPUUtilizationPercentage targetMemoryUtilizationPercentage autoscaleBehavior"),
    };

    /// <summary>The paths that have an effect.</summary>
    public static IEnumerable<string> Effective => Keys.SelectMany(entry => entry.Value.Select(key => Below(entry.Key, key)));

    /// <summary>The paths of values that have no effect. Empty ones, with which Istio's chart documents itself, say nothing.</summary>
    public static IEnumerable<string> Idle(JsonObject values) => Idle("", values);

    private static IEnumerable<string> Idle(string path, JsonObject values)
    {
        foreach (var (key, value) in values)
        {
            var at = Below(path, key);
            if (!Keys[path].Contains(key))
            {
                if (!IsEmpty(value)) yield return at;
            }
            else if (value is JsonObject inner && Keys.ContainsKey(at))
            {
                foreach (var idle in Idle(at, inner)) yield return idle;
            }
        }
    }

    private static bool IsEmpty(JsonNode? value) => value switch
    {
        null or JsonObject { Count: 0 } or JsonArray { Count: 0 } => true,
        JsonValue one => one.GetValueKind() == JsonValueKind.String && one.ToString().Length == 0,
        _ => false,
    };

    private static string Below(string path, string key) => path.Length == 0 ? key : $"{path}.{key}";

    private static string[] Words(string text) => text.Split(' ');
}

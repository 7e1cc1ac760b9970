using System.Text.Json.Nodes;
using Isthmus.Operate.Install.Operator;
using static Isthmus.Operate.Install.Render.ObjectLabels;

namespace Isthmus.Operate.Install.Render;

/// <summary>NetworkPolicies that leave only the ports of a workload open (<c>values.global.networkPolicy.enabled</c>; networking.k8s.io/v1). What the workload
/// calls is not restricted: API servers of all clusters, issuers of tokens, and what gateways lead to.</summary>
internal static class NetworkPolicies
{
    /// <summary>The policy of a Deployment, with its name, labels and selector; none if the installation has none.</summary>
    /// <param name="ports">Protocol and port, as a Service has them.</param>
    internal static IEnumerable<JsonObject> Of(OperatorSpec spec, JsonObject deployment, IEnumerable<(string Protocol, JsonNode Port)> ports)
    {
        if (!((bool?)spec.Value("global", "networkPolicy", "enabled") ?? false)) yield break;
        var metadata = deployment["metadata"]!;
        var policy = Object("networking.k8s.io/v1", "NetworkPolicy", metadata["name"]!.ToString(), metadata["namespace"]!.ToString(),
            (JsonObject)metadata["labels"]!.DeepClone());
        var open = ports.DistinctBy(port => $"{port.Protocol}/{port.Port}")
            .Select(port => (JsonNode)new JsonObject { ["protocol"] = port.Protocol, ["port"] = port.Port.DeepClone() });
        policy["spec"] = new JsonObject
        {
            ["podSelector"] = deployment["spec"]!["selector"]!.DeepClone(),
            ["policyTypes"] = Strings("Ingress", "Egress"),
            ["ingress"] = new JsonArray(new JsonObject { ["ports"] = new JsonArray([.. open]) }),
            ["egress"] = new JsonArray(new JsonObject()),
        };
        yield return policy;
    }
}

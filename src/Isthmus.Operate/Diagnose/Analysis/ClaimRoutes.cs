using Isthmus.Core.Collections;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Routes by the claims of a token, at gateways that check no token. Pure.</summary>
public static class ClaimRoutes
{
    private const string Claims = "@request.auth.claims";

    public static Analyzer Analyzer { get; } = new("virtualservice.JWTClaimRouteAnalyzer", "Checks that gateways check the tokens whose claims choose routes",
        [IstioCodes.ClaimsWithoutTokens], ["VirtualService", "Gateway", "Pod"], mesh =>
        from config in mesh.Clusters
        from service in config.Cluster.Written<VirtualService>()
        let path = PathOf(config.Cluster.Find($"VirtualService {service.Namespace}/{service.Name}"))
        where path.Length > 0
        from gateway in config.Cluster.Written<Gateway>().Where(gateway => service.Gateways.Contains(gateway.FullName))
        let pods = config.Reach.SelectMany(area => area.All).Where(workload => LabelSelector.Selects(gateway.Selector, workload.Labels)).ToList()
        where pods.Count > 0 && !pods.Exists(pod => ChecksTokens(config, pod))
        select IstioCodes.ClaimsWithoutTokens.At(config.Cluster, $"VirtualService {service.Namespace}/{service.Name}", path,
            $"matches claims of a token, and no RequestAuthentication selects the Pods of Gateway {gateway.FullName}: the route is never used"));

    private static bool ChecksTokens(ConfigCluster config, Workload pod) => config.Cluster.Istio<RequestAuthentication>()
        .Any(policy => policy.Reaches(pod.Namespace, config.Cluster.RootNamespace) && policy.Selector.Selects(pod.Labels));

    /// <summary>The first match by a claim; empty when there is none.</summary>
    private static string PathOf(JsonObject? service) =>
        (from route in (service?["spec"]?["http"] as JsonArray ?? []).Index()
         from match in (route.Item?["match"] as JsonArray ?? []).Index()
         from field in (string[])["headers", "withoutHeaders"]
         from header in match.Item?[field] as JsonObject ?? []
         where header.Key.StartsWith(Claims, StringComparison.Ordinal)
         select $"spec.http[{route.Index}].match[{match.Index}].{field}[{header.Key}]").FirstOrDefault("");
}

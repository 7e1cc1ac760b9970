using Isthmus.Core.Names;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Config.GatewayApi;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Policies for gateways that pass connections between networks and look at nothing but their SNI. Pure.</summary>
public static class PassingPolicies
{
    public static Analyzer Analyzer
    {
        get;
    } = new("workload.PassingGatewayAnalyzer", "Checks that policies are not only for gateways that pass connections on", [OwnCodes.PolicyOfPassingGateway],
        ["AuthorizationPolicy", "RequestAuthentication", "Gateway", "Pod"], mesh => mesh.Clusters.SelectMany(Check));

    private static IEnumerable<Finding> Check(ConfigCluster config) =>
        from policy in config.Cluster.Istio<AuthorizationPolicy>().Select(policy => (policy.Source, policy.Selector, Says: Unknown(policy)))
            .Concat(config.Cluster.Istio<RequestAuthentication>().Select(policy => (policy.Source, policy.Selector, Says: "checks no tokens there")))
        where policy.Says.Length > 0 && !policy.Selector.IsEmpty
        // The Pods say what their Deployments run.
        let selected = config.Selected(policy.Source.Namespace, policy.Selector).Where(workload => workload.Pod is not null).ToList()
        where selected.Count > 0 && selected.TrueForAll(workload => OnlyPasses(config, workload))
        select OwnCodes.PolicyOfPassingGateway.At(config.Cluster, $"{policy.Source.Kind} {policy.Source.Namespace}/{policy.Source.Name}",
            UnmatchedSelectors.Path(policy.Selector, "spec.selector"),
            $"{policy.Says}: {string.Join(", ", selected.Select(workload => workload.Name).Take(3))} {(selected.Count == 1 ? "passes" : "pass")} "
                + "connections of other networks on as they are, encrypted from end to end");

    /// <summary>What a policy means where connections have addresses, ports and an SNI, and neither callers nor requests; empty where it means the
    /// same.</summary>
    private static string Unknown(AuthorizationPolicy policy)
    {
        var keys = policy.Rules.SelectMany(rule => rule.From.Concat(rule.To).SelectMany(terms => terms).Concat(rule.When)).Select(term => term.Key)
            .Where(key => key is not (RuleKeys.SourceIp or RuleKeys.RemoteIp or RuleKeys.DestinationIp or RuleKeys.DestinationPort or RuleKeys.Sni)).Distinct()
            .ToList();
        return keys.Count == 0 ? "" : policy.Action == PolicyAction.Allow
            ? $"allows nobody there by {string.Join(", ", keys)}, so that calls of other networks fail"
            : $"matches nobody there by {string.Join(", ", keys)}";
    }

    /// <summary>Whether all that a gateway serves passes connections to the service that their SNI names.</summary>
    private static bool OnlyPasses(ConfigCluster config, Workload workload)
    {
        if (workload is not { IsGateway: true, Pod: { } pod }) return false;
        var servers = config.Cluster.Istio<Gateway>().Where(gateway => LabelSelector.Selects(gateway.Selector, workload.Labels))
            .SelectMany(gateway => gateway.Servers).Select(server => server.Tls is { Mode: ServerTlsMode.AutoPassthrough });
        if (workload.Labels.GetValueOrDefault(GatewayNaming.GatewayLabel) is { Length: > 0 } label)
        {
            var serving = config.Cluster.Objects(MeshApi.ApiGateway.Name).Select(value => ApiGatewayReader.Read("", value))
                .Where(gateway => gateway.Namespace == workload.Namespace && GatewayNaming.LabelOf(gateway.Name) == label).ToList();
            if (serving.Exists(gateway => MayHaveSets(config.Cluster, gateway))) return false;
            servers = servers.Concat(serving.SelectMany(gateway => gateway.Listeners.Select(gateway.PassesByName)));
        }
        var passing = servers.ToList();
        return passing.Count > 0 && passing.TrueForAll(passes => passes);
    }

    /// <summary>Whether ListenerSets add listeners, as far as anybody can tell: of what they serve, policies may decide.</summary>
    private static bool MayHaveSets(ClusterInventory cluster, ApiGateway gateway) => gateway.AllowedListeners.From != NamespacesFrom.None
        && (!cluster.Knows(MeshApi.ListenerSet.Name) || cluster.Objects(MeshApi.ListenerSet.Name).Select(set => ApiGatewayReader.ReadSet("", set).Parent)
            .Any(parent => parent.Namespace == gateway.Namespace && parent.Name == gateway.Name));
}

using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;

namespace Isthmus.Explain.Tracing.Causes;

/// <summary>What is wrong with the subset of a destination.</summary>
internal sealed class SubsetCauses(TraceFacts facts, CallerConfig config)
{
    public Problem? SelectNothing(MeshHost host, string subset, IReadOnlyList<ServiceInCluster> services, int port)
    {
        foreach (var rule in config.RulesFor(host))
        {
            for (var i = 0; i < rule.Subsets.Count; i++)
            {
                var candidate = rule.Subsets[i];
                if (candidate.Name != subset || candidate.Labels.Count == 0) continue;
                var wanted = candidate.Labels.Items.Where(pair => !pair.Key.StartsWith("topology.", StringComparison.Ordinal))
                    .ToDictionary(StringComparer.Ordinal);
                if (services.SelectMany(service => ServicePods.Ready(service, port)).Any(pod => LabelSelector.Selects(wanted, pod.Metadata.Labels))) continue;
                var have = services.SelectMany(service => service.Pods)
                    .Select(pod => ServicePods.Text(pod.Metadata.Labels.Where(pair => wanted.ContainsKey(pair.Key)).ToDictionary(StringComparer.Ordinal)))
                    .Where(text => text.Length > 0).Distinct();
                return Faults.Of("ISM2034", $"DestinationRule {rule.Namespace}/{rule.Name} in {config.At.Context}", $"spec.subsets[{i}].labels",
                    $"{ServicePods.Text(wanted)} matches no ready Pod of {host.Fqdn}; they have "
                        + $"{string.Join(" or ", have.DefaultIfEmpty("none of these labels"))}",
                    "fix the labels of the subset, or of the Pods");
            }
        }
        return null;
    }

    /// <summary>At the gateway of a cluster with a control plane of its own, the labels of the subset are those of its own DestinationRules; null where they
    /// select Pods, or nobody defines the subset.</summary>
    public Problem? SelectNothingAt(ClusterObjects cluster, ServiceInCluster service, string subset, int port)
    {
        var at = facts.ConfigOf(cluster);
        if (subset.Length == 0 || at == config.At || facts.Host($"{service.Service.Metadata.Name}.{service.Service.Metadata.Namespace}") is not { } host
            || Find(CallerConfig.RulesOf(at, host)) is not { Rule: { } rule } there) return null;
        var wanted = there.Subset.Labels.Items.Where(pair => !pair.Key.StartsWith("topology.", StringComparison.Ordinal)).ToDictionary(StringComparer.Ordinal);
        if (ServicePods.Ready(service, port).Any(pod => LabelSelector.Selects(wanted, pod.Metadata.Labels))) return null;
        var here = Find(config.RulesFor(host));
        var own = here?.Subset.Labels.Items.ToDictionary(StringComparer.Ordinal);
        return Faults.Of("ISM2034", $"DestinationRule {rule.Namespace}/{rule.Name} in {at.Context}", $"spec.subsets[{there.Index}].labels",
            $"of subset {subset} are {ServicePods.Text(wanted)}, which no ready Pod of {service.Name} has"
                + (own is null ? "" : $"; in {config.At.Context}, from where the call comes, they are {ServicePods.Text(own)}"),
            own is not null && service.Pods.Any(pod => LabelSelector.Selects(own, pod.Metadata.Labels)) ? $"set them to {ServicePods.Text(own)}"
                : "fix the labels of the subset, or of the Pods");

        (DestinationRule Rule, int Index, Subset Subset)? Find(IEnumerable<DestinationRule> rules) => rules
            .SelectMany(rule => rule.Subsets.Index().Select(one => ((DestinationRule, int, Subset)?)(rule, one.Index, one.Item)))
            .FirstOrDefault(one => one!.Value.Item3.Name == subset);
    }

    /// <summary>The server name contains the subset, and each control plane makes its gateways' chains from its own
    /// DestinationRules.</summary>
    /// <param name="gateway">The namespace of the gateway.</param>
    public Problem? Missing(ClusterObjects cluster, ServiceInCluster service, string fqdn, string subset, string gateway)
    {
        if (facts.ConfigOf(cluster) != cluster) return null;
        var there = CallerConfig.RulesOf(cluster, facts.Host(fqdn)!).Where(rule => rule.Subsets.Any(candidate => candidate.Name == subset)).ToList();
        var own = service.Service.Metadata.Namespace;
        if (there.Exists(rule => rule.Namespace == own || rule.Namespace == gateway || rule.Namespace == facts.SettingsOf(cluster).Mesh.RootNamespace))
            return null;
        if (there is [var unseen, ..])
            return Faults.Of("ISM2035", $"DestinationRule {unseen.Namespace}/{unseen.Name} in {cluster.Context}", "metadata.namespace",
                $"is {unseen.Namespace}, so the rule is for callers there alone, and the gateway of {cluster.Context} does not know subset {subset}: it "
                    + $"gets the rules of its own namespace {gateway}, of the Service's, and of the root namespace",
                $"create the rule in namespace {own}, in all clusters");
        var known = config.RulesFor(facts.Host(fqdn)!).FirstOrDefault(rule => rule.Subsets.Any(candidate => candidate.Name == subset));
        return Faults.Of("ISM2035", $"DestinationRule {(known is null ? $"for {fqdn}" : $"{known.Namespace}/{known.Name}")} in {cluster.Context}",
            "spec.subsets", $"none defines subset {subset} of {service.Service.Key}, so the gateway of {cluster.Context} has no route for it",
            known is null
                ? $"define the subset in {cluster.Context}"
                : $"apply DestinationRule {known.Namespace}/{known.Name} of {config.At.Context} in {cluster.Context} as well");
    }
}

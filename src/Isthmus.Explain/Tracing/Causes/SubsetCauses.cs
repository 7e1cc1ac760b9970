using Isthmus.Core.Collections;
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
    /// <summary>The part of a Service that a subset selects, by the rule that the caller follows; all of it without a subset.</summary>
    public ServiceInCluster PartOf(ServiceInCluster service, MeshHost host, string subset) =>
        service with { Within = LabelsOf(config.RulesFor(host), subset) };

    /// <summary>The same by the rules of the cluster of a gateway, which come first there.</summary>
    public ServiceInCluster PartAt(ClusterObjects cluster, ServiceInCluster service, MeshHost host, string subset) =>
        LabelsOf(CallerConfig.RulesOf(facts.ConfigOf(cluster), host), subset) is { Count: > 0 } there ? service with { Within = there }
            : PartOf(service, host, subset);

    private static Dictionary<string, string> LabelsOf(IEnumerable<DestinationRule> rules, string subset) =>
        rules.SelectMany(rule => rule.Subsets).FirstOrDefault(one => one.Name == subset) is { } found ? LabelsOf(found) : [];

    /// <summary>Labels of places are those of Nodes; of clusters and networks, the endpoints have them.</summary>
    private static Dictionary<string, string> LabelsOf(Subset subset) => subset.Labels.Items
        .Where(pair => !pair.Key.StartsWith("topology.", StringComparison.Ordinal)).ToDictionary(StringComparer.Ordinal);

    /// <summary>Whether a subset selects a Pod, as far as that is known: labels of regions and zones may fit.</summary>
    public static bool Selects(Subset subset, ClusterObjects cluster, Pod pod)
    {
        var wanted = Judged(subset);
        return LabelSelector.Selects(wanted, Labelled(cluster, pod, wanted));
    }

    /// <summary>The labels of a subset that tell Pods apart here.</summary>
    private static Dictionary<string, string> Judged(Subset subset) => subset.Labels.Items
        .Where(pair => pair.Key is Labels.Cluster or Labels.Network || !pair.Key.StartsWith("topology.", StringComparison.Ordinal))
        .ToDictionary(StringComparer.Ordinal);

    /// <summary>What a Pod has of some labels, with those that its endpoint gets.</summary>
    private static Dictionary<string, string> Labelled(ClusterObjects cluster, Pod pod, IReadOnlyDictionary<string, string> wanted)
    {
        var own = pod.Metadata.Labels.Where(pair => wanted.ContainsKey(pair.Key)).ToDictionary(StringComparer.Ordinal);
        if (wanted.ContainsKey(Labels.Cluster)) own[Labels.Cluster] = cluster.Id;
        if (wanted.ContainsKey(Labels.Network)) own[Labels.Network] = cluster.NetworkOf(pod);
        return own;
    }

    public Problem? SelectNothing(MeshHost host, string subset, IReadOnlyList<ServiceInCluster> services, int port)
    {
        foreach (var rule in config.RulesFor(host))
        {
            for (var i = 0; i < rule.Subsets.Count; i++)
            {
                var candidate = rule.Subsets[i];
                if (candidate.Name != subset || candidate.Labels.Count == 0) continue;
                var wanted = Judged(candidate);
                if (services.Any(service => ServicePods.Ready(service, port).Any(pod => Selects(candidate, service.Cluster, pod)))) continue;
                var have = services.SelectMany(service => service.Pods.Select(pod => ServicePods.Text(Labelled(service.Cluster, pod, wanted))))
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
        var wanted = LabelsOf(there.Subset);
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
        var (at, own) = (facts.ConfigOf(cluster), service.Service.Metadata.Namespace);
        var there = Defining(at, facts.Host(fqdn)!, subset);
        var read = there.Where(rule => rule.Namespace == own || rule.Namespace == gateway || rule.Namespace == facts.SettingsOf(cluster).Mesh.RootNamespace)
            .ToList();
        if (read.Exists(rule => Gets(cluster, gateway, rule))) return null;
        if (read is [var hidden, ..]) return Unexported(cluster, hidden, $"subset {subset} of {fqdn}", gateway);
        if (at != cluster) return null;
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
    /// <summary>What the gateways of other networks need as well, so that calls get there once the caller has a rule, as the end of a remedy; empty when
    /// nothing is lacking.</summary>
    public string NeededBeyond(MeshHost host, string subset) => string.Concat(
        from service in host.Services
        let cluster = service.Cluster
        where service.Pods.Count > 0 && cluster.Network.Length > 0 && cluster.Network != facts.Home.Network
        from ns in cluster.Services.Where(one => one.Metadata.Labels.GetValueOrDefault(Labels.Network) == cluster.Network)
            .Select(one => one.Metadata.Namespace).Distinct()
        let rules = Defining(facts.ConfigOf(cluster), host, subset)
        where rules.Count > 0 && !rules.Exists(rule => Gets(cluster, ns, rule))
        select $"; add {ns} to the exportTo of {rules[0].Namespace}/{rules[0].Name} in {facts.ConfigOf(cluster).Context} as well, or remove it: the gateway of "
            + $"{cluster.Context} is there, and must know the subset");

    private static List<DestinationRule> Defining(ClusterObjects at, MeshHost host, string subset) =>
        [.. CallerConfig.RulesOf(at, host).Where(rule => rule.Subsets.Any(candidate => candidate.Name == subset))];

    private bool Gets(ClusterObjects cluster, string ns, DestinationRule rule) => Visibility.Allows(ExportOf(cluster, rule), rule.Namespace, ns);

    private ValueList<string> ExportOf(ClusterObjects cluster, DestinationRule rule) =>
        rule.ExportTo.IsEmpty ? facts.SettingsOf(cluster).Mesh.DefaultDestinationRuleExportTo : rule.ExportTo;

    private Problem Unexported(ClusterObjects cluster, DestinationRule rule, string subset, string gateway)
    {
        var (at, name) = (facts.ConfigOf(cluster).Context, $"DestinationRule {rule.Namespace}/{rule.Name}");
        var export = ExportOf(cluster, rule);
        var lost = $"gateways in namespace {gateway} do not get it, and that of {cluster.Context} has no route for {subset}";
        IEnumerable<string> to = rule.ExportTo.IsEmpty ? ["*"] : rule.ExportTo.Append(gateway);
        var patch = $"kubectl --context={at} -n {rule.Namespace} patch destinationrule {rule.Name} --type=merge "
            + $"-p '{{\"spec\":{{\"exportTo\":[{string.Join(',', to.Select(ns => $"\"{ns}\""))}]}}}}'";
        return rule.ExportTo.IsEmpty
            ? Faults.Of("ISM2035", facts.MeshConfigOf(cluster), TraceFacts.MeshField("defaultDestinationRuleExportTo"),
                $"is {string.Join(", ", export)}, and {name}, which defines the subset, says nothing else: {lost}", patch)
            : Faults.Of("ISM2035", $"{name} in {at}", "spec.exportTo", $"is {string.Join(", ", export)}: {lost}", $"{patch}; or remove exportTo");
    }
}

using Isthmus.Core.Collections;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>A DestinationRule for a host of a workload.</summary>
/// <param name="Matching">The subsets that the workload belongs to; empty if the rule has none that match.</param>
/// <param name="Others">The other subsets.</param>
/// <param name="Settings">What its traffic policy sets.</param>
public sealed record DescribedRule(string Name, string Host, IReadOnlyList<string> Matching, IReadOnlyList<string> Others, IReadOnlyList<string> Settings);

/// <summary>A VirtualService for a host of a workload.</summary>
public sealed record DescribedRoutes(string Name, int Http, int Tls, int Tcp, IReadOnlyList<string> Gateways);

/// <summary>A Service that leads to a workload.</summary>
/// <param name="Ports">Each as a sentence of istioctl: <c>http 80/HTTP targets pod port 8080</c>.</param>
public sealed record DescribedService(string Name, IReadOnlyList<string> Ports, IReadOnlyList<DescribedRule> Rules, IReadOnlyList<DescribedRoutes> Routes)
{
    /// <summary>Rules of the Gateway API that lead to it, or apply to its callers.</summary>
    public IReadOnlyList<DescribedApiRoute> ApiRoutes { get; init; } = [];
}

/// <summary>The objects that affect a Pod in its own cluster. Pure.</summary>
/// <param name="Mode">The mode of mutual TLS that its proxy accepts.</param>
/// <param name="ModeOf">The PeerAuthentications that decide, the most general first.</param>
public sealed record WorkloadDescription(
    Pod Pod, bool HasProxy, IReadOnlyList<DescribedService> Services, string Mode, IReadOnlyList<string> ModeOf, IReadOnlyList<string> Policies)
{
    /// <summary>The Gateways of the Gateway API that it serves.</summary>
    public IReadOnlyList<DescribedGateway> Gateways { get; init; } = [];

    /// <param name="config">The cluster whose Istio objects apply: its own, or that of its control plane.</param>
    /// <exception cref="ProblemException">There is no such Pod.</exception>
    public static WorkloadDescription Of(ClusterInventory cluster, ClusterInventory config, string ns, string name)
    {
        var pod = cluster.Pods.FirstOrDefault(pod => pod.Metadata.Name == name && pod.Metadata.Namespace == ns)
            ?? throw new ProblemException($"Pod {ns}/{name} in {cluster.Context}", "does not exist",
                $"list Pods with 'kubectl --context={cluster.Context} -n {ns} get pods'");
        var labels = ValueMap.ToValueMap(pod.Metadata.Labels);
        var authentications = config.Istio<PeerAuthentication>().ToList();
        var (root, local) = (authentications.Where(item => item.Namespace == config.RootNamespace), authentications.Where(item => item.Namespace == ns));
        var deciding = root.Where(item => item.Selector.Count == 0).Concat(ns == config.RootNamespace ? [] : local.Where(item => item.Selector.Count == 0))
            .Concat(local.Where(item => item.Selector.Count > 0
                && LabelSelector.Selects(item.Selector.ToDictionary(StringComparer.Ordinal), pod.Metadata.Labels)));
        var policies = config.Istio<AuthorizationPolicy>().Where(policy => policy.Reaches(ns, config.RootNamespace)
            && policy.Selector.Selects(labels));
        var services = cluster.Services.Where(service => service.Metadata.Namespace == ns && service.Spec.Selector.Count > 0
            && LabelSelector.Selects(service.Spec.Selector, pod.Metadata.Labels));
        return new(pod, Workload.ProxyOf(pod.Spec) is not null,
            [.. services.OrderBy(service => service.Metadata.Name, StringComparer.Ordinal).Select(service => Describe(config, service, pod))],
            MtlsPolicy.Resolve(root, local, labels).Mode.ToString().ToUpperInvariant(), [.. deciding.Select(item => $"{item.Namespace}/{item.Name}")],
            [.. policies.Select(
                policy => $"{policy.Namespace}/{policy.Name} ({policy.Action.ToString().ToUpperInvariant()}{(policy.DryRun ? ", dry run" : "")})")
                .Order(StringComparer.Ordinal)]);
    }

    /// <summary>The Service and what is set for its host.</summary>
    /// <param name="config">The cluster whose Istio objects apply.</param>
    /// <param name="pod">Whose subsets are named; null for none.</param>
    public static DescribedService Describe(ClusterInventory config, Service service, Pod? pod)
    {
        var host = HostTable.NameOf(service);
        var rules = config.Istio<DestinationRule>().Where(rule => Hosts.Covers(rule.Host, host) && rule.WorkloadSelector.Count == 0)
            .OrderBy(rule => rule.Name, StringComparer.Ordinal).Select(rule =>
        {
            var matching = rule.Subsets.ToLookup(subset => pod is not null
                && LabelSelector.Selects(subset.Labels.ToDictionary(StringComparer.Ordinal), pod.Metadata.Labels),
                subset => subset.Name);
            return new DescribedRule($"{rule.Namespace}/{rule.Name}", rule.Host, [.. matching[true]], [.. matching[false]], [.. Settings(rule.Policy)]);
        });
        var routes = config.Istio<VirtualService>().Where(one => one.Hosts.Any(pattern => Hosts.Covers(pattern, host)))
            .OrderBy(one => one.Name, StringComparer.Ordinal)
            .Select(one => new DescribedRoutes($"{one.Namespace}/{one.Name}", one.Http.Count, one.Tls.Count, one.Tcp.Count, [.. one.Gateways]));
        return new($"{service.Metadata.Namespace}/{service.Metadata.Name}", [.. service.Spec.Ports.Select(port => Sentence(port, pod))], [.. rules],
            [.. routes]);
    }

    private static string Sentence(Kubernetes.Objects.ServicePort port, Pod? pod)
    {
        var text = port.TargetPort?.ToString() is { Length: > 0 } target ? target : $"{port.Port}";
        var number = int.TryParse(text, out var given)
            ? given
            : pod?.Spec.Containers.SelectMany(container => container.Ports).FirstOrDefault(candidate => candidate.Name == text)?.Number;
        var protocol = Protocols.Of(port.Protocol, port.AppProtocol, port.Name, port.Port);
        var leads = pod is null
            ? $"targets port {text}"
            : number is null
            ? $"targets pod port {text}, which no container of the Pod names"
            : $"targets pod port {number}";
        return $"{(port.Name is { Length: > 0 } name ? $"{name} " : "")}{port.Port}/{protocol.ToString().ToUpperInvariant()} {leads}";
    }

    private static IEnumerable<string> Settings(TrafficPolicy policy)
    {
        if (policy.Balancing is not null) yield return "load balancer";
        if (policy.Pool is not null) yield return "connection pool";
        if (policy.Outlier is not null) yield return "outlier detection";
        if (policy.Tls is { } tls) yield return $"TLS mode {tls.Mode.ToString().ToUpperInvariant()}";
        if (policy.Ports.Count > 0) yield return $"{policy.Ports.Count} port level settings";
    }
}

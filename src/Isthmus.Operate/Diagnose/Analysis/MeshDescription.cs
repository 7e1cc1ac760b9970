using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>A Service as another cluster has it: what decides about calls that begin there, and about those that end at its Pods.</summary>
/// <param name="Error">Why the cluster could not be read; empty when it could. With an error, nothing else is known.</param>
/// <param name="Config">The cluster whose Istio objects apply there: its own, or that of its control plane.</param>
/// <param name="Service">Null: the cluster does not have it.</param>
public sealed record DescribedElsewhere(string Cluster, string Error, string Config, DescribedService? Service)
{
    /// <summary>How many Pods it selects there, and how many of them are ready.</summary>
    public (int All, int Ready) Pods { get; init; }

    /// <summary>One of these Pods that has a proxy; null when none has.</summary>
    public WorkloadDescription? Pod { get; init; }
}

/// <summary>What affects a Pod or a Service, in its own cluster and in the others of the mesh. Pure.</summary>
/// <param name="Pod">Null when a Service is described.</param>
/// <param name="Config">The cluster whose Istio objects apply: that of the Pod, or that of its control plane.</param>
/// <param name="Elsewhere">Each of the Services in each other cluster.</param>
/// <param name="Problems">What the analysis of all clusters finds wrong with the objects that are named.</param>
public sealed record MeshDescription(string Cluster, string Config, WorkloadDescription? Pod, IReadOnlyList<DescribedService> Services,
    IReadOnlyList<(string Service, DescribedElsewhere There)> Elsewhere, IReadOnlyList<Finding> Problems)
{
    /// <summary>Null unless a Gateway of the Gateway API is described.</summary>
    public DescribedGateway? Gateway { get; init; }

    /// <param name="clusters">The cluster of the Pod first.</param>
    /// <exception cref="ProblemException">There is no such Pod, or the first cluster cannot be read.</exception>
    public static MeshDescription OfPod(IReadOnlyList<ClusterInventory> clusters, string ns, string name)
    {
        var (home, mesh) = (Home(clusters), new MeshSnapshot(clusters));
        var config = ConfigOf(mesh, home);
        var pod = WorkloadDescription.Of(home, config, ns, name);
        pod = pod with
        {
            Services = [.. pod.Services.Select(service => WithRoutes(mesh, config, service))],
            Gateways = DescribedApiRoute.At(ApiOf(mesh, config), ns, pod.Pod.Metadata.Labels),
        };
        return Of(clusters, mesh, pod, pod.Services);
    }

    /// <param name="clusters">The cluster of the Service first.</param>
    /// <exception cref="ProblemException">There is no such Service, or the first cluster cannot be read.</exception>
    public static MeshDescription OfService(IReadOnlyList<ClusterInventory> clusters, string ns, string name)
    {
        var (home, mesh) = (Home(clusters), new MeshSnapshot(clusters));
        var service = home.Service(ns, name)
            ?? throw new ProblemException($"Service {ns}/{name} in {home.Context}", "does not exist", "name it as SERVICE.NAMESPACE");
        return Of(clusters, mesh, null, [WithRoutes(mesh, ConfigOf(mesh, home), WorkloadDescription.Describe(ConfigOf(mesh, home), service, null))]);
    }

    /// <param name="clusters">The cluster of the Gateway first.</param>
    /// <exception cref="ProblemException">The Gateway does not exist, or the first cluster cannot be read.</exception>
    public static MeshDescription OfGateway(IReadOnlyList<ClusterInventory> clusters, string ns, string name)
    {
        var (home, mesh) = (Home(clusters), new MeshSnapshot(clusters));
        var gateway = DescribedApiRoute.Named(ApiOf(mesh, home), ns, name)
            ?? throw new ProblemException($"Gateway {ns}/{name} of {MeshApi.ApiGateway.Group} in {home.Context}", "does not exist",
                "name it as GATEWAY.NAMESPACE; what a Gateway of Istio does at a Pod: 'isthmus describe pod'");
        var names = gateway.Names.ToHashSet(StringComparer.Ordinal);
        return new(home.Context, ConfigOf(mesh, home).Context, null, [], [],
            [.. Analysis.Run(clusters).Where(finding => finding.Problem.Severity >= Severity.Warning && finding.Cluster == home.Context
                && names.Contains(finding.Problem.Object))])
        {
            Gateway = gateway,
        };
    }

    private static JudgedGatewayApi? ApiOf(MeshSnapshot mesh, ClusterInventory config) => mesh.GatewayApis.FirstOrDefault(api => api.Cluster == config);

    private static DescribedService WithRoutes(MeshSnapshot mesh, ClusterInventory config, DescribedService service) =>
        service with { ApiRoutes = DescribedApiRoute.Of(ApiOf(mesh, config), service.Name.Split('/')[0], service.Name.Split('/')[1]) };

    private static ClusterInventory Home(IReadOnlyList<ClusterInventory> clusters) =>
        clusters[0].Error.Length == 0 ? clusters[0] : throw new ProblemException($"cluster {clusters[0].Context}", clusters[0].Error);

    private static MeshDescription Of(IReadOnlyList<ClusterInventory> clusters, MeshSnapshot mesh, WorkloadDescription? pod,
        IReadOnlyList<DescribedService> services)
    {
        var home = clusters[0];
        var elsewhere = (from service in services
                         from cluster in clusters.Skip(1)
                         where cluster.Error.Length > 0 || MeshSnapshot.ShareHosts(home, cluster)
                         select (service.Name, There: There(mesh, cluster, service.Name))).ToList();
        return new(home.Context, ConfigOf(mesh, home).Context, pod, services, elsewhere,
            [.. Analysis.Run(clusters)
                .Where(finding => finding.Problem.Severity >= Severity.Warning && IsNamed(finding, home.Context, pod, services, elsewhere))]);
    }

    private static DescribedElsewhere There(MeshSnapshot mesh, ClusterInventory cluster, string name)
    {
        if (cluster.Error.Length > 0) return new(cluster.Context, cluster.Error, "", null);
        var config = ConfigOf(mesh, cluster);
        if (cluster.Service(name.Split('/')[0], name.Split('/')[1]) is not { } service) return new(cluster.Context, "", config.Context, null);
        var pods = service.Spec.Selector.Count == 0
            ? []
            : cluster.Pods.Where(pod => pod.Metadata.Namespace == service.Metadata.Namespace && pod.Metadata.DeletionTimestamp is null
                && LabelSelector.Selects(service.Spec.Selector, pod.Metadata.Labels))
                .ToList();
        return new(cluster.Context, "", config.Context, WithRoutes(mesh, config, WorkloadDescription.Describe(config, service, null)))
        {
            Pods = (pods.Count, pods.Count(pod => pod.Status.IsReady)),
            Pod = pods.FirstOrDefault(pod => Workload.ProxyOf(pod.Spec) is not null) is { } one
                ? WorkloadDescription.Of(cluster, config, one.Metadata.Namespace, one.Metadata.Name)
                : null,
        };
    }

    /// <summary>Where the control plane of a cluster reads Istio objects: there, or in the first cluster that has a control plane if it has none.</summary>
    private static ClusterInventory ConfigOf(MeshSnapshot mesh, ClusterInventory cluster) =>
        MeshSnapshot.HasControlPlane(cluster) ? cluster : mesh.Readable.FirstOrDefault(MeshSnapshot.HasControlPlane) ?? cluster;

    private static bool IsNamed(Finding finding, string home, WorkloadDescription? pod, IReadOnlyList<DescribedService> services,
        IReadOnlyList<(string Service, DescribedElsewhere There)> elsewhere)
    {
        if (pod is not null
            && (finding.Problem.Object == $"Namespace {pod.Pod.Metadata.Namespace}"
                || (finding.Cluster == home && finding.Problem.Object == $"Pod {pod.Pod.Metadata.Namespace}/{pod.Pod.Metadata.Name}")))
            return true;
        if (pod is not null && finding.Cluster == home
            && pod.Gateways.Any(gateway => finding.Problem.Object == $"{MeshApi.ApiGateway.Name} {gateway.Name}")) return true;
        return services.Concat(elsewhere.Select(one => one.There.Service).OfType<DescribedService>()).SelectMany(NamesOf)
            .Concat(elsewhere.Select(one => one.There.Pod).Append(pod).OfType<WorkloadDescription>().SelectMany(PoliciesOf))
            .Contains(finding.Problem.Object, StringComparer.Ordinal);
    }

    private static IEnumerable<string> NamesOf(DescribedService service) =>
        [$"Service {service.Name}", .. service.Rules.Select(rule => $"DestinationRule {rule.Name}"),
            .. service.Routes.Select(routes => $"VirtualService {routes.Name}"),
        .. service.ApiRoutes.Select(route => route.Route)];

    /// <summary>Described AuthorizationPolicies have their action after the name.</summary>
    private static IEnumerable<string> PoliciesOf(WorkloadDescription pod) =>
        [.. pod.ModeOf.Select(name => $"PeerAuthentication {name}"), .. pod.Policies.Select(described => $"AuthorizationPolicy {described.Split(' ')[0]}")];
}

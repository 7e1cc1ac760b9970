using Isthmus.Core.Names;
using Isthmus.Kubernetes.Objects;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Pods with addresses of their own for Services, which no change of a Service reaches. Pure.</summary>
public static class HostAliases
{
    public static Analyzer Analyzer
    {
        get;
    } = new("workload.HostAliasAnalyzer", "Checks that hostAliases of workloads lead to the Services whose names they have", [WorkloadCodes.HostAliasAstray],
        ["Pod", "Service"], mesh =>
        from cluster in mesh.Readable
        from made in Specs(cluster)
        from alias in made.Spec.HostAliases.Index()
        from hostname in alias.Item.Hostnames
        let service = Named(cluster, hostname, made.Namespace)
        where service is not null && !Addresses(service).Contains(alias.Item.Ip)
        select WorkloadCodes.HostAliasAstray.At(cluster, made.Name, $"{made.Path}.hostAliases[{alias.Index}]",
            $"gives {hostname} the address {alias.Item.Ip}, and Service {service.Key} has {service.Spec.ClusterIP}: calls of that name go elsewhere",
            $"remove {hostname} from hostAliases, or write {service.Spec.ClusterIP} there"));

    /// <summary>Pods of templates are told by their templates.</summary>
    private static IEnumerable<(string Name, string Namespace, string Path, PodSpec Spec)> Specs(ClusterInventory cluster) =>
        cluster.Templates.Select(template => (template.FullName, template.Namespace, "spec.template.spec", template.Spec))
            .Concat(cluster.Pods.Where(pod => !pod.Metadata.OwnerReferences.Exists(owner => owner is { Controller: true, Kind: not "Job" }))
                .Select(pod => ($"Pod {pod.Key}", pod.Metadata.Namespace, "spec", pod.Spec)));

    /// <summary>Null: the name is of no Service of the cluster with an address of its own.</summary>
    private static Service? Named(ClusterInventory cluster, string hostname, string ns)
    {
        const string end = ".svc", full = $"{end}.{WellKnown.DefaultDomainSuffix}";
        var bare = hostname.EndsWith(full, StringComparison.Ordinal) ? hostname[..^full.Length]
            : hostname.EndsWith(end, StringComparison.Ordinal) ? hostname[..^end.Length] : hostname;
        var service = bare.Split('.') switch
        {
            [var name] when bare == hostname => cluster.Service(ns, name),
            [var name, var of] => cluster.Service(of, name),
            _ => null,
        };
        return service is { Spec.ClusterIP: not ("" or "None") } ? service : null;
    }

    /// <summary>All of them lead to the Service.</summary>
    private static IEnumerable<string> Addresses(Service service) => service.Spec.ExternalIPs.Append(service.Spec.ClusterIP)
        .Concat(service.Status.LoadBalancer.Ingress.Select(ingress => ingress.Ip));
}

using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Resolve;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Services that are an alias of a host outside in one cluster, and have Pods in another: callers follow the Service of their own cluster. Pure.
/// </summary>
public static class AliasedServices
{
    public static Analyzer Analyzer
    {
        get;
    } = new("multicluster.AliasedServiceAnalyzer", "Checks that a Service with Pods is not an alias of another host in other clusters",
        [ClusterCodes.AliasElsewhere], ["Service", "Pod"], mesh =>
        from cluster in mesh.Readable
        from alias in cluster.Services
        where alias.Spec.ExternalName.Length > 0 && !MeshSnapshot.IsSystem(cluster, alias.Metadata.Namespace)
            && !ServiceAgreement.IsClusterLocal(HostTable.NameOf(alias), cluster.Mesh ?? MeshConfig.Default)
            // Whoever writes a host of the mesh means that one.
            && !mesh.Hosts.Find(alias.Spec.ExternalName).Any()
        let real = (from area in mesh.Workloads
                    where area.Cluster != cluster && MeshSnapshot.ShareHosts(area.Cluster, cluster)
                    from service in area.Cluster.Services
                    where service.Key == alias.Key && service.Spec.ExternalName.Length == 0
                    let pod = area.Behind(service).FirstOrDefault()
                    where pod is not null
                    select (area.Cluster, Service: service, Pod: pod)).FirstOrDefault()
        where real.Pod is not null
        select ClusterCodes.AliasElsewhere.At(cluster, $"Service {alias.Key}", "spec.externalName",
            $"is {alias.Spec.ExternalName}, and in {real.Cluster.Context} the Service has Pods, such as {real.Pod.Name}: callers in {cluster.Context} follow "
                + "the Service of their own cluster, and reach none of these",
            Replace(cluster.Context, alias.Key, real.Cluster.Context, real.Service)));

    /// <summary>How an alias becomes the Service that another cluster has.</summary>
    public static string Replace(string context, string key, string from, Service service) =>
        $"if the Pods of {from} are meant, make the Service the same: kubectl --context={context} -n {key.Split('/')[0]} delete service {key.Split('/')[1]} && "
            + MissingServices.Create(context, service);
}

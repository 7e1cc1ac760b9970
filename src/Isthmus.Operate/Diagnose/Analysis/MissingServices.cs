using System.Text.Json.Nodes;
using Isthmus.Core.Json;
using Isthmus.Graph.Derive;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Resolve;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Workloads with the labels of a Service that only other clusters have: nobody calls them. Pure.</summary>
public static class MissingServices
{
    public static Analyzer Analyzer
    {
        get;
    } = new("multicluster.MissingServiceAnalyzer", "Checks that clusters with the Pods of a Service have the Service", [OwnCodes.ServiceMissing],
        ["Service", "Pod"], mesh =>
        from area in mesh.Workloads
        let own = area.Cluster.Services.Select(service => service.Key).ToHashSet(StringComparer.Ordinal)
        from other in mesh.Readable
        where other != area.Cluster && MeshSnapshot.ShareHosts(other, area.Cluster) && !NeedsExports(area.Cluster) && !NeedsExports(other)
        from service in other.Services
        let ns = service.Metadata.Namespace
        where service.Spec.Selector.Count > 0 && !MeshSnapshot.IsSystem(other, ns) && !own.Contains(service.Key)
            && !ServiceAgreement.IsClusterLocal(HostTable.NameOf(service), area.Cluster.Mesh ?? other.Mesh ?? MeshConfig.Default)
        let pod = area.Behind(service).FirstOrDefault(pod => pod is { HasProxy: true, IsGateway: false } && !IsTaken(area, pod))
        where pod is not null
        // What makes the Pods has a name that stays.
        let lost = area.Selected(service).FirstOrDefault(workload => workload.Pod is null && LabelSelector.Selects(workload.Labels, pod.Labels)) ?? pod
        group (other, service, lost) by (area.Cluster, service.Key) into missing
        let first = missing.First()
        select OwnCodes.ServiceMissing.At(missing.Key.Cluster, first.lost.Name, first.lost.Pod is null ? "spec.template.metadata.labels" : "metadata.labels",
            $"are those that Service {missing.Key.Key} of {first.other.Context} selects, and {missing.Key.Cluster.Context} has no such Service: no call "
                + "reaches its Pods",
            $"create the Service in {missing.Key.Cluster.Context} as well: {Create(missing.Key.Cluster.Context, first.service)}"));

    /// <summary>Whether its control plane shares only Services that are exported.</summary>
    private static bool NeedsExports(ClusterInventory cluster) =>
        ControlPlaneDeployment.MultiCluster(cluster.ControlPlanes.Select(plane => plane.Deployment)) is { Discovery: true } or { ClusterLocal: true };

    /// <summary>Whether calls reach a Pod by another name.</summary>
    private static bool IsTaken(ClusterWorkloads area, Workload pod) => area.ServicesOf(pod).Any()
        || area.Cluster.Istio<ServiceEntry>().Any(entry => entry.Namespace == pod.Namespace && entry.WorkloadSelector.Count > 0
            && LabelSelector.Selects(entry.WorkloadSelector, pod.Labels));

    /// <summary>The command that creates a Service as another cluster has it.</summary>
    public static string Create(string context, Service service)
    {
        var ports = service.Spec.Ports.Select(port =>
        {
            var told = new JsonObject { ["port"] = port.Port };
            if (port.Name.Length > 0) told["name"] = port.Name;
            if (port.TargetPort is { } target) told["targetPort"] = target.DeepClone();
            if (port.Protocol is not ("" or "TCP")) told["protocol"] = port.Protocol;
            if (port.AppProtocol.Length > 0) told["appProtocol"] = port.AppProtocol;
            return (JsonNode)told;
        });
        var spec = new JsonObject
        {
            ["selector"] = new JsonObject(service.Spec.Selector.Select(label => KeyValuePair.Create(label.Key, (JsonNode?)label.Value))),
            ["ports"] = new JsonArray([.. ports]),
        };
        if (service.Spec.ClusterIP == "None") spec["clusterIP"] = "None";
        var made = new JsonObject
        {
            ["apiVersion"] = "v1", ["kind"] = "Service",
            ["metadata"] = new JsonObject { ["name"] = service.Metadata.Name, ["namespace"] = service.Metadata.Namespace }, ["spec"] = spec,
        };
        return $"kubectl --context={context} apply -f - <<< '{made.ToJsonString()}'";
    }
}

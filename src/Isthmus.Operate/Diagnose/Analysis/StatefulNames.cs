using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>StatefulSets whose Pods have no names of their own, because the Service that they name does not exist. Pure.</summary>
public static class StatefulNames
{
    public static Analyzer Analyzer
    {
        get;
    } = new("statefulset.ServiceNameAnalyzer", "Checks that the Services that StatefulSets name exist", [OwnCodes.StatefulServiceUnknown],
        ["StatefulSet", "Service"], mesh =>
        from cluster in mesh.Readable
        from set in cluster.Objects(MeshApi.StatefulSet.Name)
        let template = WorkloadTemplate.Of(set)
        let named = set["spec"]?["serviceName"]?.ToString() ?? ""
        where named.Length > 0 && cluster.Service(template.Namespace, named) is null
        let meant = cluster.Services.FirstOrDefault(service => service.Metadata.Namespace == template.Namespace && service.Spec.Selector.Count > 0
            && LabelSelector.Selects(service.Spec.Selector, template.Labels))?.Metadata.Name
        select OwnCodes.StatefulServiceUnknown.At(cluster, template.FullName, "spec.serviceName",
            $"names Service {template.Namespace}/{named}, which does not exist in {cluster.Context}: its Pods have no names such as {template.Name}-0.{named}",
            $"create Service {named} with clusterIP: None and the labels of the Pods as selector"
                + (meant is null ? "" : $", or create the StatefulSet again with serviceName: {meant} (the field cannot be changed)")));
}

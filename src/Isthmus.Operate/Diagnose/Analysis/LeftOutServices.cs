using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Services that callers of another network know, and the gateway of their own cluster does not. Pure.</summary>
public static class LeftOutServices
{
    private const string Selectors = "discoverySelectors";

    public static Analyzer Analyzer
    {
        get;
    } = new("multicluster.LeftOutServiceAnalyzer", "Checks that gateways know the Services that other networks call", [ClusterCodes.ServiceLeftOut],
        ["Gateway", "Service", "Namespace", "Pod"], mesh =>
        from far in mesh.Clusters
        where MeshSnapshot.HasControlPlane(far.Cluster) && far.Cluster.Mesh is not null
        let gateways = Gateways(mesh, far).ToList()
        where gateways.Count > 0
        from near in mesh.Clusters
        where near != far && MeshSnapshot.HasControlPlane(near.Cluster) && near.Cluster.Mesh is not null && MeshSnapshot.ShareHosts(near.Cluster, far.Cluster)
            && SubsetsDiffer.NetworkOf(near.Cluster) is { Length: > 0 } here && SubsetsDiffer.NetworkOf(far.Cluster) is { Length: > 0 } there && here != there
        from service in far.Cluster.Services
        where !MeshSnapshot.IsSystem(far.Cluster, service.Metadata.Namespace) && service.Spec.Selector.Count > 0
            // What the other control plane does not know either is nobody's endpoint.
            && Discovers(near.Cluster.Mesh!, far.Cluster, service.Metadata.Namespace)
            && !IsLocal(far.Cluster, service) && !IsLocal(near.Cluster, service)
            && far.Reach.First(area => area.Cluster == far.Cluster).Behind(service).Any(workload => workload is { HasProxy: true, IsGateway: false })
        let caller = CallerOf(near, service)
        where caller is not null
        let finding = Hidden(far.Cluster, service, caller, gateways)
        where finding is not null
        group finding by finding.Problem.Object into same
        select same.First());

    private static Finding? Hidden(ClusterInventory far, Service service, Workload caller, List<Workload> gateways)
    {
        var ns = service.Metadata.Namespace;
        if (!Discovers(far.Mesh!, far, ns))
            return ClusterCodes.ServiceLeftOut.At(far, $"Namespace {ns}", "metadata.labels",
                $"are none that data.mesh.{Selectors} of {far.MeshConfigName} ask for: its gateway knows no Service there, and refuses calls from other "
                    + $"networks, such as those of {caller.Name} in {caller.Cluster.Context} for {service.Key}",
                (Wanted(far.Mesh!) is { Length: > 0 } label ? $"kubectl --context={far.Context} label namespace {ns} {label}"
                    : $"give the namespace a label that {Selectors} ask for") + $"; or leave the namespace out in {caller.Cluster.Context} as well");
        var export = ExportOf(far, service);
        if (gateways.Exists(gateway => Visibility.Allows(export, ns, gateway.Namespace))) return null;
        return ClusterCodes.ServiceLeftOut.At(far, $"Service {service.Key}", $"metadata.annotations[{Annotations.ExportTo}]",
            $"{(service.Metadata.Annotations.ContainsKey(Annotations.ExportTo) ? "is" : $"is not set, and {far.MeshConfigName} sets")} "
                + $"{string.Join(",", export)}, "
                + $"without {gateways[0].Namespace}, the namespace of {gateways[0].Name}: the gateway does not know the Service, and refuses calls from other "
                + $"networks, such as those of {caller.Name} in {caller.Cluster.Context}", $"add {gateways[0].Namespace} to the annotation");
    }

    /// <summary>The Pods that pass on what comes from other networks.</summary>
    internal static IEnumerable<Workload> Gateways(MeshSnapshot mesh, ConfigCluster far)
    {
        var passing = mesh.Passing(far).Where(gateway => gateway.Selector.Count > 0).ToList();
        return far.Reach.First(area => area.Cluster == far.Cluster).All.Where(workload => workload.IsGateway
            && passing.Exists(gateway => LabelSelector.Selects(gateway.Selector.Items, workload.Labels)
                // Names of Gateways are those of a namespace.
                && (gateway.Namespace == workload.Namespace || !gateway.Selector.ContainsKey(GatewayNaming.GatewayLabel))));
    }

    private static Workload? CallerOf(ConfigCluster near, Service service) => near.Reach.First(area => area.Cluster == near.Cluster).All
        .FirstOrDefault(workload => workload is { Pod: not null, HasProxy: true, IsGateway: false }
            && Discovers(near.Cluster.Mesh!, near.Cluster, workload.Namespace)
            && Visibility.Allows(ExportOf(near.Cluster, service), service.Metadata.Namespace, workload.Namespace));

    private static bool Discovers(MeshConfig mesh, ClusterInventory cluster, string ns) => mesh.DiscoverySelectors.IsEmpty || ns == mesh.RootNamespace
        || mesh.DiscoverySelectors.Any(selector => selector.Matches((cluster.Namespaces.FirstOrDefault(one => one.Metadata.Name == ns)?.Metadata.Labels ?? [])
            .ToValueMap()));

    private static ValueList<string> ExportOf(ClusterInventory reader, Service service) =>
        service.Metadata.Annotations.GetValueOrDefault(Annotations.ExportTo, "")
            .Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries) is { Length: > 0 } own
            ? own.ToValueList() : (reader.Mesh ?? MeshConfig.Default).DefaultServiceExportTo;

    private static bool IsLocal(ClusterInventory cluster, Service service) =>
        Mesh.Resolve.ServiceAgreement.IsClusterLocal(HostTable.NameOf(service), cluster.Mesh ?? MeshConfig.Default);

    /// <summary>A label that is enough; empty where expressions choose.</summary>
    private static string Wanted(MeshConfig mesh) =>
        mesh.DiscoverySelectors.FirstOrDefault(selector => selector.Expressions.IsEmpty && selector.Labels.Count == 1) is { Labels.Items: var labels }
            ? string.Join(',', labels.Select(label => $"{label.Key}={label.Value}")) : "";
}

using System.Globalization;
using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>The Pods that serve Gateways, and the ports of their Services. Pure.</summary>
public static class GatewayWorkloads
{
    public static Analyzer Analyzer { get; } = new("gateway.IngressGatewayPortAnalyzer", "Checks that Gateways select Pods, whose Service has the ports",
        [IstioCodes.ReferencedResourceNotFound, IstioCodes.GatewayPortNotOnService, OwnCodes.GatewayPortTaken], ["Gateway", "Pod", "Service"],
        mesh => mesh.Clusters.SelectMany(config => config.Cluster.Written<Gateway>().SelectMany(gateway => Check(mesh, config, gateway))));

    private static IEnumerable<Finding> Check(MeshSnapshot mesh, ConfigCluster config, Gateway gateway)
    {
        var name = $"Gateway {gateway.FullName}";
        var workloads = config.Reach.SelectMany(area => area.All).Where(workload => LabelSelector.Selects(gateway.Selector, workload.Labels)).ToList();
        if (gateway.Selector.Count > 0 && workloads.Count == 0)
        {
            yield return IstioCodes.ReferencedResourceNotFound.At(config.Cluster, name, "spec.selector",
                $"Referenced selector not found: \"{gateway.Selector}\": no Pod has these labels, so nothing serves the "
                    + $"Gateway{Elsewhere(mesh, config, gateway.Selector)}");
            yield break;
        }
        foreach (var (i, server) in gateway.Servers.Index())
        {
            foreach (var area in config.Reach)
            {
                var served = workloads.Where(workload => workload.Cluster == area.Cluster && workload.Pod is not null).ToList();
                var services = area.Cluster.Services.Where(service => served.Exists(workload => workload.Namespace == service.Metadata.Namespace
                    && service.Spec.Selector.Count > 0 && LabelSelector.Selects(service.Spec.Selector, workload.Labels)))
                    .ToList();
                var ports = services.SelectMany(service => service.Spec.Ports).ToList();
                var targets = ports.Where(port => port.Port == server.Port).Select(port => Target(port, served)).DefaultIfEmpty(server.Port).ToList();
                if (served.Count > 0 && targets.TrueForAll(Ports.IsOfGateway))
                {
                    yield return OwnCodes.GatewayPortTaken.At(config.Cluster, name, $"spec.servers[{i}].port.number",
                        $"leads to port {targets[0]} of the Pods in {area.Cluster.Context}, which need it for their own probes and metrics: nothing serves it");
                    continue;
                }
                // Without a Service, clients use ports of the node.
                if (services.Count == 0 || ports.Exists(port => port.Port == server.Port || Target(port, served) == server.Port)) continue;
                yield return IstioCodes.GatewayPortNotOnService.At(config.Cluster, name, $"spec.servers[{i}].port.number",
                    $"the Pods listen on port {server.Port}, which Service {string.Join(", ", services.Select(service => service.Key))} of "
                        + $"{area.Cluster.Context} does not have");
            }
        }
    }

    /// <summary>Where else the labels would match: objects apply only to the clusters of their own control plane.</summary>
    internal static string Elsewhere(MeshSnapshot mesh, ConfigCluster config, WorkloadSelector selector, string? ns = null)
    {
        var others = mesh.Workloads.Where(area => !config.Reach.Contains(area)
            && (ns is null ? area.All : area.In(ns)).Any(workload => selector.Selects(workload.Labels)))
            .Select(area => area.Cluster.Context).ToList();
        return others.Count == 0
            ? ""
            : $" ({string.Join(", ", others)} has such Pods, but the control plane there does not read the objects of {config.Cluster.Context})";
    }

    private static int Target(Kubernetes.Objects.ServicePort port, IEnumerable<Workload> pods) =>
        port.TargetPort?.ToString() is not { Length: > 0 } text ? port.Port
        : int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number
        : pods.SelectMany(pod => pod.Pod!.Spec.Containers).SelectMany(container => container.Ports).FirstOrDefault(candidate => candidate.Name == text)?.Number
            ?? 0;
}

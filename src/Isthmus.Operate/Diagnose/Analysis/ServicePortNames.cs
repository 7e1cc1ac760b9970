using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Ports of Services whose protocol proxies have to detect. Pure.</summary>
public static class ServicePortNames
{
    public static Analyzer Analyzer
    {
        get;
    } = new("service.PortNameAnalyzer", "Checks that the ports of Services in the mesh declare their protocol", [IstioCodes.PortNameConvention], ["Service"],
        mesh =>
        from area in mesh.Workloads
        from service in area.Cluster.Services
        where !MeshSnapshot.IsSystem(area.Cluster, service.Metadata.Namespace) && IsInMesh(area, service)
        from port in service.Spec.Ports.Index()
        where Protocols.Of(port.Item.Protocol, port.Item.AppProtocol, port.Item.Name, port.Item.Port) == Protocol.Auto && port.Item.AppProtocol.Length == 0
        select IstioCodes.PortNameConvention.At(area.Cluster, $"Service {service.Key}", $"spec.ports[{port.Index}].name",
            $"{(port.Item.Name.Length == 0 ? "has no name" : $"\"{port.Item.Name}\" does not begin with a protocol")} (port {port.Item.Port}, targetPort "
                + $"{port.Item.TargetPort?.ToString() ?? $"{port.Item.Port}"}): proxies detect the protocol from the first bytes"));

    /// <summary>A Service that nothing is behind is in the mesh if its namespace is, or is not known.</summary>
    private static bool IsInMesh(ClusterWorkloads area, Service service)
    {
        var behind = area.Behind(service).ToList();
        return behind.Count > 0 ? behind.Exists(workload => workload.HasProxy)
            : service.Spec.Selector.Count > 0 && area.Cluster.Namespaces.All(ns => ns.Metadata.Name != service.Metadata.Namespace
                || InjectionLabels.IsInjected(area.Cluster, ns) == true);
    }
}

using System.Globalization;
using Isthmus.Core.Names;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Ports of Services that lead to a named port which no container has. Pure.</summary>
public static class TargetPorts
{
    public static Analyzer Analyzer
    {
        get;
    } = new("service.TargetPortAnalyzer", "Checks that containers have the named target ports of Services", [OwnCodes.TargetPortUnknown], ["Service", "Pod"],
        mesh =>
        from area in mesh.Workloads
        from service in area.Cluster.Services
        let pods = area.Behind(service).Select(workload => workload.Pod!).ToList()
        where pods.Count > 0
        from port in service.Spec.Ports.Index()
        let target = port.Item.TargetPort?.ToString() ?? ""
        where target.Length > 0 && !int.TryParse(target, NumberStyles.None, CultureInfo.InvariantCulture, out _)
        let names = pods.SelectMany(pod => pod.Spec.Containers.Concat(pod.Spec.InitContainers)).SelectMany(container => container.Ports)
            // Those of the proxy are not for calls to the application, unless they are asked for by name.
            .Where(container => container.Name == target || !Ports.IsOfProxy(container.Number))
            .Select(container => container.Name).Where(name => name.Length > 0).Distinct().Order(StringComparer.Ordinal).ToList()
        where !names.Contains(target)
        select OwnCodes.TargetPortUnknown.At(area.Cluster, $"Service {service.Key}", $"spec.ports[{port.Index}].targetPort",
            $"{target} is the name of no port of Pod {pods[0].Metadata.Name}, so port {port.Item.Port} has no endpoint",
            names.Count > 0 ? $"use one of {string.Join(", ", names)}, or a number" : "use a number, or name the port of the container"));
}

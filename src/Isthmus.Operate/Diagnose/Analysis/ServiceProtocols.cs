using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Workloads that several Services select with different protocols for one port. Pure.</summary>
public static class ServiceProtocols
{
    private sealed record Use(string Service, int Port, string Target, Protocol Protocol);

    public static Analyzer Analyzer
    {
        get;
    } = new("deployment.MultiServiceAnalyzer", "Checks that the Services of a workload agree about the protocols of its ports",
        [IstioCodes.ServicesDisagree, IstioCodes.ConflictingTargetPorts], ["Service", "Pod"], mesh =>
        from area in mesh.Workloads
        from template in area.Cluster.Templates
        where InjectionLabels.Asks(template.Labels, template.Annotations) != false
        let uses = (from service in area.Cluster.Services
                    where service.Metadata.Namespace == template.Namespace && service.Spec.Selector.Count > 0
                        && Kubernetes.Objects.LabelSelector.Selects(service.Spec.Selector, template.Labels)
                    from port in service.Spec.Ports
                    where port.Protocol != "UDP"
                    select new Use(service.Metadata.Name, port.Port, port.TargetPort?.ToString() is { Length: > 0 } target ? target : $"{port.Port}",
                        Protocols.Of(port.Protocol, port.AppProtocol, port.Name, port.Port)))
                    .ToList()
        from same in uses.GroupBy(use => use.Target)
        let protocols = same.Select(use => use.Protocol).Distinct().Order().ToList()
        where protocols.Count > 1
        let services = string.Join(", ", same.Select(use => $"{use.Service}:{use.Port} ({use.Protocol})"))
        let code = same.Select(use => use.Port).Distinct().Count() == 1 ? IstioCodes.ServicesDisagree : IstioCodes.ConflictingTargetPorts
        select code.At(area.Cluster, template.FullName, "spec.template",
            $"its port {same.Key} has several protocols by its Services: {services}; proxies can use one of them only"));
}

using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>RequestAuthentications of workloads whose ports do not carry HTTP as far as proxies know, so that no token is read. Pure.</summary>
public static class TokenPorts
{
    public static Analyzer Analyzer
    {
        get;
    } = new("authn.JwtPortAnalyzer", "Checks that workloads with RequestAuthentications have HTTP ports", [IstioCodes.JwtPortNotHttp],
        ["RequestAuthentication", "Service", "Pod"], mesh =>
        from config in mesh.Clusters
        from policy in config.Cluster.Istio<RequestAuthentication>()
        where !policy.Selector.IsEmpty
        from area in config.Reach
        let workloads = config.Selected(policy.Namespace, policy.Selector).Where(workload => workload.Cluster == area.Cluster).ToList()
        from service in area.Cluster.Services
        where service.Spec.Selector.Count > 0
            && workloads.Exists(workload => workload.Namespace == service.Metadata.Namespace && LabelSelector.Selects(service.Spec.Selector, workload.Labels))
        from port in service.Spec.Ports.Index()
        let protocol = Protocols.Of(port.Item.Protocol, port.Item.AppProtocol, port.Item.Name, port.Item.Port)
        where protocol is not (Protocol.Auto or Protocol.Udp) && !protocol.IsHttp()
        // A Service may have ports for other purposes too.
        where service.Spec.Ports.TrueForAll(other => !IsHttp(other))
        select IstioCodes.JwtPortNotHttp.At(area.Cluster, $"Service {service.Key}", $"spec.ports[{port.Index}]",
            $"port {port.Item.Port} ({port.Item.Name}) carries {protocol} for proxies, so RequestAuthentication {policy.Namespace}/{policy.Name} checks no "
                + $"token there"));

    private static bool IsHttp(Kubernetes.Objects.ServicePort port) =>
        Protocols.Of(port.Protocol, port.AppProtocol, port.Name,
            port.Port) is Protocol.Auto or Protocol.Http or Protocol.Http2 or Protocol.Grpc or Protocol.GrpcWeb;
}

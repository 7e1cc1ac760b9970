using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Certificates in files that the Pods of a Gateway do not have. Pure.</summary>
public static class GatewayFiles
{
    public static Analyzer Analyzer { get; } = new("gateway.FileAnalyzer", "Checks that the files that Gateways name for TLS are mounted in their Pods",
        [GatewayCodes.FileUnmounted], ["Gateway", "Pod"], mesh =>
            from config in mesh.Clusters
            from gateway in config.Cluster.Istio<Gateway>()
            from server in gateway.Servers.Index()
            from area in config.Reach
            // One is enough to refuse TLS.
            let lacking = (from pod in area.All.Where(workload => LabelSelector.Selects(gateway.Selector, workload.Labels)).Select(workload => workload.Pod)
                           where pod is not null && Workload.ProxyOf(pod.Spec) is not null
                           from named in server.Item.Tls?.NamedFiles ?? []
                           where named.Path.StartsWith('/')
                           let file = ProxyFile.In(pod.Spec, named.Path)
                           where file.Volume is null
                           select (Pod: pod.Metadata, named.Field, File: file)).FirstOrDefault()
            where lacking.File is not null
            select GatewayCodes.FileUnmounted.At(config.Cluster, $"Gateway {gateway.FullName}", $"spec.servers[{server.Index}].tls.{lacking.Field}",
                $"is {lacking.File.Path}, and no volume is mounted there in the proxy of Pod {lacking.Pod.Namespace}/{lacking.Pod.Name} in "
                    + $"{area.Cluster.Context}: unless its image has the file, it refuses TLS",
                lacking.File.Remedy(lacking.Pod.Namespace)));
}

using System.Globalization;
using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>PeerAuthentications for a port of a Service where they need the port of the workload. Pure.</summary>
public static class PolicyPorts
{
    public static Analyzer Analyzer
    {
        get;
    } = new("authn.PortLevelAnalyzer", "Checks that PeerAuthentications name ports of workloads, and not of Services", [OwnCodes.PolicyPortOfService],
        ["PeerAuthentication", "Service", "Pod"], mesh => mesh.Clusters.SelectMany(Check));

    private static IEnumerable<Finding> Check(ConfigCluster config) =>
        from policy in config.Cluster.Istio<PeerAuthentication>()
        where policy.Selector.Count > 0
        from text in policy.Ports.Keys
        let port = int.Parse(text, CultureInfo.InvariantCulture)
        let led = Leads(config, policy).Where(way => way.From == port || way.To == port).ToList()
        // A port that a Service has under its own number, or a container listens on, is meant.
        where led.Count > 0 && led.TrueForAll(way => way.To != port)
        select OwnCodes.PolicyPortOfService.At(config.Cluster, $"PeerAuthentication {policy.Namespace}/{policy.Name}", $"spec.portLevelMtls[{port}]",
            $"port {port} is that of Service {led[0].Service}, which leads to port {led[0].To} of the workloads: there, this has no effect",
            $"write {led[0].To} instead of {port}");

    private static IEnumerable<(string Service, int From, int To)> Leads(ConfigCluster config, PeerAuthentication policy) =>
        from area in config.Reach
        from service in area.Cluster.Services
        where service.Metadata.Namespace == policy.Namespace
        from workload in area.Behind(service)
        where Kubernetes.Objects.LabelSelector.Selects(policy.Selector.Items, workload.Labels)
        from port in service.Spec.Ports
        let target = AcceptedTls.TargetOf(port, workload.Pod!)
        from way in new[] { (service.Key.ToString()!, port.Port, target) }.Concat(workload.Pod!.Spec.Containers.SelectMany(container => container.Ports)
            .Select(known => (service.Key.ToString()!, known.Number, known.Number)))
        select way;
}

using System.Globalization;
using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Policies for a port of a Service where they need the port of the workload. Pure.</summary>
public static class PolicyPorts
{
    public static Analyzer Analyzer
    {
        get;
    } = new("authn.PortLevelAnalyzer", "Checks that PeerAuthentications and AuthorizationPolicies name ports of workloads, and not of Services",
        [OwnCodes.PolicyPortOfService], ["PeerAuthentication", "AuthorizationPolicy", "Service", "Pod"],
        mesh => mesh.Clusters.SelectMany(config => Modes(config).Concat(Rules(config))));

    private static IEnumerable<Finding> Modes(ConfigCluster config) =>
        from policy in config.Cluster.Istio<PeerAuthentication>()
        where policy.Selector.Count > 0
        from text in policy.Ports.Keys
        from finding in Check(config, $"PeerAuthentication {policy.Namespace}/{policy.Name}", $"spec.portLevelMtls[{text}]", policy.Namespace, policy.Selector,
            text, "has no effect")
        select finding;

    private static IEnumerable<Finding> Rules(ConfigCluster config) =>
        from policy in config.Cluster.Istio<AuthorizationPolicy>()
        from read in PolicyTerm.Of(policy)
        where read.Term.Key == RuleKeys.DestinationPort
        from value in read.Term.Values.Select(port => (Port: port, read.Path, Effect: "matches no call"))
            .Concat(read.Term.NotValues.Select(port => (Port: port, Path: read.Negated, Effect: "excepts no call")))
        from finding in Check(config, $"AuthorizationPolicy {policy.Namespace}/{policy.Name}", value.Path, policy.Namespace, policy.Selector, value.Port,
            value.Effect)
        select finding;

    private static IEnumerable<Finding> Check(ConfigCluster config, string owner, string path, string ns, WorkloadSelector selector, string text, string effect)
    {
        if (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var port)
            && WorkloadPorts.MistakenFor(config, ns, selector, port) is (var service, var to))
            yield return OwnCodes.PolicyPortOfService.At(config.Cluster, owner, path,
                $"port {port} is that of Service {service}, which leads to port {to} of the workloads: there, this {effect}", $"write {to} instead of {port}");
    }
}

using System.Globalization;
using Isthmus.Core.Collections;
using Isthmus.Core.Problems;
using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Rules of AuthorizationPolicies by what only requests have, where proxies know of connections alone: a rule that allows allows nobody there, and
/// one that denies goes by what is left of it. Pure.</summary>
public static class RulesOfBytes
{
    private const int Named = 3;

    public static Analyzer Analyzer
    {
        get;
    } = new("authz.ProtocolAnalyzer", "Checks that rules of AuthorizationPolicies by methods, paths, hosts and tokens are for ports that declare HTTP",
        [OwnCodes.RequestRuleOfBytes], ["AuthorizationPolicy", "Service", "Pod"], mesh => mesh.Clusters.SelectMany(Check));

    private static IEnumerable<Finding> Check(ConfigCluster config)
    {
        var policies = config.Cluster.Istio<AuthorizationPolicy>().Where(policy => !policy.DryRun).ToList();
        return
            from policy in policies
            where policy.Action is PolicyAction.Allow or PolicyAction.Deny
            from rule in policy.Rules.Index()
            where Terms(rule.Item).Any(term => RuleKeys.IsOfRequest(term.Key))
            let all = config.Selected(policy.Namespace, policy.Selector)
                .Where(workload => workload is { Pod: not null, HasProxy: true } && !workload.IsGateway).ToList()
            let met = all.SelectMany(workload => Ports(config, workload).Where(port => Applies(rule.Item, port.Target)
                && !(policy.Action == PolicyAction.Allow && IsAllowed(config, policies, workload, port.Target)))).Distinct().ToList()
            where met.Count > 0
            let read = PolicyTerm.Of(policy).First(read => RuleKeys.IsOfRequest(read.Term.Key)
                && read.Path.StartsWith($"spec.rules[{rule.Index}].", StringComparison.Ordinal))
            let places = string.Join(", ", met.Take(Named).Select(port =>
                $"{port.Port} ({port.Protocol.ToString().ToUpperInvariant()}) of Service {port.Service}"))
                + (met.Count > Named ? $" and {Counted.Of(met.Count - Named, "other")}" : "")
            select policy.Action == PolicyAction.Deny
                ? OwnCodes.RequestRuleOfBytes.At(config.Cluster, NameOf(policy), read.Term.Values.IsEmpty ? read.Negated : read.Path,
                    $"only requests have it, and of connections to port {places} proxies know none: the rule denies "
                        + $"{(IsAll(rule.Item) ? "every connection there" : "all connections there that the rest of it matches")}",
                    $"restrict spec.rules[{rule.Index}] to HTTP ports (to.operation.ports), or name the port http-… if the application speaks HTTP")
                : OwnCodes.RequestRuleOfBytes.At(config.Cluster, NameOf(policy), read.Term.Values.IsEmpty ? read.Negated : read.Path,
                    $"only requests have it, and of connections to port {places} proxies know none: the rule allows none of them, and no other rule does",
                    "allow them by another rule, by their callers and ports alone, or name the port http-… if the application speaks HTTP",
                    // Where a workload has a port for requests, the rule may be meant for that one only.
                    all.Exists(workload => WorkloadPorts.ServicesOf(config, workload).Any(service => service.Spec.Ports.Exists(port => !IsBytes(port))))
                        ? Severity.Info : null);
    }

    private static string NameOf(AuthorizationPolicy policy) => $"AuthorizationPolicy {policy.Namespace}/{policy.Name}";

    private static IEnumerable<RuleTerm> Terms(AuthorizationRule rule) => rule.From.Concat(rule.To).SelectMany(terms => terms).Concat(rule.When);

    /// <summary>Whether nothing but the port is left of the rule.</summary>
    private static bool IsAll(AuthorizationRule rule) => Terms(rule).All(term => RuleKeys.IsOfRequest(term.Key) || term.Key == RuleKeys.DestinationPort);

    /// <summary>Whether the rule is for a port of a workload.</summary>
    private static bool Applies(AuthorizationRule rule, int port) =>
        (rule.To.IsEmpty || rule.To.Any(to => Admits(to, port))) && Admits(rule.When, port);

    private static bool Admits(ValueList<RuleTerm> terms, int port)
    {
        var text = port.ToString(CultureInfo.InvariantCulture);
        return terms.Where(term => term.Key == RuleKeys.DestinationPort)
            .All(term => (term.Values.IsEmpty || term.Values.Contains(text)) && !term.NotValues.Contains(text));
    }

    /// <summary>Whether some rule allows connections to a port, whoever makes them.</summary>
    private static bool IsAllowed(ConfigCluster config, List<AuthorizationPolicy> policies, Workload workload, int port) =>
        policies.Exists(policy => policy.Action == PolicyAction.Allow && policy.Reaches(workload.Namespace, config.Cluster.RootNamespace)
            && policy.Selector.Selects(workload.Labels)
            && policy.Rules.Any(rule => !Terms(rule).Any(term => RuleKeys.IsOfRequest(term.Key)) && Applies(rule, port)));

    /// <summary>The ports at which all Services of a workload declare connections.</summary>
    private static IEnumerable<(string Service, int Port, int Target, Protocol Protocol)> Ports(ConfigCluster config, Workload workload) =>
        from same in WorkloadPorts.ServicesOf(config, workload).SelectMany(service => service.Spec.Ports, (service, port) => (service, port))
            .GroupBy(item => AcceptedTls.TargetOf(item.port, workload.Pod!))
        where same.All(item => IsBytes(item.port)) && same.Any(item => item.port.Protocol != "UDP")
        let first = same.First(item => item.port.Protocol != "UDP")
        select ($"{first.service.Key}", first.port.Port, same.Key, Declared(first.port));

    private static bool IsBytes(Kubernetes.Objects.ServicePort port) => Declared(port) is var declared && declared != Protocol.Auto && !declared.IsHttp();

    private static Protocol Declared(Kubernetes.Objects.ServicePort port) => Protocols.Of(port.Protocol, port.AppProtocol, port.Name, port.Port);
}

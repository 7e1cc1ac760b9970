using Isthmus.Core.Names;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Rules for the name of a Service without the port that its clients send with it. Pure.</summary>
public static class PolicyHosts
{
    // Of HTTP in plain text. That of HTTPS is the default for a client that begins TLS itself, whose requests no policy sees.
    private const int DefaultPort = 80;

    public static Analyzer Analyzer { get; } = new("authz.HostAnalyzer", "Checks that AuthorizationPolicies name hosts with the ports that clients send",
        [PolicyCodes.HostWithoutPort], ["AuthorizationPolicy", "Service", "ServiceEntry"], Analyze);

    private static IEnumerable<Finding> Analyze(MeshSnapshot mesh) =>
        from config in mesh.Clusters
        from policy in config.Cluster.Istio<AuthorizationPolicy>()
        from read in PolicyTerm.Of(policy)
        where read.Term.Key == RuleKeys.Host
        from given in Given(read)
        from host in given.Hosts
        let sent = Ports(mesh.Hosts, policy.Namespace, host).Select(port => $"{host}:{port}").ToList()
        where sent.Count > 0 && !given.Hosts.Any(other => sent.Any(full => Takes(other, full)))
        select PolicyCodes.HostWithoutPort.At(config.Cluster, $"AuthorizationPolicy {policy.Namespace}/{policy.Name}", given.Path,
            $"{host} is compared with the Host that clients send, which has the port: {string.Join(" or ", sent)}. {given.Effect}",
            $"write {host}:* beside it");

    private static IEnumerable<(IReadOnlyList<string> Hosts, string Path, string Effect)> Given(PolicyTerm read) =>
        [([.. read.Term.Values], read.Path, "So the rule matches none of these calls"),
            ([.. read.Term.NotValues], read.Negated, "So the rule excepts none of these calls")];

    /// <summary>The ports at which clients call a Service by this name, all of which they send along; none for other names.</summary>
    private static List<int> Ports(HostTable hosts, string ns, string host)
    {
        if (host.Contains('*', StringComparison.Ordinal) || host.Contains(':', StringComparison.Ordinal)) return [];
        var known = hosts.Find(FullName(host.ToLowerInvariant(), ns));
        var ports = known.SelectMany(one => one.Protocols).Where(port => port.Protocol.IsHttp() || port.Protocol == Protocol.Auto)
            .Select(port => port.Number).Distinct().Order().ToList();
        return ports.Contains(DefaultPort) ? [] : ports;
    }

    private static string FullName(string host, string ns) => host.Split('.') switch
    {
        [var name] => $"{name}.{ns}.svc.{WellKnown.DefaultDomainSuffix}",
        [var name, var of] => $"{name}.{of}.svc.{WellKnown.DefaultDomainSuffix}",
        [var name, var of, "svc"] => $"{name}.{of}.svc.{WellKnown.DefaultDomainSuffix}",
        _ => host,
    };

    private static bool Takes(string pattern, string host) => RulePattern.Of(RuleKeys.Host, pattern.ToLowerInvariant()).Covers(host.ToLowerInvariant());
}

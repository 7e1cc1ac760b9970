using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>DestinationRules with TLS that name no CA: what proxies verify servers with instead. Pure.</summary>
public static class ServerRoots
{
    public static Analyzer Analyzer { get; } = new("destinationrule.CaCertificateAnalyzer",
        "Checks that DestinationRules with TLS say which CA servers are verified with",
        [IstioCodes.NoCaOfHost, IstioCodes.NoCaOfPort], ["DestinationRule"], mesh => mesh.Clusters.SelectMany(Check));

    private static IEnumerable<Finding> Check(ConfigCluster config)
    {
        foreach (var rule in config.Cluster.Written<DestinationRule>())
        {
            var name = $"DestinationRule {rule.Namespace}/{rule.Name}";
            if (Says(rule, rule.Policy.Tls) is { } message)
                yield return IstioCodes.NoCaOfHost.At(config.Cluster, name, "spec.trafficPolicy.tls", message, Remedy(rule.Policy.Tls!));
            foreach (var (i, port) in rule.Policy.Ports.Index())
            {
                if (Says(rule, port.Policy.Tls) is { } ofPort)
                    yield return IstioCodes.NoCaOfPort.At(config.Cluster, name, $"spec.trafficPolicy.portLevelSettings[{i}].tls",
                        $"port {port.Port}: {ofPort}", Remedy(port.Policy.Tls!));
            }
        }
    }

    /// <summary>Null if nothing is to be said. Certificates that are not verified at all are reported with the field that says so.</summary>
    private static string? Says(DestinationRule rule, ClientTls? tls) => tls switch
    {
        { Mode: not (ClientTlsMode.Simple or ClientTlsMode.Mutual) } or null or { InsecureSkipVerify: true } or { CaCertificates.Length: > 0 } => null,
        { CredentialName.Length: > 0 } when rule.WorkloadSelector.Count > 0 => null,
        { CredentialName: { Length: > 0 } credential } =>
            $"the CA of {rule.Host} is in Secret {credential}, which only gateways get: the rule applies to sidecars too, which can verify no server, and "
                + "make no connection",
        _ => $"no caCertificates are set, so proxies verify {rule.Host} with the roots of their system, and refuse a server with a certificate of a private CA",
    };

    private static string Remedy(ClientTls tls) => tls.CredentialName.Length > 0
        ? "select the gateway with spec.workloadSelector, and give sidecars a rule with caCertificates"
        : "set caCertificates if the CA of the server is private; for a server with a public certificate, nothing is to be done";
}

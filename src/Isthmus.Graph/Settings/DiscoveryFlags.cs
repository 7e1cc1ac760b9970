using Isthmus.Core.Flags;
using Isthmus.Core.Names;
using Isthmus.Core.Net;
using Isthmus.Mesh.Model;

namespace Isthmus.Graph.Settings;

/// <summary>The flags of <c>isthmus discovery</c>: those of Istio's <c>pilot-discovery</c>. Flags of parts that Isthmus
/// does not have are accepted and ignored.</summary>
internal sealed record DiscoveryFlags(string DomainSuffix, int MonitoringPort, int ControlPort)
{
    private static readonly Flag<string> Domain = Flag.Text("--domain", "DOMAIN", WellKnown.DefaultDomainSuffix);

    private static readonly Flag<int> Monitoring = new("--monitoringAddr", "ADDRESS:PORT", Ports.DiscoveryMonitoring,
        text => PortNumber.TryParse(text.AsSpan(text.LastIndexOf(':') + 1), out var port)
            ? port
            : throw new FormatException($"expected an address and a port, for example :{Ports.DiscoveryMonitoring}"));

    private static readonly Flag<int> Control = new("--ctrlz_port", "PORT", Ports.ControlZ,
        text => PortNumber.TryParse(text, out var port)
            ? port
            : text == "0"
            ? 0
            : throw new FormatException($"expected a port, for example {Ports.ControlZ}, or 0 to serve none"));

    private static readonly FlagSet Flags = new("isthmus discovery",
    [
        Domain, Monitoring, Control,
        .. Flag.Ignored("--caCertFile", "--clusterAliases", "--clusterID", "--clusterRegistriesNamespace", "--configDir", "--ctrlz_address",
            "--grpcAddr", "--httpAddr", "--httpsAddr", "--injectionDirectory", "--keepaliveInterval", "--keepaliveMaxServerConnectionAge", "--keepaliveTimeout",
            "--kubeconfig", "--kubernetesApiBurst", "--kubernetesApiQPS", "--log_caller", "--log_output_level", "--log_rotate", "--log_rotate_max_age",
            "--log_rotate_max_backups", "--log_rotate_max_size", "--log_stacktrace_level", "--log_target", "--mcpInitialConnWindowSize",
            "--mcpInitialWindowSize",
            "--mcpMaxMsgSize", "--meshConfig", "--namespace", "-n", "--networksConfig", "--plugins", "--registries", "--resync", "--secureGRPCAddr",
            "--shutdownDuration", "--tls-cipher-suites", "--tlsCertFile", "--tlsKeyFile", "--vklog", "-v", "--watchedNamespaces", "-a", "--appNamespace"),
        .. Flag.IgnoredSwitches("--log_as_json", "--profile", "--disable-install-crds", "--enable-profiling"),
    ]);

    /// <exception cref="WrongUseException">A flag is unknown, has no value, or has an invalid value.</exception>
    public static DiscoveryFlags Read(string[] args)
    {
        var flags = Flags.Read(args);
        return new(flags.Get(Domain), flags.Get(Monitoring), flags.Get(Control));
    }
}

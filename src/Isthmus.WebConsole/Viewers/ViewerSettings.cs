using Isthmus.Core.Flags;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.WebConsole.Traffic;

namespace Isthmus.WebConsole.Viewers;

/// <summary>How the console runs in a cluster.</summary>
/// <param name="Cluster">The name of the cluster.</param>
/// <param name="Hosts">The names under which it is reached over TLS; empty when it is reached through the API server only.</param>
/// <param name="ServerTls">The directory with <c>tls.crt</c> and <c>tls.key</c>.</param>
/// <param name="CertificateAuthority">The file with the CA of the API server.</param>
/// <param name="Prometheus">Never an address: the console would read there what a viewer may not see.</param>
internal sealed record ViewerSettings(string Cluster, string IstioNamespace, IReadOnlyList<string> Hosts, string ServerTls, string CertificateAuthority,
    PrometheusChoice Prometheus)
{
    private const string Program = "isthmus console-server";

    private static readonly Flag<string> ClusterName = Flag.Text("--cluster", "NAME", "Kubernetes"),
        Namespace = Flag.Text("--istioNamespace", "NAMESPACE", WellKnown.SystemNamespace),
        HostNames = Flag.Text("--hosts", "NAMES", ""), TlsFolder = Flag.Text("--tls", "DIR", "/var/run/secrets/isthmus-console/tls"),
        CaFile = Flag.Text("--ca", "FILE", "/var/run/secrets/isthmus-console/ca/ca.crt"),
        PrometheusService = Flag.Text("--prometheus", "SERVICE", "");

    private static readonly FlagSet Flags = new(Program, ClusterName, Namespace, HostNames, TlsFolder, CaFile, PrometheusService);

    /// <exception cref="WrongUseException">The command line is not valid.</exception>
    public static ViewerSettings Read(string[] args)
    {
        var flags = Flags.Read(args);
        var hosts = flags.Get(HostNames).Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        if (hosts.FirstOrDefault(host => Uri.CheckHostName(host.Split(':')[0]) == UriHostNameType.Unknown
            || host.Contains('/', StringComparison.Ordinal)) is { } wrong)
            throw new WrongUseException(Program, $"--hosts: invalid name '{wrong}'",
                "expected names as browsers send them, for example console.example.com or console.example.com:8443");
        var prometheus = PrometheusChoice.Read($"{Program}: --prometheus", flags.Get(PrometheusService));
        if (prometheus.Address is not null)
            throw new WrongUseException(Program,
                $"--prometheus {flags.Get(PrometheusService)}: in a cluster, viewers read Prometheus with their own rights, through the API server",
                "give its Service as NAMESPACE/NAME[:PORT]");
        return new(flags.Get(ClusterName), flags.Get(Namespace), hosts, flags.Get(TlsFolder), flags.Get(CaFile), prometheus);
    }

    /// <summary>The API server of the Pod's own cluster.</summary>
    /// <exception cref="ProblemException">This is not a Pod.</exception>
    public Uri Server(Func<string, string?> environment) => environment("KUBERNETES_SERVICE_HOST") is { Length: > 0 } host
        ? new Uri($"https://{(host.Contains(':', StringComparison.Ordinal) ? $"[{host}]" : host)}:{environment("KUBERNETES_SERVICE_PORT") ?? "443"}")
        : throw new ProblemException("KUBERNETES_SERVICE_HOST", "is not set: this is not a Pod", "outside of clusters, use 'isthmus console'");
}

using System.Net;
using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Proxy.Admin;
using Isthmus.Proxy.Dns;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Tls;
using Isthmus.Proxy.Transports;
using Isthmus.Wire.Dns;

namespace Isthmus.Proxy.Agent;

/// <summary>The files of the container that a proxy runs in; a test gives each of its Pods a directory.</summary>
/// <param name="Root">The directory that holds the container's file system; empty for this process's own.</param>
/// <param name="Logs">Where access logs go.</param>
internal sealed record AgentFiles(string Root, ILogFiles Logs)
{
    public static AgentFiles OfProcess { get; } = new("", new ProcessLogFiles());

    /// <summary>The text of a file; empty when it does not exist.</summary>
    public string Read(string path) => File.Exists(Root + path) ? File.ReadAllText(Root + path) : "";
}

/// <summary>A proxy with its agent: certificates and configuration from the control plane, the data plane, the DNS proxy,
/// the status port.</summary>
internal static class AgentRun
{
    private const string WorkloadSockets = "/var/run/secrets/workload-spiffe-uds";

    private const string PodInfo = "/etc/istio/pod", WorkloadCredentials = "/var/run/secrets/workload-spiffe-credentials", MountedCertificates = "/etc/certs";

    /// <summary>Runs until <paramref name="stop"/> or a quit request, then drains.</summary>
    public static async Task<int> RunAsync(AgentSettings settings, IReadOnlyDictionary<string, string> environment, ProxyPorts ports, AgentFiles files,
        ProcessLog log, Func<AgentParts, IServedPlane> dataPlane, CancellationToken stop)
    {
        var (time, random) = (ports.Time, ports.Random);
        var (labels, annotations) = (DownwardFile.Parse(files.Read($"{PodInfo}/labels")), DownwardFile.Parse(files.Read($"{PodInfo}/annotations")));
        settings = settings with
        {
            TokenFile = settings.TokenFile.Length > 0 ? files.Root + settings.TokenFile : "", RootFile = files.Root + settings.RootFile
        };
        var node = AgentNode.Build(settings, labels, annotations);
        var resolver = ResolverSettings.Parse(files.Read(ResolverSettings.Path));
        var upstream = new Upstream([.. resolver.Servers], time);
        var names = new NameLookup(resolver, upstream, () => files.Read("/etc/hosts"), random);
        var dial = new ControlPlaneDial(settings, names, time);

        var socket = WorkloadSocket(settings, files);
        var mounted = socket.Length > 0 ? "" : Mounted(environment, files);
        var mountedSecrets = new FileSecrets(mounted, time, log.CreateLogger("secrets"));
        var authority = mounted.Length > 0 || socket.Length > 0 ? null : new CertificateClient(settings, dial, time);
        var discovered = new DiscoveredSecrets(time);
        var secrets = new WorkloadSecrets(settings, authority, mountedSecrets, discovered, time, random, log.CreateLogger("secrets"))
        {
            Socket = socket.Length > 0 ? new(socket, settings.TrustDomain, node.Id, time, random, log.CreateLogger("secrets")) : null,
        };

        if (settings.CertificateDirectory.Length > 0)
            new WrittenCertificates(files.Root + settings.CertificateDirectory, secrets, log.CreateLogger("secrets")).Follow();

        var proxy = ProxySettings.Default(AgentNode.Identity(settings, node, labels), settings.Role) with
        {
            Status = new(IPAddress.Any, settings.StatusPort),
            DrainTime = settings.DrainTime,
            ListenerDrainTime = settings.ListenerDrainTime,
            LossTime = settings.LossTime,
            MaxConnections = settings.MaxConnections,
            Stats = StatsSelection.Read(JsonNode.Parse(settings.ProxyConfig)!),
            CompressesScrapes = settings.StatsCompression,
            Buckets = HistogramBuckets.Read(settings.HistogramBuckets),
        };
        DnsProxy? dns = null;
        using var plane = dataPlane(new()
        {
            Settings = settings, Node = node, Proxy = proxy, Dial = dial, Secrets = secrets, Discovered = discovered, Names = names, Resolver = resolver,
            Table = settings.CaptureDns ? () => dns?.Table : null,
            TakeNames = table =>
            {
                if (dns is not null) dns.Table = NameTables.Build(table, settings.Namespace, settings.Domain, resolver.Search);
            },
            Ports = ports, Files = files, Log = log,
        });
        if (settings.CaptureDns) dns = new(ports.Sockets.Place(new(IPAddress.Loopback, Ports.SidecarDns)), upstream, time, random, plane.ReportFailure);

        using var prober = new AppProber(settings.Address);
        using var quit = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var application = new AppMetricsSource(AppMetrics.Read(settings.ApplicationMetrics), prober);
        var status = new StatusRoutes(
            AppProbe.ReadAll(settings.ApplicationProbes), prober, new AgentMetrics(secrets, application, dns, time).Text, application,
            plane.MetricsBody, plane.Leave, quit.Cancel) { CompressesScrapes = proxy.CompressesScrapes };

        // Configuration and certificates keep updating while connections drain, and stop afterwards.
        using var end = new CancellationTokenSource();
        Task[] beside = [secrets.RunAsync(end.Token), plane.RunAsync(end.Token), .. dns is null ? [] : new[] { dns.RunAsync(end.Token) }];
        // The kubelet stops an ordinary sidecar together with the application, and runs its hooks meanwhile.
        var serving = ProxyEndpoints.ServeAsync(plane, [status.HandleAsync], Secured(settings, plane, status, new(secrets, time)),
            () => stop.IsCancellationRequested, quit.Token);
        // Each of them ends early only by failing; the process then ends too.
        var first = await Task.WhenAny([serving, .. beside]).ConfigureAwait(false);
        if (first != serving) await first.ConfigureAwait(false);
        await serving.ConfigureAwait(false);
        await end.CancelAsync().ConfigureAwait(false);
        await Task.WhenAll(beside).ConfigureAwait(false);
        return 0;
    }

    /// <summary>The ports at which clients with a certificate of the mesh read metrics, and nothing else.</summary>
    private static List<(IPEndPoint, AdminTls, AdminHandler)> Secured(AgentSettings settings, IServedPlane plane, StatusRoutes status, AdminTls tls)
    {
        var ports = new List<(IPEndPoint, AdminTls, AdminHandler)>();
        if (settings.SecureMetricsPort > 0) ports.Add((new(IPAddress.Any, settings.SecureMetricsPort), tls, plane.Metrics));
        if (settings.SecureMergedMetricsPort > 0) ports.Add((new(IPAddress.Any, settings.SecureMergedMetricsPort), tls, status.HandleMergedAsync));
        return ports;
    }

    /// <summary>The socket of an SDS server that gives this workload its certificate; empty when there is none. As in Istio, a socket with another name
    /// than the usual one must exist.</summary>
    /// <exception cref="ProblemException">It does not.</exception>
    internal static string WorkloadSocket(AgentSettings settings, AgentFiles files)
    {
        var path = $"{files.Root}{WorkloadSockets}/{settings.WorkloadSocket}";
        if (File.Exists(path)) return path;
        return settings.WorkloadSocket == AgentSettings.UsualSocket ? ""
            : throw new ProblemException("WORKLOAD_IDENTITY_SOCKET_FILE", $"there is no socket {path}",
                $"mount the socket of the SDS server at {WorkloadSockets}, or remove the variable");
    }

    /// <summary>The directory of mounted certificates, which replace those of a CA; empty when there is none.</summary>
    private static string Mounted(IReadOnlyDictionary<string, string> environment, AgentFiles files)
    {
        if (environment.GetValueOrDefault("FILE_MOUNTED_CERTS") == "true") return files.Root + MountedCertificates;
        return File.Exists($"{files.Root}{WorkloadCredentials}/cert-chain.pem") ? files.Root + WorkloadCredentials : "";
    }
}

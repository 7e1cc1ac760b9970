using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Core.Identity;
using Isthmus.Core.Json;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Core.Time;

namespace Isthmus.Proxy.Agent;

/// <summary>An address of the control plane: <c>host:port</c>.</summary>
internal sealed record ServerAddress(string Host, int Port)
{
    /// <summary>By convention 15010 is the plain port.</summary>
    public bool IsPlain => Port == Ports.DiscoveryPlain;

    public static ServerAddress Parse(string text, string source)
    {
        var colon = text.LastIndexOf(':');
        return colon > 0 && int.TryParse(text.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var port) && port is > 0 and <= 65535
            ? new(text[..colon].Trim('[', ']'), port)
            : throw new ProblemException(source, $"'{text}' is not a control plane address", "write HOST:PORT, for example istiod.istio-system.svc:15012");
    }

    public override string ToString() => $"{Host}:{Port}";
}

/// <summary>The agent's settings from its environment (the variables and files that Istio's injection provides).</summary>
internal sealed record AgentSettings
{
    /// <summary>The Istio release whose proxy this one replaces; control planes adapt to it.</summary>
    public const string CompatibleRelease = WellKnown.CompatibleRelease;

    /// <summary>The name of the socket of an SDS server for this workload, unless a variable says another one.</summary>
    public const string UsualSocket = "socket";

    private const string UsualConfigPath = "./etc/istio/proxy", BinaryVariable = "PROXY_BINARY_PATH";

    private const string MetadataPrefix = "ISTIO_META_", JsonMetadataPrefix = "ISTIO_METAJSON_";

    public required string Role { get; init; }
    public required string PodName { get; init; }
    public required string Namespace { get; init; }
    public required string Address { get; init; }
    public required string Domain { get; init; }
    public required string ServiceAccount { get; init; }
    public required string ClusterId { get; init; }
    public required string TrustDomain { get; init; }
    public required ServerAddress Discovery { get; init; }
    public required ServerAddress CertificateAuthority { get; init; }
    /// <summary>The name the server's certificate must carry; empty: the host of the address.</summary>
    public required string ServerName { get; init; }
    /// <summary>The file of the bearer token; empty: the proxy authenticates another way.</summary>
    public required string TokenFile { get; init; }
    /// <summary>The roots that the control plane's certificate must chain to.</summary>
    public required string RootFile { get; init; }
    public required TimeSpan CertificateLifetime { get; init; }
    /// <summary>The fraction of the lifetime that is left when a new certificate is fetched.</summary>
    public required double RenewalRatio { get; init; }
    /// <summary>P-256 unless Istio's variable asks for RSA: generating it is instant, and a handshake costs a tenth.</summary>
    public required bool EllipticKeys { get; init; }
    /// <summary>The name of that socket here.</summary>
    public string WorkloadSocket { get; init; } = UsualSocket;
    public required bool CaptureDns { get; init; }
    public required int StatusPort { get; init; }
    /// <summary>The port of the proxy's metrics behind mesh TLS; 0: none.</summary>
    public int SecureMetricsPort { get; init; }
    /// <summary>The port of the merged metrics behind mesh TLS; 0: none.</summary>
    public int SecureMergedMetricsPort { get; init; }
    /// <summary>The directory in which other containers find the certificate of the workload; empty for none.</summary>
    public string CertificateDirectory { get; init; } = "";
    public required TimeSpan DrainTime { get; init; }

    /// <summary>How long connections may continue after the removal of their listener.</summary>
    public required TimeSpan ListenerDrainTime { get; init; }

    /// <summary>How long the control plane hears of telemetry that was lost.</summary>
    public TimeSpan LossTime { get; init; } = TimeSpan.FromMinutes(1);
    /// <summary>The application's own probes as JSON, keyed by the path that replaces them.</summary>
    public required string ApplicationProbes { get; init; }
    /// <summary>Where the application serves its metrics, as JSON; empty: nowhere.</summary>
    public required string ApplicationMetrics { get; init; }
    /// <summary>The ranges of Istio's histograms as JSON; empty: the default.</summary>
    public required string HistogramBuckets { get; init; }
    /// <summary>Whether answers to Prometheus are compressed for clients that can read it (<c>statsCompression</c> of ProxyConfig).</summary>
    public bool StatsCompression { get; init; } = true;
    /// <summary>How many connections clients may have open.</summary>
    public required int MaxConnections { get; init; }
    /// <summary>Node metadata from ISTIO_META_ variables.</summary>
    public required ValueMap<string> Metadata { get; init; }
    /// <summary>Node metadata from ISTIO_METAJSON_ variables: JSON text.</summary>
    public required ValueMap<string> JsonMetadata { get; init; }
    /// <summary>The program of Envoy (<c>binaryPath</c> of ProxyConfig); empty: the data plane is this process.</summary>
    public string BinaryPath { get; init; } = "";
    /// <summary>The directory in which an agent keeps files and sockets for Envoy (<c>configPath</c> of ProxyConfig).</summary>
    public string ConfigPath { get; init; } = UsualConfigPath;
    /// <summary>The hosts whose certificates do not count when modules of Wasm are fetched, and whose registries may do without TLS; <c>*</c>: all.</summary>
    public ValueList<string> InsecureRegistries { get; init; }
    /// <summary>The level of Envoy's log, and those of its components (<c>NAME:LEVEL,…</c>; empty: as the log).</summary>
    public string ProxyLogLevel { get; init; } = "warning";
    public string ComponentLogLevels { get; init; } = "";
    /// <summary>The proxy configuration as JSON text, with defaults filled in.</summary>
    public required string ProxyConfig { get; init; }

    /// <summary>What its own certificate proves.</summary>
    public SpiffeId Identity => new(TrustDomain, Namespace, ServiceAccount.Length > 0 ? ServiceAccount : "default");

    /// <exception cref="ProblemException">A variable is missing or malformed.</exception>
    public static AgentSettings Read(string role, string domain, IReadOnlyDictionary<string, string> environment)
    {
        var config = ReadConfig(environment.GetValueOrDefault("PROXY_CONFIG", ""));
        var discovery = config["discoveryAddress"]!.GetValue<string>();
        var ns = Required(environment, "POD_NAMESPACE");
        var binary = BinaryOf(config, environment);
        if (binary.Length > 0) config["binaryPath"] = binary;
        return new()
        {
            Role = role,
            PodName = Required(environment, "POD_NAME"),
            Namespace = ns,
            Address = Required(environment, "INSTANCE_IP"),
            Domain = domain.Length > 0 ? domain : $"{ns}.svc.{WellKnown.DefaultDomainSuffix}",
            ServiceAccount = environment.GetValueOrDefault("SERVICE_ACCOUNT", ""),
            // Istio's own fallback for a Pod without the variable.
            ClusterId = environment.GetValueOrDefault("ISTIO_META_CLUSTER_ID", "Kubernetes"),
            TrustDomain = environment.GetValueOrDefault("TRUST_DOMAIN", WellKnown.DefaultTrustDomain),
            Discovery = ServerAddress.Parse(discovery, "PROXY_CONFIG discoveryAddress"),
            CertificateAuthority = ServerAddress.Parse(NotEmpty(environment, "CA_ADDR") ?? discovery, "CA_ADDR"),
            ServerName = environment.GetValueOrDefault("ISTIOD_SAN", ""),
            TokenFile = TokenOf(environment.GetValueOrDefault("JWT_POLICY", "third-party-jwt")),
            RootFile = NotEmpty(environment, "XDS_ROOT_CA") ?? NotEmpty(environment, "CA_ROOT_CA")
                ?? RootsOf(environment.GetValueOrDefault("PILOT_CERT_PROVIDER", "istiod")),
            CertificateLifetime = Duration(environment, "SECRET_TTL", TimeSpan.FromHours(24)),
            RenewalRatio = Ratio(environment, "SECRET_GRACE_PERIOD_RATIO", 0.5),
            EllipticKeys = NotEmpty(environment, "WORKLOAD_RSA_KEY_SIZE") is null || environment.GetValueOrDefault("ECC_SIGNATURE_ALGORITHM") == "ECDSA",
            WorkloadSocket = SocketName(NotEmpty(environment, "WORKLOAD_IDENTITY_SOCKET_FILE") ?? UsualSocket),
            CaptureDns = role == "sidecar" && bool.TryParse(environment.GetValueOrDefault("ISTIO_META_DNS_CAPTURE"), out var dns) && dns,
            StatusPort = config["statusPort"]!.GetValue<int>(),
            SecureMetricsPort = Port(environment, "ENVOY_SECURE_METRICS_PORT"),
            SecureMergedMetricsPort = Port(environment, "ENVOY_SECURE_MERGED_METRICS_PORT"),
            CertificateDirectory = environment.GetValueOrDefault("OUTPUT_CERTS", ""),
            DrainTime = DurationOf(config, "terminationDrainDuration"),
            ListenerDrainTime = DurationOf(config, "drainDuration"),
            ApplicationProbes = environment.GetValueOrDefault("ISTIO_KUBE_APP_PROBERS", ""),
            ApplicationMetrics = environment.GetValueOrDefault("ISTIO_PROMETHEUS_ANNOTATIONS", ""),
            HistogramBuckets = environment.GetValueOrDefault("ISTIO_HISTOGRAM_BUCKETS", ""),
            StatsCompression = config["statsCompression"]?.ToString() != "false",
            MaxConnections = MostConnections(config, environment),
            Metadata = Prefixed(environment, MetadataPrefix),
            JsonMetadata = Prefixed(environment, JsonMetadataPrefix),
            BinaryPath = binary,
            InsecureRegistries = environment.GetValueOrDefault("WASM_INSECURE_REGISTRIES", "")
                .Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries).ToValueList(),
            ConfigPath = config["configPath"]!.GetValue<string>(),
            ProxyConfig = config.ToJsonString(),
        };
    }

    /// <summary>The variable is for objects that can set no field: of the kind ProxyConfig, only <c>environmentVariables</c> reach the proxy. It
    /// wins.</summary>
    private static string BinaryOf(JsonObject config, IReadOnlyDictionary<string, string> environment)
    {
        var (source, path) = NotEmpty(environment, BinaryVariable) is { } variable
            ? (BinaryVariable, variable)
            : ("PROXY_CONFIG binaryPath", config["binaryPath"]?.GetValue<string>() ?? "");
        return path.Length == 0 || Path.IsPathRooted(path)
            ? path
            : throw new ProblemException(source, $"'{path}' is not an absolute path",
                "write the path of the program in the container, for example /usr/local/bin/envoy");
    }

    /// <summary>The field wins over the older variable, as in Istio.</summary>
    private static int MostConnections(JsonObject config, IReadOnlyDictionary<string, string> environment)
    {
        const string Field = "connectionSettings.globalDownstreamConnectionLimit", Variable = "ISTIO_META_GLOBAL_DOWNSTREAM_MAX_CONNECTIONS";
        var field = (config["connectionSettings"] as JsonObject)?["globalDownstreamConnectionLimit"]?.ToString();
        if ((field ?? NotEmpty(environment, Variable)) is not { } text) return int.MaxValue;
        return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var most) && most > 0 ? most
            : throw new ProblemException(field is null ? Variable : $"PROXY_CONFIG {Field}", $"'{text}' is not a number of connections",
                "use a positive number");
    }

    private static TimeSpan DurationOf(JsonObject config, string field) =>
        Durations.TryParse(config[field]!.GetValue<string>(), out var value) && value >= TimeSpan.Zero
            ? value
            : throw new ProblemException($"PROXY_CONFIG {field}", "is not a duration", "for example 5s");

    private static JsonObject ReadConfig(string text)
    {
        var config = new JsonObject
        {
            ["configPath"] = UsualConfigPath,
            ["controlPlaneAuthPolicy"] = "MUTUAL_TLS",
            ["discoveryAddress"] = $"{WellKnown.Istiod}.{WellKnown.SystemNamespace}.svc:{Ports.DiscoveryTls}",
            ["drainDuration"] = "45s",
            ["proxyAdminPort"] = Ports.ProxyAdmin,
            ["serviceCluster"] = "istio-proxy",
            ["statNameLength"] = 189,
            ["statusPort"] = Ports.AgentStatus,
            ["terminationDrainDuration"] = "5s",
        };
        if (text.Trim().Length == 0) return config;
        try
        {
            if (StrictJson.Parse(text) is not JsonObject given) throw new ProblemException("PROXY_CONFIG", "a JSON object is expected");
            foreach (var (name, value) in given) config[name] = value?.DeepClone();
            // Read here, so that a wrong type is reported now and by name.
            _ = config["discoveryAddress"]!.GetValue<string>();
            _ = config["statusPort"]!.GetValue<int>();
            _ = config["terminationDrainDuration"]!.GetValue<string>();
            _ = config["drainDuration"]!.GetValue<string>();
            _ = config["configPath"]!.GetValue<string>();
            _ = config["binaryPath"]?.GetValue<string>();
            return config;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException or NullReferenceException)
        {
            throw new ProblemException("PROXY_CONFIG", $"cannot be read: {e.Message}", "it is ProxyConfig as JSON", e);
        }
    }

    private static ValueMap<string> Prefixed(IReadOnlyDictionary<string, string> environment, string prefix) =>
        new(environment.Where(e => e.Key.StartsWith(prefix, StringComparison.Ordinal) && e.Key.Length > prefix.Length)
            .Select(e => KeyValuePair.Create(e.Key[prefix.Length..], e.Value)));

    private static string TokenOf(string policy) => policy switch
    {
        "third-party-jwt" => "/var/run/secrets/tokens/istio-token",
        "first-party-jwt" => "/var/run/secrets/kubernetes.io/serviceaccount/token",
        "none" or "" => "",
        _ => throw new ProblemException("JWT_POLICY", $"'{policy}' is not known", "use third-party-jwt, first-party-jwt or none"),
    };

    private static string RootsOf(string provider) => provider switch
    {
        "istiod" or "custom" => $"/var/run/secrets/istio/{WellKnown.RootCertKey}",
        "kubernetes" => "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt",
        _ => throw new ProblemException("PILOT_CERT_PROVIDER", $"'{provider}' is not known", "use istiod or kubernetes"),
    };

    private static string Required(IReadOnlyDictionary<string, string> environment, string name) =>
        NotEmpty(environment, name)
            ?? throw new ProblemException(name, "the environment variable is missing", "it is set by injection; isthmus proxy runs inside an injected Pod");

    private static string SocketName(string name) => Path.GetFileName(name) == name && name is not ("." or "..") ? name
        : throw new ProblemException("WORKLOAD_IDENTITY_SOCKET_FILE", $"'{name}' is not the name of a file",
            "give the name of the socket, without a directory");

    private static int Port(IReadOnlyDictionary<string, string> environment, string name) =>
        NotEmpty(environment, name) is not { } text ? 0
        : int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var port) && port <= 65535 ? port
        : throw new ProblemException(name, $"'{text}' is not a port", "use a number, for example 15091, or 0 for none");

    private static string? NotEmpty(IReadOnlyDictionary<string, string> environment, string name) =>
        environment.TryGetValue(name, out var value) && value.Length > 0 ? value : null;

    private static TimeSpan Duration(IReadOnlyDictionary<string, string> environment, string name, TimeSpan otherwise) =>
        NotEmpty(environment, name) is not { } text ? otherwise
        : Durations.TryParse(text, out var value) && value > TimeSpan.Zero ? value
        : throw new ProblemException(name, $"'{text}' is not a duration", "for example 24h0m0s");

    private static double Ratio(IReadOnlyDictionary<string, string> environment, string name, double otherwise) =>
        NotEmpty(environment, name) is not { } text ? otherwise
        : double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var value) && value is > 0 and < 1 ? value
        : throw new ProblemException(name, $"'{text}' is not a ratio", "use a number between 0 and 1");
}

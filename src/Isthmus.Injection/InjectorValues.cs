using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Mesh.Model;

namespace Isthmus.Injection;

/// <summary>
/// What the injector needs besides the Pod: the values of the installation (ConfigMap <c>istio-sidecar-injector</c>, key
/// <c>values</c>) and the mesh's default proxy configuration (ConfigMap <c>istio</c>). The trees are read-only; a new
/// snapshot replaces them as a whole.
/// </summary>
public sealed record InjectorValues(JsonObject Values, JsonObject DefaultConfig, string TrustDomain)
{
    internal const int DefaultStartupFailures = 600;

    public static readonly InjectorValues Empty = new([], [], WellKnown.DefaultTrustDomain);

    /// <summary>MeshConfig's <c>enablePrometheusMerge</c>.</summary>
    public bool MergesMetrics { get; init; } = true;

    /// <summary>The namespace whose ProxyConfigs apply to all Pods.</summary>
    public string RootNamespace { get; init; } = WellKnown.SystemNamespace;

    /// <summary>MeshConfig, for templates.</summary>
    public JsonObject Mesh { get; init; } = [];

    /// <summary>What <see cref="Values"/> say of injection itself.</summary>
    public InjectionTemplates Templates { get; init; } = InjectionTemplates.None;

    /// <summary>The same with other values.</summary>
    /// <exception cref="Core.Problems.ProblemException">One of their templates cannot be used.</exception>
    public InjectorValues WithValues(JsonObject values) => this with { Values = values, Templates = InjectionTemplates.Read(values) };

    /// <summary>The same values with the settings of a mesh (MeshConfig).</summary>
    public InjectorValues WithMesh(JsonObject mesh) => this with
    {
        Mesh = mesh,
        DefaultConfig = (JsonObject)(mesh["defaultConfig"] as JsonObject ?? []).DeepClone(),
        RootNamespace = mesh["rootNamespace"]?.ToString() is { Length: > 0 } root ? root : WellKnown.SystemNamespace,
        TrustDomain = mesh["trustDomain"]?.ToString() is { Length: > 0 } domain ? domain : WellKnown.DefaultTrustDomain,
        MergesMetrics = (bool?)mesh["enablePrometheusMerge"] ?? true,
    };

    /// <summary>The same values with the defaults for a Pod to which ProxyConfigs apply.</summary>
    /// <param name="configs">The most general first.</param>
    public InjectorValues With(IEnumerable<ProxyConfig> configs)
    {
        var changed = (JsonObject)DefaultConfig.DeepClone();
        foreach (var config in configs)
        {
            if (config.Concurrency is { } concurrency) changed["concurrency"] = concurrency;
            if (config.Environment.Count == 0) continue;
            var metadata = changed["proxyMetadata"] as JsonObject ?? (JsonObject)(changed["proxyMetadata"] = new JsonObject())!;
            foreach (var (name, value) in config.Environment) metadata[name] = value;
        }
        return this with { DefaultConfig = changed };
    }

    private JsonNode? Global(params ReadOnlySpan<string> path)
    {
        JsonNode? node = Values["global"];
        foreach (var step in path) node = (node as JsonObject)?[step];
        return node;
    }

    private string Text(string fallback, params ReadOnlySpan<string> path) => Global(path)?.ToString() is { Length: > 0 } text ? text : fallback;

    public string IstioNamespace => Text(WellKnown.SystemNamespace, "istioNamespace");
    public string Revision => Values["revision"]?.ToString() ?? "";
    public string ClusterId => Text("Kubernetes", "multiCluster", "clusterName");
    public string Network => Text("", "network");

    /// <summary>The mesh's ID: that of the values, else that of the mesh's ProxyConfig, else its trust domain.</summary>
    public string MeshId => Text(DefaultConfig["meshId"]?.ToString() is { Length: > 0 } id ? id : TrustDomain, "meshID");

    public string ClusterDomain => Text(WellKnown.DefaultDomainSuffix, "proxy", "clusterDomain");
    public string JwtPolicy => Text("third-party-jwt", "jwtPolicy");
    public string CertProvider => Text("istiod", "pilotCertProvider");
    public int StatusPort => (int?)Global("proxy", "statusPort") is > 0 and var port ? port : Ports.AgentStatus;
    public string PullPolicy => Text("", "imagePullPolicy");

    /// <summary>Names of Secrets in the Pod's namespace.</summary>
    public IReadOnlyList<string> PullSecrets =>
        [.. (Global("imagePullSecrets") as JsonArray ?? []).Select(name => name?.ToString() ?? "").Where(name => name.Length > 0)];
    public string ProxyLogLevel => Text("warning", "proxy", "logLevel");
    public string ComponentLogLevel => Text("misc:error", "proxy", "componentLogLevel");
    public string AgentLogLevel => Text("default:info", "logging", "level");
    public string CaAddress => Text($"{IstiodHost}:{Ports.DiscoveryTls}", "caAddress");
    public string IstiodHost => $"{(Revision.Length == 0 ? WellKnown.Istiod : $"{WellKnown.Istiod}-{Revision}")}.{IstioNamespace}.svc";
    public bool HoldApplication => (bool?)Global("proxy", "holdApplicationUntilProxyStarts") ?? false;
    public JsonObject ProxyResources => Global("proxy", "resources") as JsonObject ?? [];
    public JsonObject? SeccompProfile => Global("proxy", "seccompProfile") as JsonObject is { Count: > 0 } profile ? profile : null;
    public int ReadinessInitialDelay => (int?)Global("proxy", "readinessInitialDelaySeconds") ?? 0;
    public int ReadinessPeriod => (int?)Global("proxy", "readinessPeriodSeconds") ?? 2;
    public int ReadinessFailures => (int?)Global("proxy", "readinessFailureThreshold") ?? 30;

    /// <summary>How many seconds the proxy has to become ready before it is restarted; null for no startup probe.</summary>
    public int? StartupFailures =>
        (bool?)Global("proxy", "startupProbe")?["enabled"] ?? true
            ? (int?)Global("proxy", "startupProbe")?["failureThreshold"] ?? DefaultStartupFailures
            : null;

    /// <summary>Whether the CNI agent of each node captures traffic, so that no container of a Pod needs privileges for it.</summary>
    public bool HasNodeAgent => (bool?)(Values["istio_cni"] as JsonObject)?["enabled"] ?? false;

    public bool RewritesProbes => (bool?)(Values["sidecarInjectorWebhook"] as JsonObject)?["rewriteAppHTTPProbe"] ?? true;
    public string IncludeIpRanges => Text("*", "proxy", "includeIPRanges");
    public string ExcludeIpRanges => Text("", "proxy", "excludeIPRanges");
    public string IncludeInboundPorts => Text("*", "proxy", "includeInboundPorts");
    public string IncludeOutboundPorts => Text("", "proxy", "includeOutboundPorts");
    public string ExcludeInboundPorts => Text("", "proxy", "excludeInboundPorts");
    public IEnumerable<string> DnsSearches => (Global("podDNSSearchNamespaces") as JsonArray ?? []).OfType<JsonValue>().Select(search => search.ToString());
    public string ExcludeOutboundPorts => Text("", "proxy", "excludeOutboundPorts");

    /// <summary>The image of the proxy: a complete reference (<c>a/b:c</c>), or a name that hub and tag complete.</summary>
    public string ProxyImage => Image(Text("isthmus", "proxy", "image"));

    public string InitImage => Image(Text("isthmus", "proxy_init", "image"));

    private string Image(string name) =>
        name.Contains('/', StringComparison.Ordinal) ? name : $"{Text(WellKnown.OwnDomain, "hub")}/{name}:{Text("latest", "tag")}";
}

/// <summary>Values in the path of a remote cluster's webhook: <c>/inject/cluster/cluster2/net/network2</c>.</summary>
/// <param name="Cluster">Overrides the cluster ID; null keeps it.</param>
/// <param name="Network">Overrides the network; null keeps it.</param>
/// <param name="Environment">Other pairs, as environment variables in upper case.</param>
public sealed record InjectionPath(string? Cluster, string? Network, IReadOnlyList<KeyValuePair<string, string>> Environment)
{
    private const string Prefix = "/inject";

    public static readonly InjectionPath Default = new(null, null, []);

    /// <summary>Ignores a trailing key without a value. <c>--slash--</c> represents a slash in a value (Istio's injection
    /// URL format).</summary>
    public static InjectionPath Parse(string path)
    {
        var parts = path[Math.Min(Prefix.Length, path.Length)..].Split('/', StringSplitOptions.RemoveEmptyEntries);
        var (cluster, network, others) = ((string?)null, (string?)null, new List<KeyValuePair<string, string>>());
        for (var i = 0; i + 1 < parts.Length; i += 2)
        {
            var value = Uri.UnescapeDataString(parts[i + 1]).Replace("--slash--", "/", StringComparison.Ordinal);
            switch (parts[i])
            {
                case "cluster": cluster = value; break;
                case "net": network = value; break;
                default: others.Add(new(parts[i].ToUpperInvariant(), value)); break;
            }
        }
        return new(cluster, network, others);
    }
}

using System.Globalization;
using Isthmus.Graph.Derive;
using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Core.Net;
using Isthmus.Core.Problems;
using Isthmus.Injection;
using Isthmus.Mesh.Model;
using Isthmus.Wire.Xds;

namespace Isthmus.Graph.Settings;

/// <summary>The ports of a control plane. Proxies, webhooks and probes expect the default ones.</summary>
public sealed record DiscoveryPorts(int Http, int Plain, int Tls, int Webhook)
{
    public static readonly DiscoveryPorts Default = new(Ports.DiscoveryHttp, Ports.DiscoveryPlain, Ports.DiscoveryTls, Ports.Webhook);
}

/// <summary>The startup settings of a control plane: flags and environment of the <c>istiod</c> container (Istio's
/// names).</summary>
public sealed record DiscoverySettings
{
    public string ClusterId { get; init; } = "Kubernetes";
    public string Namespace { get; init; } = WellKnown.SystemNamespace;
    public string PodName { get; init; } = "istiod";
    public string Revision { get; init; } = "default";
    public string DomainSuffix { get; init; } = WellKnown.DefaultDomainSuffix;
    public string MeshConfigMap { get; init; } = "istio";
    public string InjectorConfigMap { get; init; } = "istio-sidecar-injector";
    public string InjectionWebhook { get; init; } = "istio-sidecar-injector";
    public string ValidationWebhook { get; init; } = "istio-validator-istio-system";
    /// <summary>Whether to manage remote clusters that name this control plane: their root certificates and webhook
    /// bundles. Unset means true: the annotation there decides.</summary>
    public bool? ExternalIstiod { get; init; }
    /// <summary>Whether remote secrets are next to our Pod instead of in the configuration cluster, if that is another one
    /// (Istio: LOCAL_CLUSTER_SECRET_WATCHER).</summary>
    public bool SecretsAtHome { get; init; }
    /// <summary>A folder with a kubeconfig for each remote cluster, instead of remote secrets (Istio: PILOT_MULTICLUSTER_KUBECONFIG_PATH);
    /// empty: remote secrets.</summary>
    public string RemoteKubeconfigs { get; init; } = "";
    /// <summary>A kubeconfig file of the configuration cluster, used if it exists. Otherwise the Pod's own account is
    /// used.</summary>
    public string KubeconfigFile { get; init; } = "";
    public TimeSpan RemoteClusterTimeout { get; init; } = TimeSpan.FromSeconds(30);
    public ValueList<string> TokenAudiences { get; init; } = [WellKnown.TokenAudience];
    /// <summary>More DNS names for the serving certificate.</summary>
    public ValueList<string> CustomHosts { get; init; }
    public TimeSpan DefaultCertificateLifetime { get; init; } = TimeSpan.FromHours(24);
    /// <summary>The longest lifetime that a workload may ask for (Istio: MAX_WORKLOAD_CERT_TTL); null for the default one.</summary>
    public TimeSpan? LongestCertificateLifetime { get; init; }
    /// <summary>What Istio grants if nothing is set: longer requests are refused.</summary>
    public static readonly TimeSpan LongestLifetime = TimeSpan.FromDays(90);
    /// <summary>Whose proxies get certificates for the workloads of their nodes (Istio: CA_TRUSTED_NODE_ACCOUNTS).</summary>
    public ValueList<NodeAccount> TrustedNodeAccounts { get; init; }
    public TimeSpan DebounceAfter { get; init; } = TimeSpan.FromMilliseconds(100);
    public TimeSpan DebounceMax { get; init; } = TimeSpan.FromSeconds(10);
    /// <summary>How many proxies get their first state at once (Istio: PILOT_PUSH_THROTTLE).</summary>
    public int PushThrottle { get; init; } = DefaultPushThrottle;
    /// <summary>What clients of xDS may make it hold (ISTHMUS_XDS_…).</summary>
    public XdsLimits Xds { get; init; } = new();
    /// <summary>Which clients may send reviews of admission (ISTHMUS_WEBHOOK_…).</summary>
    public WebhookSettings Webhook { get; init; } = new();
    /// <summary>Whether all proxies serve clients of HTTP/1.0 (Istio: PILOT_HTTP10).</summary>
    public bool AcceptHttp10 { get; init; }

    /// <summary>Whether gateways that can serve HTTP/3 do (Istio: PILOT_ENABLE_QUIC_LISTENERS).</summary>
    public bool QuicListeners { get; init; }
    /// <summary>HBONE (Istio: PILOT_ENABLE_SENDING_HBONE, PILOT_PREFER_SENDING_HBONE and PILOT_ENABLE_SIDECAR_LISTENING_HBONE).</summary>
    public TunnelSettings Tunnels { get; init; } = TunnelSettings.Default;
    /// <summary>Where keys of issuers are not fetched (Istio: BLOCKED_CIDRS_IN_JWKS_URIS).</summary>
    public ValueList<Cidr> BlockedKeyRanges { get; init; }
    /// <summary>What hosts without an address get one from (Istio: PILOT_IP_AUTOALLOCATE_IPV4_PREFIX and …_IPV6_PREFIX).</summary>
    public ValueList<Cidr> AllocatedRanges { get; init; } = AddressAllocator.DefaultRanges;
    /// <summary>What the control plane leaves alone.</summary>
    public IgnoredResources Ignored { get; init; } = IgnoredResources.None;
    /// <summary>What it does for the Gateway API.</summary>
    public GatewayApiSettings GatewayApi { get; init; } = GatewayApiSettings.Default;
    /// <summary>Whose Secrets it reads for gateways.</summary>
    public SecretScope Secrets { get; init; } = SecretScope.Everywhere;
    /// <summary>Whether proxies know of endpoints that are not ready (Istio: PILOT_AUTO_SEND_UNHEALTHY_ENDPOINTS).</summary>
    public bool SendsUnready { get; init; } = true;
    /// <summary>Istio: ENABLE_NATIVE_SIDECARS.</summary>
    public NativeSidecarMode NativeSidecars { get; init; }
    public MultiClusterSettings MultiCluster { get; init; } = MultiClusterSettings.Default;
    public int MonitoringPort { get; init; } = Ports.DiscoveryMonitoring;
    /// <summary>ControlZ, on the loopback; 0: none.</summary>
    public int ControlPort { get; init; } = Ports.ControlZ;
    public DiscoveryPorts Listen { get; init; } = DiscoveryPorts.Default;

    /// <summary>As in Istio: 20 with one processor, 25 with two, and at most 100.</summary>
    private static int DefaultPushThrottle => Math.Min(15 + 5 * Environment.ProcessorCount, 100);

    /// <summary>The name of its Service.</summary>
    public string ServiceName => Revision is "default" or "" ? WellKnown.Istiod : $"{WellKnown.Istiod}-{Revision}";

    /// <summary>The environment variables that <see cref="Read"/> reads.</summary>
    public static IReadOnlySet<string> Variables { get; } = ReadNames();

    private static HashSet<string> ReadNames()
    {
        var names = new HashSet<string>(StringComparer.Ordinal);
        Read([], name =>
        {
            names.Add(name);
            return null;
        });
        return names;
    }

    /// <exception cref="ProblemException">A flag or a variable is invalid.</exception>
    public static DiscoverySettings Read(string[] args, Func<string, string?> environment)
    {
        string Text(string name, string fallback) => environment(name) is { Length: > 0 } value ? value : fallback;
        var ns = Text("POD_NAMESPACE", WellKnown.SystemNamespace);
        var flags = DiscoveryFlags.Read(args);
        var api = GatewayApiSettings.Read(environment, name => Flag(environment, name));
        return new()
        {
            ClusterId = Text("CLUSTER_ID", "Kubernetes"),
            Namespace = ns,
            PodName = Text("POD_NAME", "istiod"),
            Revision = Text("REVISION", "default"),
            MeshConfigMap = Text("MESH_CONFIG_MAP", "istio"),
            InjectorConfigMap = Text("INJECTOR_CONFIG_MAP", "istio-sidecar-injector"),
            InjectionWebhook = Text("INJECTION_WEBHOOK_CONFIG_NAME", "istio-sidecar-injector"),
            ValidationWebhook = Text("VALIDATION_WEBHOOK_CONFIG_NAME", $"istio-validator-{ns}"),
            ExternalIstiod = Flag(environment, "EXTERNAL_ISTIOD"),
            KubeconfigFile = Text("KUBECONFIG", ""),
            RemoteKubeconfigs = Text("PILOT_MULTICLUSTER_KUBECONFIG_PATH", ""),
            SecretsAtHome = Flag(environment, "LOCAL_CLUSTER_SECRET_WATCHER") ?? false,
            TokenAudiences = Text("TOKEN_AUDIENCES", WellKnown.TokenAudience).Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
                .ToValueList(),
            CustomHosts = Text("ISTIOD_CUSTOM_HOST", "").Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).ToValueList(),
            RemoteClusterTimeout = Span(environment, "PILOT_REMOTE_CLUSTER_TIMEOUT", TimeSpan.FromSeconds(30)),
            DebounceAfter = Span(environment, "PILOT_DEBOUNCE_AFTER", TimeSpan.FromMilliseconds(100)),
            DebounceMax = Span(environment, "PILOT_DEBOUNCE_MAX", TimeSpan.FromSeconds(10)),
            PushThrottle = Count(environment, "PILOT_PUSH_THROTTLE", DefaultPushThrottle),
            Xds = LimitSettings.Xds(environment),
            Webhook = WebhookSettings.Read(environment),
            MultiCluster = MultiClusterSettings.Read(environment),
            BlockedKeyRanges = Ranges(environment, "BLOCKED_CIDRS_IN_JWKS_URIS"),
            AllocatedRanges = AllocatedRangeSettings.Read(environment),
            Ignored = IgnoredResources.Read(environment) with { LeavesGatewayApi = !api.Reads },
            GatewayApi = api,
            Secrets = new(SecretScope.ReadNamespaces(environment), Flag(environment, WellKnown.RemoteCredentials) ?? false),
            NativeSidecars = Sidecars(environment),
            AcceptHttp10 = Flag(environment, "PILOT_HTTP10") ?? false,
            QuicListeners = Flag(environment, "PILOT_ENABLE_QUIC_LISTENERS") ?? false,
            Tunnels = TunnelReader.Read(name => Flag(environment, name)),
            SendsUnready = Flag(environment, "PILOT_AUTO_SEND_UNHEALTHY_ENDPOINTS") ?? true,
            DefaultCertificateLifetime = Span(environment, "DEFAULT_WORKLOAD_CERT_TTL", TimeSpan.FromHours(24)),
            LongestCertificateLifetime = environment("MAX_WORKLOAD_CERT_TTL") is { Length: > 0 }
                ? Span(environment, "MAX_WORKLOAD_CERT_TTL", LongestLifetime)
                : null,
            TrustedNodeAccounts = NodeAccountSettings.Read(environment),
            DomainSuffix = flags.DomainSuffix,
            MonitoringPort = flags.MonitoringPort,
            ControlPort = flags.ControlPort,
        };
    }

    private static NativeSidecarMode Sidecars(Func<string, string?> environment)
    {
        const string name = "ENABLE_NATIVE_SIDECARS";
        return environment(name) is "auto" ? NativeSidecarMode.Auto : Flag(environment, name, ", false or auto") switch
        {
            true => NativeSidecarMode.Enabled,
            false => NativeSidecarMode.Disabled,
            null => NativeSidecarMode.Auto,
        };
    }

    /// <summary>A boolean as Go spells it; null when it is not set.</summary>
    private static bool? Flag(Func<string, string?> environment, string name, string others = " or false") => environment(name) switch
    {
        null or "" => null,
        "1" or "t" or "T" or "true" or "TRUE" or "True" => true,
        "0" or "f" or "F" or "false" or "FALSE" or "False" => false,
        var other => throw new ProblemException(name, $"'{other}' is not true{others}", $"write true{others}"),
    };

    /// <summary>A list of addresses and ranges. One that cannot be read is an error: left out, it would not be blocked.</summary>
    private static ValueList<Cidr> Ranges(Func<string, string?> environment, string name) =>
        [.. (environment(name) ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
            .Select(text => Cidr.TryParse(text, out var range)
                ? range
                : throw new ProblemException(name, $"'{text}' is not a range of addresses", "use for example 10.0.0.0/8"))];

    /// <summary>A positive number; 0 means the default, as in Istio.</summary>
    private static int Count(Func<string, string?> environment, string name, int fallback) => environment(name) switch
    {
        null or "" or "0" => fallback,
        var text when int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) => number,
        var text => throw new ProblemException(name, $"invalid number '{text}'", "use a positive number, or 0 for the default"),
    };

    /// <summary>A duration as Go spells it: these settings use only one number with one unit.</summary>
    private static TimeSpan Span(Func<string, string?> environment, string name, TimeSpan fallback)
    {
        if (environment(name) is not { Length: > 0 } text) return fallback;
        var digits = text.TrimEnd('h', 'm', 's');
        if (!double.TryParse(digits, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number))
            throw new ProblemException(name, $"invalid duration '{text}'", "use a number and a unit, for example 100ms, 30s or 24h");
        return text[digits.Length..] switch
        {
            "ms" => TimeSpan.FromMilliseconds(number),
            "s" or "" => TimeSpan.FromSeconds(number),
            "m" => TimeSpan.FromMinutes(number),
            "h" => TimeSpan.FromHours(number),
            "h0m0s" => TimeSpan.FromHours(number),
            _ => throw new ProblemException(name, $"invalid duration '{text}'", "use a number and a unit, for example 100ms, 30s or 24h"),
        };
    }
}

using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Core.Net;

namespace Isthmus.Mesh.Model;

public enum OutboundPolicy
{
    AllowAny,
    RegistryOnly,

    /// <summary>As <see cref="AllowAny"/>, but plain HTTP goes where the request's host leads, whatever address the application dialled.</summary>
    AllowAnyDynamicDns,
}

/// <summary>What proxies do to a path before policies and routes see it, and before it is forwarded. Each step includes those
/// before it, beginning with <see cref="Base"/>.</summary>
public enum PathNormalization { None, Base, MergeSlashes, DecodeAndMergeSlashes, Strict }

/// <summary>Mesh-wide settings (the <c>mesh</c> key of ConfigMap <c>istio</c>; Istio's MeshConfig). Defaults are Istio's.</summary>
public sealed record MeshConfig
{
    public static readonly MeshConfig Default = new();

    public string TrustDomain { get; init; } = WellKnown.DefaultTrustDomain;
    public ValueList<string> TrustDomainAliases { get; init; }
    /// <summary>Objects in it are for the whole mesh.</summary>
    public string RootNamespace { get; init; } = WellKnown.SystemNamespace;
    /// <summary>Where control planes run, in each cluster: that of the ConfigMap. Its label says the network of its cluster.</summary>
    public string SystemNamespace { get; init; } = WellKnown.SystemNamespace;
    public OutboundPolicy OutboundTrafficPolicy { get; init; } = OutboundPolicy.AllowAny;
    /// <summary>Where proxies write access logs; empty: nowhere.</summary>
    public string AccessLogFile { get; init; } = "";
    /// <summary>The lines of that log, and of the provider <c>envoy</c>.</summary>
    public LogTemplate AccessLogTemplate { get; init; } = LogTemplate.Default;
    /// <summary>Which Ingress objects gateways serve, and which gateways.</summary>
    public IngressSettings Ingress { get; init; } = IngressSettings.Default;
    public bool EnableAutoMtls { get; init; } = true;
    /// <summary>A namespace configures only hosts of its own, and those whose owner grants it (no field of Istio's).</summary>
    public bool HostsAreOwned { get; init; }
    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(10);
    /// <summary>How long inbound listeners wait for a protocol's first bytes; zero: no limit.</summary>
    public TimeSpan ProtocolDetectionTimeout { get; init; }
    public LocalityLbSetting LocalityLb { get; init; } = LocalityLbSetting.Default;
    public ValueList<ServiceSetting> ServiceSettings { get; init; }
    public ValueList<string> DefaultServiceExportTo { get; init; }
    public ValueList<string> DefaultVirtualServiceExportTo { get; init; }
    public ValueList<string> DefaultDestinationRuleExportTo { get; init; }
    /// <summary>Limits and outlier detection of hosts whose DestinationRules do not have them.</summary>
    public TrafficPolicy DefaultPolicy { get; init; } = TrafficPolicy.None;
    public HttpRetry? DefaultHttpRetry { get; init; }
    public PathNormalization PathNormalization { get; init; } = PathNormalization.Base;
    /// <summary>What stands in front of gateways that do not say it themselves.</summary>
    public GatewayTopology GatewayTopology { get; init; } = GatewayTopology.Default;
    /// <summary>The header fields that proxies add; those of the proxy, once <see cref="With"/> was called.</summary>
    public ProxyHeaders ProxyHeaders { get; init; } = ProxyHeaders.Default;
    /// <summary>Limits of clients' connections; those of the proxy, once <see cref="With"/> was called.</summary>
    public ConnectionSettings Connections { get; init; } = ConnectionSettings.Default;
    /// <summary>TLS between workloads.</summary>
    public TlsLimits MeshTls { get; init; } = TlsLimits.None;
    /// <summary>All other TLS of proxies, where Gateways and DestinationRules do not say.</summary>
    public TlsLimits TlsDefaults { get; init; } = TlsLimits.None;
    /// <summary>Gateways that can serve HTTP/3 do (PILOT_ENABLE_QUIC_LISTENERS of the control plane).</summary>
    public bool QuicListeners { get; init; }
    /// <summary>HBONE, as the environment of the control plane says.</summary>
    public TunnelSettings Tunnels { get; init; } = TunnelSettings.Default;
    /// <summary>All proxies serve clients of HTTP/1.0 (PILOT_HTTP10 of the control plane), not only those that ask for it.</summary>
    public bool AcceptHttp10 { get; init; }
    /// <summary>Some route or policy of the mesh makes sessions stay with an endpoint. MeshConfig cannot say it.</summary>
    public bool KeepsSessions { get; init; }
    /// <summary>Proxies know of endpoints that are not ready, too, as unhealthy ones (PILOT_AUTO_SEND_UNHEALTHY_ENDPOINTS of the control plane).</summary>
    public bool SendsUnready { get; init; } = true;
    /// <summary>The namespaces whose Services and configuration proxies learn, by their labels; none: all.</summary>
    public ValueList<NamespaceSelector> DiscoverySelectors { get; init; }
    /// <summary>How often proxies resolve host names whose answers have no time to live.</summary>
    public TimeSpan DnsRefreshRate { get; init; } = TimeSpan.FromSeconds(60);
    /// <summary>Whether sidecars speak HTTP/2 with hosts that declare HTTP/1.1, where no DestinationRule says.</summary>
    public bool UpgradeToHttp2 { get; init; }
    /// <summary>TCP keepalive where no DestinationRule says; null for none.</summary>
    public TcpKeepalive? Keepalive { get; init; }
    /// <summary>Sidecars call their application at 127.0.0.1, not at the address that the client called.</summary>
    public bool CallsLocalhost { get; init; }
    /// <summary>Listeners do not log connections that match no filter chain.</summary>
    public bool DisableListenerLog { get; init; }
    /// <summary>The external authorizers that policies may name.</summary>
    public ValueMap<ExternalAuthorizer> Authorizers { get; init; }
    /// <summary>The collectors of traces that Telemetries may name.</summary>
    public ValueMap<Tracer> Tracers { get; init; }
    /// <summary>The collectors of proxies without a Telemetry, by name; only the first is used.</summary>
    public ValueList<string> DefaultTracers { get; init; }
    /// <summary>Whether proxies trace to the Zipkin address of their ProxyConfig, where there are no Telemetries and no default.</summary>
    public bool EnableTracing { get; init; } = true;
    /// <summary>The providers of metrics that Telemetries may name, and that are Prometheus.</summary>
    public ValueList<string> Prometheus { get; init; } = [StandardMetrics.Prometheus];
    /// <summary>The providers of metrics of proxies without a Telemetry.</summary>
    public ValueList<string> DefaultMetrics { get; init; } = [StandardMetrics.Prometheus];
    /// <summary>What the proxies are made of that get resources by these settings.</summary>
    public ProxySoftware Software { get; init; } = ProxySoftware.Unknown;
    /// <summary>The WasmPlugins of those proxies.</summary>
    public ValueList<WasmPlugin> Plugins { get; init; }
    /// <summary>How Telemetries change the metrics of one kind of traffic.</summary>
    public MetricChanges ChosenMetrics { get; init; } = MetricChanges.None;
    /// <summary>The access logs that Telemetries may name.</summary>
    public ValueMap<AccessLogger> Loggers { get; init; } = new([KeyValuePair.Create(AccessLogger.Envoy.Name, AccessLogger.Envoy)]);
    /// <summary>The access logs of proxies without a Telemetry, by name; none: <see cref="AccessLogFile"/>.</summary>
    public ValueList<string> DefaultLoggers { get; init; }
    /// <summary>The access logs that Telemetries choose for one kind of traffic; null: <see cref="AccessLogFile"/>.</summary>
    public ValueList<LogPlan>? ChosenLogs { get; init; }
    /// <summary>How proxies trace that do not say it themselves.</summary>
    public ProxyTracing Tracing { get; init; } = ProxyTracing.None;
    /// <summary>defaultConfig as written, for the injector: JSON text with sorted keys.</summary>
    public string DefaultProxyConfig { get; init; } = "{}";

    /// <summary>The settings for the inbound traffic of sidecars.</summary>
    public MeshConfig For(InboundScope scope) => this with
    {
        Software = scope.Software, Connections = scope.Connections, AcceptHttp10 = AcceptHttp10 || scope.AcceptsHttp10, ProxyHeaders = scope.Headers,
        ChosenLogs = scope.Logs, ChosenMetrics = scope.Metrics, Plugins = scope.Plugins,
    };

    /// <summary>The access logs to write.</summary>
    public ValueList<LogPlan> Logs => ChosenLogs ?? (AccessLogFile.Length > 0 ? [new(new("", AccessLogFile, null), "")] : default(ValueList<LogPlan>));

    /// <summary>The trust domain and its aliases, the domain itself first.</summary>
    public IEnumerable<string> TrustDomains => TrustDomainAliases.Prepend(TrustDomain).Distinct();
}

/// <summary>A LabelSelector: a namespace must have all labels, and meet all expressions.</summary>
public sealed record NamespaceSelector(ValueMap<string> Labels, ValueList<LabelExpression> Expressions)
{
    public bool Matches(ValueMap<string> labels) =>
        Labels.All(label => labels.TryGetValue(label.Key, out var value) && value == label.Value) && Expressions.All(expression => expression.Matches(labels));
}

public enum LabelOperator { In, NotIn, Exists, DoesNotExist }

public sealed record LabelExpression(string Key, LabelOperator Operator, ValueList<string> Values)
{
    public bool Matches(ValueMap<string> labels) => Operator switch
    {
        LabelOperator.In => labels.TryGetValue(Key, out var value) && Values.Contains(value),
        LabelOperator.NotIn => !labels.TryGetValue(Key, out var value) || !Values.Contains(value),
        LabelOperator.Exists => labels.ContainsKey(Key),
        _ => !labels.ContainsKey(Key),
    };
}

public sealed record ServiceSetting(ValueList<string> Hosts, bool ClusterLocal);

/// <summary>When both are set, the shares divide the traffic, and failover orders the localities that take what those
/// cannot carry.</summary>
/// <param name="Distribute">From-locality pattern → to-locality pattern → percent.</param>
/// <param name="Failover">From region → to region.</param>
public sealed record LocalityLbSetting(
    bool Enabled,
    ValueList<LocalityDistribution> Distribute,
    ValueList<RegionFailover> Failover,
    ValueList<string> FailoverPriority)
{
    public static readonly LocalityLbSetting Default = new(true, default, default, default);

    /// <summary>Of <c>zoneAwareLbSetting</c>: proxies spread requests over the zones of their region so that none gets more than its part;
    /// null: of <c>localityLbSetting</c>.</summary>
    public ZoneSpread? Zones { get; init; }

    /// <summary>Of a Service's own: endpoints of the next level follow without outlier detection.</summary>
    public bool IsOfService => Equals(SameZone) || Equals(SameNode);

    private static readonly LocalityLbSetting SameZone = new(true, default, default, [Labels.Network, Labels.Region, Labels.Zone, Labels.Subzone]);

    private static readonly LocalityLbSetting SameNode = SameZone with { FailoverPriority = [.. SameZone.FailoverPriority, Labels.Hostname] };

    /// <summary>What <c>trafficDistribution</c> of a Service means; null for any endpoint.</summary>
    public static LocalityLbSetting? Of(TrafficDistribution distribution) => distribution switch
    {
        TrafficDistribution.SameZone => SameZone,
        TrafficDistribution.SameNode => SameNode,
        _ => null,
    };
}

/// <param name="MinClusterSize">Hosts with fewer endpoints in the region are called whatever the zone; null: the proxy's default.</param>
public sealed record ZoneSpread(uint? MinClusterSize);

public sealed record LocalityDistribution(string From, ValueMap<uint> To);

public sealed record RegionFailover(string From, string To);

/// <summary>Static facts about networks (the <c>meshNetworks</c> key of ConfigMap <c>istio</c>).</summary>
public sealed record MeshNetworks(ValueMap<MeshNetwork> Networks)
{
    public static readonly MeshNetworks None = new(default(ValueMap<MeshNetwork>));

    /// <summary>The network that has the Pods of a cluster; empty when none says so.</summary>
    public string OfRegistry(string cluster)
    {
        foreach (var (name, network) in Networks)
        {
            if (network.Endpoints.Any(endpoints => endpoints.FromRegistry == cluster)) return name;
        }
        return "";
    }
}

public sealed record MeshNetwork(ValueList<NetworkEndpoints> Endpoints, ValueList<StaticGateway> Gateways);

/// <summary>One of the two is set.</summary>
public sealed record NetworkEndpoints(Cidr? FromCidr, string FromRegistry);

/// <summary>Either an address or the FQDN of a Service in the network's clusters.</summary>
public sealed record StaticGateway(EndpointAddress Address, string RegistryServiceName, int Port);

/// <summary>The state of the connection to one cluster's API server. It never affects the cluster's objects.</summary>
/// <param name="IsConfig">Istio's resources are read from it.</param>
/// <param name="LastContact">When its API server last responded, in Unix seconds; 0: never.</param>
public sealed record ClusterContact(string Cluster, bool IsConfig, bool Connected, bool Synced, long LastContact, string Secret = "");

/// <summary>The two documents of ConfigMap <c>istio</c>, or of that of a revision.</summary>
public sealed record MeshSettings(MeshConfig Mesh, MeshNetworks Networks)
{
    public static readonly MeshSettings Default = new(MeshConfig.Default, MeshNetworks.None);

    /// <summary>The name of the ConfigMap.</summary>
    public string MapName { get; init; } = "istio";
}

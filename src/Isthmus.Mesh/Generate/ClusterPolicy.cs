using Google.Protobuf.WellKnownTypes;
using Isthmus.Mesh.Model;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.Clusters;
using Isthmus.Wire.Envoy.Upstreams;

namespace Isthmus.Mesh.Generate;

/// <summary>Limits, load balancing, outlier detection and TLS of a cluster: defaults, overridden by a DestinationRule.</summary>
internal static class ClusterPolicy
{
    private const uint MinimumRingSize = 1024;

    public static void Apply(Cluster cluster, ClusterInputs inputs, ServicePort port, TrafficPolicy policy)
    {
        SetLimits(cluster, policy.Pool);
        if ((inputs.Service.RetryBudget ?? policy.RetryBudget) is { } budget) cluster.CircuitBreakers.Thresholds[0].RetryBudget = new()
        {
            BudgetPercent = new() { Value = budget.Percent },
            MinRetryConcurrency = budget.Least,
            BudgetInterval = budget.Interval is { } interval ? Parts.Duration(interval) : null,
        };
        ApplyPool(cluster, port.Protocol, WithDefaults(policy.Pool, inputs.Mesh));
        var locality = Localities.Setting(inputs.Service, inputs.Mesh, policy);
        if (locality.Zones is { } zones && cluster.LbPolicy != Cluster.Types.LbPolicy.ClusterProvided)
        {
            // Said, too, when it is off: Envoy is zone aware by default where it knows its own endpoints.
            cluster.CommonLbConfig = new()
            {
                ZoneAwareLbConfig = new() { MinClusterSize = zones.MinClusterSize, RoutingEnabled = locality.Enabled ? null : new() { Value = 0 } }
            };
        }
        else if (locality.Enabled) cluster.CommonLbConfig = new() { LocalityWeightedLbConfig = new() };
        ApplyBalancing(cluster, policy.Balancing);
        var sendsUnready = cluster.Type == Cluster.Types.DiscoveryType.Eds && EndpointGenerator.SendsUnready(inputs.Service, inputs.Mesh, policy);
        if (policy.Outlier is { } outlier) ApplyOutlier(cluster, sendsUnready ? outlier with { MinHealthPercent = 0 } : outlier);
        else if (cluster.Type == Cluster.Types.DiscoveryType.Eds && !inputs.Service.External) ApplyDefaultOutlier(cluster, cannotPanic: sendsUnready
            && inputs.Caller.IsEnvoy);
        else if (sendsUnready) (cluster.CommonLbConfig ??= new()).HealthyPanicThreshold = new() { Value = 0 };
    }

    public static void SetLimits(Cluster cluster, ConnectionPool? pool) => cluster.CircuitBreakers = new()
    {
        Thresholds =
        {
            new CircuitBreakers.Types.Thresholds
            {
                MaxConnections = Limit(pool?.MaxConnections),
                MaxPendingRequests = Limit(pool?.Http1MaxPending),
                MaxRequests = Limit(pool?.Http2MaxRequests),
                MaxRetries = Limit(pool?.MaxRetries),
                TrackRemaining = true,
            },
        },
    };

    private static uint Limit(int? value) => value is > 0 ? (uint)value : uint.MaxValue;

    /// <summary>The pool of a rule, completed with what MeshConfig says for all hosts.</summary>
    private static ConnectionPool? WithDefaults(ConnectionPool? pool, MeshConfig mesh)
    {
        if (mesh is { Keepalive: null, UpgradeToHttp2: false }) return pool;
        pool ??= ConnectionPool.Default;
        return pool with { Keepalive = pool.Keepalive ?? mesh.Keepalive, UpgradeToHttp2 = pool.UpgradeToHttp2 ?? mesh.UpgradeToHttp2 };
    }

    public static void ApplyPool(Cluster cluster, Protocol protocol, ConnectionPool? pool)
    {
        if (pool is null) return;
        if (pool.Keepalive is { } keepalive)
        {
            cluster.UpstreamConnectionOptions = new()
            {
                TcpKeepalive = new()
                {
                    KeepaliveProbes = keepalive.Probes,
                    KeepaliveTime = Seconds(keepalive.Time),
                    KeepaliveInterval = Seconds(keepalive.Interval),
                },
            };
        }
        if (pool.UseClientProtocol) cluster.TypedExtensionProtocolOptions[ClusterGenerator.HttpOptions] = Parts.Pack(ClusterGenerator.UseDownstream());
        else if (pool.UpgradeToHttp2 == true && protocol == Protocol.Http) ClusterGenerator.SetProtocol(cluster, Protocol.Http2);
        if (pool.MaxConcurrentStreams is > 0 || pool.Pings is not null) ApplyHttp2(cluster, pool);
        if (pool.IdleTimeout is null && pool.MaxRequestsPerConnection is not > 0 && pool.MaxConnectionDuration is null) return;
        var options = OptionsOf(cluster);
        options.CommonHttpProtocolOptions = new();
        if (pool.IdleTimeout is { } idle) options.CommonHttpProtocolOptions.IdleTimeout = Parts.Duration(idle);
        if (pool.MaxConnectionDuration is { } age) options.CommonHttpProtocolOptions.MaxConnectionDuration = Parts.Duration(age);
        if (pool.MaxRequestsPerConnection is > 0 and var most) options.CommonHttpProtocolOptions.MaxRequestsPerConnection = (uint)most;
        cluster.TypedExtensionProtocolOptions[ClusterGenerator.HttpOptions] = Parts.Pack(options);
    }

    /// <summary>Where the cluster speaks HTTP/2.</summary>
    private static void ApplyHttp2(Cluster cluster, ConnectionPool pool)
    {
        var options = OptionsOf(cluster);
        if ((options.ExplicitHttpConfig?.Http2ProtocolOptions ?? options.UseDownstreamProtocolConfig?.Http2ProtocolOptions) is not { } http2) return;
        if (pool.MaxConcurrentStreams is > 0 and var most) http2.MaxConcurrentStreams = (uint)most;
        if (pool.Pings is { } pings) http2.ConnectionKeepalive = new() { Interval = Parts.Duration(pings.Interval), Timeout = Parts.Duration(pings.Timeout) };
        cluster.TypedExtensionProtocolOptions[ClusterGenerator.HttpOptions] = Parts.Pack(options);
    }

    private static uint? Seconds(TimeSpan? span) => span is { } given ? (uint)given.TotalSeconds : null;

    private static void ApplyBalancing(Cluster cluster, LoadBalancing? balancing)
    {
        if (balancing is null || cluster.LbPolicy == Cluster.Types.LbPolicy.ClusterProvided) return;
        var slowStart = balancing.Warmup is { } warmup ? SlowStart(warmup) : null;
        switch (balancing.Algorithm)
        {
            case LbAlgorithm.RoundRobin:
                cluster.LbPolicy = Cluster.Types.LbPolicy.RoundRobin;
                if (slowStart is not null) cluster.RoundRobinLbConfig = new() { SlowStartConfig = slowStart };
                break;
            case LbAlgorithm.Random:
                cluster.LbPolicy = Cluster.Types.LbPolicy.Random;
                break;
            case LbAlgorithm.Passthrough:
                cluster.LbPolicy = Cluster.Types.LbPolicy.ClusterProvided;
                cluster.Type = Cluster.Types.DiscoveryType.OriginalDst;
                cluster.EdsClusterConfig = null;
                break;
            case LbAlgorithm.Hash when balancing.Hash is { } hash:
                ApplyHash(cluster, hash);
                break;
            default:
                if (slowStart is not null) cluster.LeastRequestLbConfig = new() { SlowStartConfig = slowStart };
                break;
        }
    }

    private static Cluster.Types.SlowStartConfig SlowStart(Warmup warmup) => new()
    {
        SlowStartWindow = Parts.Duration(warmup.Duration),
        MinWeightPercent = warmup.MinimumPercent is { } percent ? new() { Value = percent } : null,
        // Envoy demands a key.
        Aggression = warmup.Aggression is { } aggression ? new() { DefaultValue = aggression, RuntimeKey = "slow_start.aggression" } : null,
    };

    private static void ApplyHash(Cluster cluster, HashPolicy hash)
    {
        if (hash.MaglevTableSize > 0)
        {
            cluster.LbPolicy = Cluster.Types.LbPolicy.Maglev;
            cluster.MaglevLbConfig = new() { TableSize = hash.MaglevTableSize };
            return;
        }
        cluster.LbPolicy = Cluster.Types.LbPolicy.RingHash;
        cluster.RingHashLbConfig = new() { MinimumRingSize = hash.MinimumRingSize > 0 ? hash.MinimumRingSize : MinimumRingSize };
    }

    private static void ApplyOutlier(Cluster cluster, OutlierPolicy policy)
    {
        var outlier = new OutlierDetection { EnforcingSuccessRate = 0 };
        if (policy.Consecutive5xx is { } errors)
        {
            outlier.Consecutive5Xx = errors;
            outlier.EnforcingConsecutive5Xx = errors > 0 ? 100u : 0;
        }
        if (policy.ConsecutiveGatewayErrors is { } gatewayErrors)
        {
            outlier.ConsecutiveGatewayFailure = gatewayErrors;
            outlier.EnforcingConsecutiveGatewayFailure = gatewayErrors > 0 ? 100u : 0;
        }
        if (policy.SplitLocalOrigin)
        {
            outlier.SplitExternalLocalOriginErrors = true;
            if (policy.ConsecutiveLocalOriginFailures is { } failures)
            {
                outlier.ConsecutiveLocalOriginFailure = failures;
                outlier.EnforcingConsecutiveLocalOriginFailure = failures > 0 ? 100u : 0;
            }
            outlier.EnforcingLocalOriginSuccessRate = 0;
        }
        if (policy.Interval is { } interval) outlier.Interval = Parts.Duration(interval);
        if (policy.BaseEjectionTime is { } ejection) outlier.BaseEjectionTime = Parts.Duration(ejection);
        if (policy.MaxEjectionPercent is { } percent) outlier.MaxEjectionPercent = percent;
        // Envoy ejects none of a few hosts otherwise, since 1.30: ten percent, the default, of nine are less than one.
        if (policy.MaxEjectionPercent != 0) outlier.AlwaysEjectOneHost = true;
        cluster.OutlierDetection = outlier;
        cluster.CommonLbConfig ??= new();
        cluster.CommonLbConfig.HealthyPanicThreshold = new() { Value = policy.MinHealthPercent };
    }

    /// <summary>
    /// Istio has no equivalent. A dead gateway or Pod stops costing retries before the control plane notices: an endpoint that fails to
    /// connect three times in a row is ejected for some seconds. Only connection failures count, never responses: a gateway
    /// must not be ejected for a service behind it. All may be ejected; when none is left, all are tried again (panic below 1 %), but not those that are not
    /// ready.
    /// Locality priorities still require outlierDetection in a DestinationRule, as in Istio.
    /// </summary>
    /// <param name="cannotPanic">In a panic, Envoy would also call endpoints that are not ready. It has no panic then, and keeps half of the endpoints
    /// instead.</param>
    private static void ApplyDefaultOutlier(Cluster cluster, bool cannotPanic)
    {
        cluster.OutlierDetection = new()
        {
            SplitExternalLocalOriginErrors = true,
            ConsecutiveLocalOriginFailure = 3,
            EnforcingConsecutiveLocalOriginFailure = 100,
            EnforcingLocalOriginSuccessRate = 0,
            EnforcingConsecutive5Xx = 0,
            EnforcingConsecutiveGatewayFailure = 0,
            EnforcingSuccessRate = 0,
            Interval = Parts.Duration(TimeSpan.FromSeconds(1)),
            BaseEjectionTime = Parts.Duration(TimeSpan.FromSeconds(5)),
            MaxEjectionTime = Parts.Duration(TimeSpan.FromSeconds(30)),
            MaxEjectionPercent = cannotPanic ? 50 : 100u,
        };
        cluster.CommonLbConfig ??= new();
        cluster.CommonLbConfig.HealthyPanicThreshold = new() { Value = cannotPanic ? 0 : 1 };
    }

    private static HttpProtocolOptions OptionsOf(Cluster cluster) =>
        cluster.TypedExtensionProtocolOptions.TryGetValue(ClusterGenerator.HttpOptions, out var packed) && packed.TryRead(out HttpProtocolOptions options)
            ? options
            : new() { ExplicitHttpConfig = new() { HttpProtocolOptions = new() } };

    /// <summary>Each request's host is the server name that the proxy sends and, with <paramref name="verify"/>, that the
    /// server's certificate must have.</summary>
    private static void NameByRequest(Cluster cluster, bool verify)
    {
        var options = OptionsOf(cluster);
        options.UpstreamHttpProtocolOptions = new() { AutoSni = true, AutoSanValidation = verify };
        cluster.TypedExtensionProtocolOptions[ClusterGenerator.HttpOptions] = Parts.Pack(options);
    }

    /// <summary>TLS that is not the mesh's must not announce itself as such: the callee's sidecar would take the connection for one of the mesh.</summary>
    private static void KeepAlpn(Cluster cluster) => cluster.Metadata.FilterMetadata["istio"].Fields["alpn_override"] = Value.ForString("false");

    public static void ApplyTls(Cluster cluster, ClusterInputs inputs, ServicePort port, string subset, TrafficPolicy policy)
    {
        ApplyOwnTls(cluster, inputs, port, subset, policy);
        if (!inputs.Caller.SendsTunnels || cluster.Type != Cluster.Types.DiscoveryType.Eds) return;
        TunnelGenerator.Offer(cluster, isForApplication: inputs.Service.BackendTlsAt(port.Number) is not null
            || policy.Tls is { Mode: not ClientTlsMode.IstioMutual });
    }

    private static void ApplyOwnTls(Cluster cluster, ClusterInputs inputs, ServicePort port, string subset, TrafficPolicy policy)
    {
        var service = inputs.Service;
        var sni = ResourceNames.Sni(port.Number, subset, service.Hostname);
        var http2 = port.Protocol.IsHttp2() || (policy.Pool?.UpgradeToHttp2 == true && port.Protocol == Protocol.Http);
        var exchanges = inputs.Caller.ExchangesMetadata;
        if (service.BackendTlsAt(port.Number) is { } backend)
        {
            cluster.TransportSocket = TlsContexts.Backend(backend, http2, inputs.Caller.ClientCredential, inputs.Mesh);
            KeepAlpn(cluster);
            return;
        }
        if (policy.Tls is { } tls)
        {
            switch (tls.Mode)
            {
                case ClientTlsMode.Disable:
                    break;
                case ClientTlsMode.IstioMutual:
                    if (exchanges) cluster.Filters.Add(Parts.ClientExchange);
                    cluster.TransportSocket = TlsContexts.Mesh(tls.Sni.Length > 0 ? tls.Sni : sni,
                        tls.SubjectAltNames.IsEmpty ? inputs.Identities : tls.SubjectAltNames, http2, exchanges);
                    break;
                default:
                    // The names that a ServiceEntry gives its host apply unless the rule has its own.
                    var names = tls.SubjectAltNames.IsEmpty && service.FromServiceEntry ? service.ServiceAccounts : tls.SubjectAltNames;
                    cluster.TransportSocket = TlsContexts.Client(tls, names, http2, inputs.Mesh);
                    KeepAlpn(cluster);
                    if (tls.Sni.Length == 0) NameByRequest(cluster, verify: names.IsEmpty && !tls.InsecureSkipVerify);
                    break;
            }
            return;
        }
        if (!inputs.Mesh.EnableAutoMtls || service.External) return;
        if (cluster.Type == Cluster.Types.DiscoveryType.OriginalDst)
        {
            if (!inputs.HasMtls) return;
            if (exchanges) cluster.Filters.Add(Parts.ClientExchange);
            cluster.TransportSocket = TlsContexts.Mesh(sni, inputs.Identities, http2, exchanges);
            return;
        }
        if (cluster.Type != Cluster.Types.DiscoveryType.Eds && !inputs.HasMtls) return;
        if (exchanges) cluster.Filters.Add(Parts.ClientExchange);
        cluster.TransportSocketMatches.Add(new Cluster.Types.TransportSocketMatch
        {
            Name = "tlsMode-istio",
            Match = Parts.Fields(("tlsMode", Value.ForString("istio"))),
            TransportSocket = TlsContexts.Mesh(sni, inputs.Identities, http2, exchanges),
        });
        cluster.TransportSocketMatches.Add(new Cluster.Types.TransportSocketMatch
        {
            Name = "tlsMode-disabled",
            Match = new(),
            TransportSocket = TlsContexts.Raw,
        });
    }
}

using System.Net;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Core.Collections;
using Isthmus.Proxy.Clusters;
using Isthmus.Proxy.Matching;
using Isthmus.Proxy.Tls;
using Isthmus.Proxy.Transports;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.Clusters;
using Isthmus.Wire.Envoy.Upstreams;
using InternalUpstreamTransport = Isthmus.Wire.Envoy.InternalUpstreamTransport;
using MetadataKind = Isthmus.Wire.Envoy.MetadataKind;

namespace Isthmus.Proxy.Snapshot;

/// <summary>Decodes CDS resources.</summary>
internal static class ClusterDecoder
{
    private const string HttpOptions = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

    private static readonly TimeSpan Least = TimeSpan.FromMilliseconds(1);

    /// <exception cref="ResourceException">The resource cannot be used.</exception>
    public static ClusterSnapshot Decode(Cluster cluster) => Decode(cluster, cluster.ToByteString());

    /// <exception cref="ResourceException">The resource cannot be used.</exception>
    /// <exception cref="InvalidProtocolBufferException">The resource cannot be read.</exception>
    public static ClusterSnapshot Decode(ByteString bytes) => Decode(Cluster.Parser.ParseFrom(bytes), bytes);

    private static ClusterSnapshot Decode(Cluster cluster, ByteString bytes)
    {
        if (cluster.Name.Length == 0) throw new ResourceException("a cluster without a name");
        var notes = new List<string>();
        var kind = Kind(cluster);
        var options = cluster.TypedExtensionProtocolOptions.TryGetValue(HttpOptions, out var any) && any.TryRead(out HttpProtocolOptions http) ? http : null;
        var inline = kind is ClusterKind.Static ? EndpointDecoder.Decode(cluster.LoadAssignment ?? new()) : null;
        var targets = kind is ClusterKind.StrictDns or ClusterKind.LogicalDns ? EndpointDecoder.DecodeDns(cluster.LoadAssignment ?? new()) : [];
        Note(cluster, notes);
        var check = HealthCheckDecoder.Decode(cluster, kind, Http(options), notes);
        return new(
            cluster.Name, kind,
            cluster.EdsClusterConfig?.ServiceName is { Length: > 0 } service ? service : cluster.Name,
            cluster.ConnectTimeout?.ToTimeSpan() ?? TimeSpan.FromSeconds(5),
            Policy(cluster, notes),
            cluster.CommonLbConfig?.LocalityWeightedLbConfig is not null,
            cluster.CommonLbConfig?.HealthyPanicThreshold?.Value,
            Limits(cluster.CircuitBreakers),
            Outlier(cluster.OutlierDetection),
            cluster.TransportSocketMatches.Select(match => Match(match, options, cluster, notes)).ToValueList(),
            Steps(cluster.TransportSocket, options, cluster, notes),
            Http(options),
            Bind(cluster),
            inline, targets,
            (Names(cluster)?.DnsRefreshRate ?? cluster.DnsRefreshRate)?.ToTimeSpan() ?? TimeSpan.FromSeconds(5),
            (int)(options?.CommonHttpProtocolOptions?.MaxRequestsPerConnection ?? 0u),
            options?.CommonHttpProtocolOptions?.IdleTimeout?.ToTimeSpan() ?? TimeSpan.FromHours(1),
            Keepalive(cluster),
            Service(cluster),
            notes.ToValueList(),
            bytes)
        {
            ExchangesMetadata = cluster.Filters.Any(filter => filter.Name == ProxyExtensions.ClientExchange),
            IsExternal = cluster.Name is "PassthroughCluster" or "AllowAnyDynamicDNSCluster" || Istio(cluster, "external")?.BoolValue == true,
            PortOverride = Port(cluster, kind),
            AsksWaypoints = cluster.OriginalDstLbConfig?.MetadataKey is not null,
            KeepsAlpn = Istio(cluster, "alpn_override")?.StringValue == "false",
            Dynamic = kind == ClusterKind.Dynamic ? Dynamic(cluster) : null,
            MaxConnectionDuration = options?.CommonHttpProtocolOptions?.MaxConnectionDuration?.ToTimeSpan() ?? TimeSpan.Zero,
            MaxConcurrentStreams = (int)Math.Clamp(Http2(options)?.MaxConcurrentStreams ?? int.MaxValue, 1, int.MaxValue),
            Zones = Zones(cluster.CommonLbConfig?.ZoneAwareLbConfig, notes),
            Pings = Pings(Http2(options)?.ConnectionKeepalive),
            Hashing = Hashing(cluster, notes),
            SlowStart = SlowStart(cluster.RoundRobinLbConfig?.SlowStartConfig ?? cluster.LeastRequestLbConfig?.SlowStartConfig),
            HealthCheck = check,
            RacesAddresses = kind == ClusterKind.LogicalDns
                && (Names(cluster)?.DnsLookupFamily == DnsLookupFamily.All || cluster.DnsLookupFamily == Cluster.Types.DnsLookupFamily.All),
            MaxStreamDuration = options?.CommonHttpProtocolOptions?.MaxStreamDuration?.ToTimeSpan() ?? TimeSpan.Zero,
        };
    }

    private static ClusterKind Kind(Cluster cluster)
    {
        if (cluster.ClusterDiscoveryTypeCase == Cluster.ClusterDiscoveryTypeOneofCase.ClusterType)
        {
            return cluster.ClusterType.TypedConfig is not { } type
                ? throw new ResourceException($"cluster type '{cluster.ClusterType.Name}' has no configuration")
                : type.TryRead(out ClusterConfig _) ? ClusterKind.Dynamic
                : Names(cluster) is { } names ? names.AllAddressesInSingleEndpoint ? ClusterKind.LogicalDns : ClusterKind.StrictDns
                : throw new ResourceException($"cluster type '{cluster.ClusterType.Name}' is not supported");
        }
        return cluster.Type switch
        {
            Cluster.Types.DiscoveryType.Static => ClusterKind.Static,
            Cluster.Types.DiscoveryType.StrictDns => ClusterKind.StrictDns,
            Cluster.Types.DiscoveryType.LogicalDns => ClusterKind.LogicalDns,
            Cluster.Types.DiscoveryType.Eds => ClusterKind.Eds,
            Cluster.Types.DiscoveryType.OriginalDst => ClusterKind.OriginalDst,
            _ => throw new ResourceException($"discovery type {(int)cluster.Type} is not supported"),
        };
    }

    /// <summary>The port of original destinations in place of their own; 0: none.</summary>
    /// <exception cref="ResourceException">Destinations are to be found in a way that this proxy does not have.</exception>
    private static int Port(Cluster cluster, ClusterKind kind)
    {
        if (cluster.OriginalDstLbConfig is not { } config) return 0;
        if (kind != ClusterKind.OriginalDst) throw new ResourceException("original_dst_lb_config: the cluster's type is not ORIGINAL_DST");
        if (config.UseHttpHeader || config.HttpHeaderName.Length > 0)
            throw new ResourceException("original_dst_lb_config.use_http_header is not supported: requests must not choose addresses");
        if (config.MetadataKey is { } key
            && (key.Key != EndpointDecoder.TargetMetadata || key.Path.Count != 1 || key.Path[0].Key != EndpointDecoder.WaypointField))
            throw new ResourceException($"original_dst_lb_config.metadata_key '{key.Key}' is not supported: only "
                + $"{EndpointDecoder.WaypointField} of {EndpointDecoder.TargetMetadata} is");
        return config.UpstreamPortOverride is not { } port ? 0
            : port is > 0 and <= 65535 ? (int)port
            : throw new ResourceException($"original_dst_lb_config.upstream_port_override {port} is not a port");
    }

    /// <summary>The form that DNS clusters have in newer control planes; null for other clusters.</summary>
    private static DnsCluster? Names(Cluster cluster) => cluster.ClusterType?.TypedConfig is { } type && type.TryRead(out DnsCluster names) ? names : null;

    /// <summary>
    /// Envoy takes the port of the request. Here it is that of the cluster where it has one (default_original_port in the metadata of istio): who chooses
    /// the name of a service must not choose the port as well.
    /// </summary>
    private static DynamicSettings Dynamic(Cluster cluster)
    {
        if (!cluster.ClusterType.TypedConfig.TryRead(out ClusterConfig config) || config.DnsCacheConfig is not { } cache)
            throw new ResourceException("a dynamic forward proxy needs dns_cache_config");
        var port = Istio(cluster, "default_original_port");
        if (port is { NumberValue: not (>= 1 and <= 65535) }) throw new ResourceException("default_original_port in the metadata of istio is no port");
        return new(Service(cluster).Host, (int?)port?.NumberValue, (int)Math.Min(cache.MaxHosts ?? 1024, 65536),
            cache.DnsRefreshRate?.ToTimeSpan() is { Ticks: > 0 } refresh ? refresh : TimeSpan.FromSeconds(60))
        {
            DefaultPort = cluster.TransportSocket is null ? 80 : 443,
        };
    }

    private static BalancingPolicy Policy(Cluster cluster, List<string> notes)
    {
        switch (cluster.LbPolicy)
        {
            case Cluster.Types.LbPolicy.RoundRobin: return BalancingPolicy.RoundRobin;
            case Cluster.Types.LbPolicy.LeastRequest: return BalancingPolicy.LeastRequest;
            case Cluster.Types.LbPolicy.Random: return BalancingPolicy.Random;
            case Cluster.Types.LbPolicy.RingHash or Cluster.Types.LbPolicy.Maglev: return BalancingPolicy.Hash;
            case Cluster.Types.LbPolicy.ClusterProvided: return BalancingPolicy.RoundRobin;
            default:
                notes.Add($"lb_policy {cluster.LbPolicy}: least request is used");
                return BalancingPolicy.LeastRequest;
        }
    }

    private static SlowStartSettings? SlowStart(Cluster.Types.SlowStartConfig? config) => config?.SlowStartWindow?.ToTimeSpan() is { Ticks: > 0 } window
        ? new(window, config.Aggression?.DefaultValue is > 0 and var aggression ? aggression : 1, (config.MinWeightPercent?.Value ?? 10) / 100) : null;

    private static HashSettings Hashing(Cluster cluster, List<string> notes)
    {
        if (cluster.CommonLbConfig?.ConsistentHashingLbConfig is not null) notes.Add("consistent_hashing_lb_config is ignored");
        if (cluster.LbPolicy == Cluster.Types.LbPolicy.Maglev)
        {
            var size = cluster.MaglevLbConfig?.TableSize ?? 65537;
            if (size > 5_000_011 || !IsPrime((int)size))
                throw new ResourceException($"maglev_lb_config.table_size {size}: must be a prime number of at most 5000011");
            return HashSettings.Ring with { MaglevSize = (int)size };
        }
        if (cluster.RingHashLbConfig is not { } ring) return HashSettings.Ring;
        if (ring.HashFunction != Cluster.Types.RingHashLbConfig.Types.HashFunction.XxHash)
            notes.Add($"ring_hash_lb_config.hash_function {ring.HashFunction}: XX_HASH is used");
        var (minimum, maximum) = (ring.MinimumRingSize ?? HashSettings.Ring.MinimumRing, ring.MaximumRingSize ?? HashSettings.Ring.MaximumRing);
        if (minimum > maximum || maximum > HashSettings.Ring.MaximumRing)
            throw new ResourceException(
                $"ring_hash_lb_config: minimum_ring_size {minimum} and maximum_ring_size {maximum} must not exceed one another or "
                    + $"{HashSettings.Ring.MaximumRing}");
        return HashSettings.Ring with { MinimumRing = Math.Max(1, minimum), MaximumRing = maximum };
    }

    private static bool IsPrime(int number)
    {
        if (number < 2) return false;
        for (var factor = 2; factor <= number / factor; factor++)
        {
            if (number % factor == 0) return false;
        }
        return true;
    }

    private static CircuitLimits Limits(CircuitBreakers? breakers)
    {
        var thresholds = breakers?.Thresholds.FirstOrDefault(t => t.Priority == Wire.Envoy.RoutingPriority.Default);
        if (thresholds is null) return CircuitLimits.Default;
        var none = CircuitLimits.Default;
        return new(thresholds.MaxConnections ?? none.Connections, thresholds.MaxPendingRequests ?? none.Pending,
            thresholds.MaxRequests ?? none.Requests, thresholds.MaxRetries ?? none.Retries)
        {
            Budget = thresholds.RetryBudget is { } budget
                ? new(budget.BudgetPercent?.Value ?? 20, budget.MinRetryConcurrency ?? 3) { Interval = budget.BudgetInterval?.ToTimeSpan() ?? TimeSpan.Zero }
                : null,
        };
    }

    private static OutlierSettings? Outlier(OutlierDetection? detection)
    {
        if (detection is null) return null;
        static int Rule(uint? count, uint? enforcing, uint defaultCount, uint defaultEnforcing) =>
            (enforcing ?? defaultEnforcing) == 0 ? 0 : (int)(count ?? defaultCount);
        return new(
            Rule(detection.Consecutive5Xx, detection.EnforcingConsecutive5Xx, 5, 100),
            Rule(detection.ConsecutiveGatewayFailure, detection.EnforcingConsecutiveGatewayFailure, 5, 0),
            Rule(detection.ConsecutiveLocalOriginFailure, detection.EnforcingConsecutiveLocalOriginFailure, 5, 100),
            detection.BaseEjectionTime?.ToTimeSpan() ?? TimeSpan.FromSeconds(30),
            detection.MaxEjectionTime?.ToTimeSpan() ?? TimeSpan.FromSeconds(300),
            (int)(detection.MaxEjectionPercent ?? 10u),
            detection.SplitExternalLocalOriginErrors)
        {
            AlwaysOne = detection.AlwaysEjectOneHost ?? false,
            Interval = detection.Interval?.ToTimeSpan() ?? TimeSpan.FromSeconds(10),
            ReturnsByCheck = detection.SuccessfulActiveHealthCheckUnejectHost ?? true,
        };
    }

    /// <summary>A transport that this proxy does not know closes the endpoints that need it, and no others.</summary>
    private static SocketMatch Match(Cluster.Types.TransportSocketMatch match, HttpProtocolOptions? options, Cluster cluster, List<string> notes)
    {
        var labels = EndpointDecoder.Labels(match.Match);
        if (TlsSettings.IsKnown(Inner(match.TransportSocket), downstream: false))
            return new(match.Name, labels, Steps(match.TransportSocket, options, cluster, notes));
        var why = $"transport socket '{match.TransportSocket.Name}' is not supported";
        notes.Add($"endpoints that match '{match.Name}' are not reachable: {why}");
        return new(match.Name, labels, ConnectSteps.None) { Unsupported = why };
    }

    private static ConnectSteps Steps(Wire.Envoy.TransportSocket? socket, HttpProtocolOptions? options, Cluster cluster, List<string> notes)
    {
        var (steps, tls) = (new List<ConnectStep>(), Tls(Inner(socket), options, cluster));
        for (; Around(socket) is { } wrapper; socket = wrapper.Inner)
        {
            if (wrapper.Step is Wire.Envoy.ProxyProtocolUpstreamTransport header)
                steps.Add(new ProxyHeaderStep(Version(header.Config) ?? ProxyProtocolVersion.V1));
            if (wrapper.Step is InternalUpstreamTransport along) steps.Add(Inside(along, notes));
            if (wrapper.Step is Wire.Envoy.Http11ProxyUpstreamTransport { DefaultProxyAddress: var proxy })
                steps.Add(new ForwardProxyStep(proxy is null ? null : EndpointDecoder.Address(proxy), Tunnels: tls is not null));
        }
        if (tls is not null) steps.Add(new TlsStep(tls));
        return steps.Count == 0 ? ConnectSteps.None : new(steps.ToValueList());
    }

    private static InternalStep Inside(InternalUpstreamTransport along, List<string> notes)
    {
        var passesTarget = false;
        foreach (var source in along.PassthroughMetadata)
        {
            var isOfHost = source.Kind?.KindCase == MetadataKind.KindOneofCase.Host;
            if (source.Name.Length == 0 || (!isOfHost && source.Kind?.KindCase != MetadataKind.KindOneofCase.Cluster))
                throw new ResourceException($"internal_upstream: passthrough_metadata '{source.Name}' needs a name and the kind host or cluster");
            if (isOfHost && source.Name == EndpointDecoder.TargetMetadata) passesTarget = true;
            else notes.Add($"internal_upstream: metadata '{source.Name}' is not passed on");
        }
        return new(passesTarget);
    }

    /// <summary>The transport socket in those that do something before it.</summary>
    private static Wire.Envoy.TransportSocket? Inner(Wire.Envoy.TransportSocket? socket)
    {
        while (Around(socket) is { } wrapper) socket = wrapper.Inner;
        return socket;
    }

    /// <summary>A transport socket that wraps another one: its own step, and the one inside; null if it wraps none.</summary>
    private static (IMessage Step, Wire.Envoy.TransportSocket? Inner)? Around(Wire.Envoy.TransportSocket? socket)
    {
        if (socket?.TypedConfig is not { } config) return null;
        if (config.TryRead(out Wire.Envoy.ProxyProtocolUpstreamTransport header)) return (header, header.TransportSocket);
        if (config.TryRead(out InternalUpstreamTransport along)) return (along, along.TransportSocket);
        return config.TryRead(out Wire.Envoy.Http11ProxyUpstreamTransport forward) ? (forward, forward.TransportSocket) : null;
    }

    /// <summary>The version of the headers to write; null for none.</summary>
    /// <exception cref="ResourceException">It is unknown.</exception>
    public static ProxyProtocolVersion? Version(Wire.Envoy.ProxyProtocolConfig? config) => config switch
    {
        null => null,
        { Version: Wire.Envoy.ProxyProtocolConfig.Types.Version.V1 } => ProxyProtocolVersion.V1,
        { Version: Wire.Envoy.ProxyProtocolConfig.Types.Version.V2 } => ProxyProtocolVersion.V2,
        var other => throw new ResourceException($"PROXY protocol version {(int)other.Version} is not supported"),
    };

    private static TlsSettings? Tls(Wire.Envoy.TransportSocket? socket, HttpProtocolOptions? options, Cluster cluster)
    {
        if (TlsSettings.From(socket, downstream: false) is not { } settings) return null;
        if (options?.UpstreamHttpProtocolOptions is not { } names) return settings;
        if (names.OverrideAutoSniHeader.Length > 0) throw new ResourceException("override_auto_sni_header is not supported");
        return settings with { SniFromRequest = names.AutoSni, NameFromRequest = names.AutoSanValidation, ServiceHost = Service(cluster).Host };
    }

    private static UpstreamHttp Http(HttpProtocolOptions? options) => options?.UpstreamProtocolOptionsCase switch
    {
        HttpProtocolOptions.UpstreamProtocolOptionsOneofCase.ExplicitHttpConfig =>
            options.ExplicitHttpConfig.Http2ProtocolOptions is not null ? UpstreamHttp.Http2 : UpstreamHttp.Http1,
        HttpProtocolOptions.UpstreamProtocolOptionsOneofCase.UseDownstreamProtocolConfig => UpstreamHttp.AsDownstream,
        HttpProtocolOptions.UpstreamProtocolOptionsOneofCase.AutoConfig => UpstreamHttp.AsDownstream,
        _ => UpstreamHttp.Http1,
    };

    private static Wire.Envoy.Http2ProtocolOptions? Http2(HttpProtocolOptions? options) => options?.UpstreamProtocolOptionsCase switch
    {
        HttpProtocolOptions.UpstreamProtocolOptionsOneofCase.ExplicitHttpConfig => options.ExplicitHttpConfig.Http2ProtocolOptions,
        HttpProtocolOptions.UpstreamProtocolOptionsOneofCase.UseDownstreamProtocolConfig => options.UseDownstreamProtocolConfig.Http2ProtocolOptions,
        _ => null,
    };

    private static ZoneAwareness? Zones(Cluster.Types.CommonLbConfig.Types.ZoneAwareLbConfig? config, List<string> notes)
    {
        if (config is null) return null;
        if (config.FailTrafficOnPanic) notes.Add("zone_aware_lb_config.fail_traffic_on_panic is ignored");
        var part = (config.RoutingEnabled?.Value ?? 100) / 100;
        return part > 0 ? new(part, config.MinClusterSize ?? 6) : null;
    }

    private static PingSettings? Pings(Wire.Envoy.KeepaliveSettings? keepalive)
    {
        if (keepalive?.Interval?.ToTimeSpan() is not { } interval) return null;
        if (interval < Least) throw new ResourceException($"connection_keepalive.interval {interval}: must be at least 1 ms");
        if (keepalive.Timeout?.ToTimeSpan() is not { } timeout || timeout < Least)
            throw new ResourceException("connection_keepalive needs a timeout of at least 1 ms");
        return new(interval, timeout, (keepalive.IntervalJitter?.Value ?? 15) / 100);
    }

    private static IPAddress? Bind(Cluster cluster)
    {
        if (cluster.UpstreamBindConfig?.SourceAddress?.Address is not { Length: > 0 } text) return null;
        return IPAddress.TryParse(text, out var address) ? address : throw new ResourceException($"upstream_bind_config: '{text}' is not an IP address");
    }

    private static KeepaliveSettings? Keepalive(Cluster cluster) => cluster.UpstreamConnectionOptions?.TcpKeepalive is { } keepalive
        ? new((int)(keepalive.KeepaliveTime ?? 0u), (int)(keepalive.KeepaliveInterval ?? 0u), (int)(keepalive.KeepaliveProbes ?? 0u))
        : null;

    /// <summary>A field of Istio's metadata; null if it is not there.</summary>
    private static Value? Istio(Cluster cluster, string field) =>
        cluster.Metadata?.FilterMetadata.GetValueOrDefault("istio")?.Fields.GetValueOrDefault(field);

    private static ServiceName Service(Cluster cluster)
    {
        if (Istio(cluster, "services")?.ListValue is not { Values.Count: > 0 } list) return ServiceName.None;
        var fields = list.Values[0].StructValue?.Fields;
        string Text(string name) => fields is not null && fields.TryGetValue(name, out var value) ? value.StringValue : "";
        return new(Text("host"), Text("name"), Text("namespace"));
    }

    private static void Note(Cluster cluster, List<string> notes)
    {
        if (cluster.LoadBalancingPolicy is not null) notes.Add("load_balancing_policy is ignored");
        foreach (var filter in cluster.Filters)
            if (filter.Name is not ProxyExtensions.ClientExchange) notes.Add($"network filter '{filter.Name}' is ignored");
    }
}

using Google.Protobuf.WellKnownTypes;
using Isthmus.Mesh.Model;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.HttpFilters;
using Isthmus.Wire.Envoy.NetworkFilters;
using Isthmus.Wire.Envoy.Routes;
using Alpn = Isthmus.Wire.Istio.Alpn;
using GrpcStats = Isthmus.Wire.Envoy.HttpFilters.GrpcStats;
using Listeners = Isthmus.Wire.Envoy.Listeners;

namespace Isthmus.Mesh.Generate;

/// <summary>The HTTP connection manager of each direction, with its filters in Istio's order.</summary>
internal static class HttpConnections
{
    private const string StrictPaths = "isthmus.strict_paths";

    private const string Connect = "CONNECT";

    private const string OwnServer = "istio-envoy";

    private static readonly HttpFilter AlpnOverride = new()
    {
        Name = "istio.alpn",
        TypedConfig = Parts.Pack(new Alpn.FilterConfig
        {
            AlpnOverride =
            {
                Override(Alpn.FilterConfig.Types.Protocol.Http10, "istio-http/1.0", "istio", "http/1.0"),
                Override(Alpn.FilterConfig.Types.Protocol.Http11, "istio-http/1.1", "istio", "http/1.1"),
                Override(Alpn.FilterConfig.Types.Protocol.Http2, "istio-h2", "istio", "h2"),
            },
        }),
    };

    private static readonly HttpFilter GrpcStatsFilter = new()
    {
        Name = "envoy.filters.http.grpc_stats",
        TypedConfig = Parts.Pack(new GrpcStats.FilterConfig { EmitFilterState = true, StatsForAllMethods = false }),
    };

    private static readonly HttpFilter GrpcWebFilter = new() { Name = "envoy.filters.http.grpc_web", TypedConfig = Parts.Pack(new GrpcWeb()) };
    private static readonly HttpFilter Fault = new() { Name = "envoy.filters.http.fault", TypedConfig = Parts.Pack(new HTTPFault()) };
    private static readonly HttpFilter Cors = new() { Name = "envoy.filters.http.cors", TypedConfig = Parts.Pack(new Cors()) };
    private static readonly HttpFilter RouterFilter = new() { Name = "envoy.filters.http.router", TypedConfig = Parts.Pack(new Router()) };
    private static readonly HttpFilter SilentRouter = new()
    {
        Name = "envoy.filters.http.router", TypedConfig = Parts.Pack(new Router { SuppressEnvoyHeaders = true })
    };

    private static Alpn.FilterConfig.Types.AlpnOverride Override(Alpn.FilterConfig.Types.Protocol protocol, params string[] alpns) =>
        new() { UpstreamProtocol = protocol, AlpnOverride_ = { alpns } };

    /// <param name="port">The port that clients call, by which plugins may be chosen; 0: any.</param>
    public static Listeners.Filter Outbound(string statPrefix, string routeName, Protocol protocol, MeshConfig mesh, TracePlan? tracing, int port)
    {
        var manager = Common(statPrefix, mesh, tracing);
        manager.Rds = new() { ConfigSource = Parts.Ads, RouteConfigName = routeName };
        return Outbound(manager, protocol, mesh, port);
    }

    /// <summary>With routes of its own.</summary>
    public static Listeners.Filter Outbound(string statPrefix, RouteConfiguration routes, MeshConfig mesh, TracePlan? tracing)
    {
        var manager = Common(statPrefix, mesh, tracing);
        manager.RouteConfig = routes;
        return Outbound(manager, Protocol.Auto, mesh, 0);
    }

    private static Listeners.Filter Outbound(HttpConnectionManager manager, Protocol protocol, MeshConfig mesh, int port)
    {
        manager.UseRemoteAddress = false;
        SetFields(manager, mesh.ProxyHeaders, "");
        // As in Istio, only sidecars keep metadata to the mesh.
        var traffic = mesh.ProxyHeaders.TellsMeshOnly ? Traffic.OutboundInMesh : Traffic.Outbound;
        AddSecurity(manager, null, mesh, traffic, port);
        AddFilters(manager, protocol, traffic, mesh, port);
        return Filter(manager);
    }

    /// <param name="port">At the workload; 0: any that no Service names.</param>
    public static Listeners.Filter Inbound(string statPrefix, RouteConfiguration routes, Protocol protocol, MeshConfig mesh, WorkloadSecurity? security,
        TracePlan? tracing, int port)
    {
        var manager = Common(statPrefix, mesh, tracing);
        manager.RouteConfig = routes;
        manager.UseRemoteAddress = false;
        SetFields(manager, mesh.ProxyHeaders, OwnServer);
        manager.ForwardClientCertDetails = Mode(mesh.ProxyHeaders.ClientCert);
        var parts = mesh.ProxyHeaders.ClientCertParts;
        manager.SetCurrentClientCertDetails = new() { Subject = parts.Subject, Cert = parts.Cert, Dns = parts.Dns, Uri = parts.Uri };
        if (protocol.IsHttp2()) manager.Http2ProtocolOptions ??= new();
        // Callers with h2UpgradePolicy bring WebSockets this way (RFC 8441). Istio leaves it out, and what Envoys get is Istio's.
        if (!mesh.Software.IsEnvoy) (manager.Http2ProtocolOptions ??= new()).AllowConnect = true;
        AddSecurity(manager, security, mesh, Traffic.Inbound, port);
        AddFilters(manager, protocol, Traffic.Inbound, mesh, port);
        return Filter(manager);
    }

    /// <summary>Of the ends of tunnels (HBONE).</summary>
    public static Listeners.Filter Tunnels(MeshConfig mesh)
    {
        var parts = mesh.ProxyHeaders.ClientCertParts;
        var manager = new HttpConnectionManager
        {
            StatPrefix = ResourceNames.ConnectTerminate,
            RouteConfig = TunnelRoutes,
            UseRemoteAddress = false,
            ForwardClientCertDetails = Mode(mesh.ProxyHeaders.ClientCert),
            SetCurrentClientCertDetails = new() { Subject = parts.Subject, Cert = parts.Cert, Dns = parts.Dns, Uri = parts.Uri },
            StreamIdleTimeout = Parts.Zero,
            UpgradeConfigs = { new HttpConnectionManager.Types.UpgradeConfig { UpgradeType = Connect } },
            // All streams of a connection are on one thread. A caller that is gone without a word is found out.
            Http2ProtocolOptions = new()
            {
                AllowConnect = true, MaxConcurrentStreams = 100,
                ConnectionKeepalive = new() { Interval = Parts.Duration(TimeSpan.FromSeconds(10)), Timeout = Parts.Duration(TimeSpan.FromSeconds(20)) },
            },
            HttpFilters = { TunnelStates.Filter(mesh.Software), mesh.ProxyHeaders.HasEnvoyFields ? RouterFilter : SilentRouter },
        };
        SetFields(manager, mesh.ProxyHeaders, OwnServer);
        manager.AccessLog.AddRange(AccessLogs.OfRefused(mesh));
        return Filter(manager);
    }

    private static RouteConfiguration TunnelRoutes => new()
    {
        Name = "default",
        VirtualHosts =
        {
            new VirtualHost
            {
                Name = "default",
                Domains = { "*" },
                Routes =
                {
                    new Route
                    {
                        Match = new() { ConnectMatcher = new() },
                        Route_ = new()
                        {
                            Cluster = ResourceNames.MainInternal,
                            // A tunnel may be open for as long as its connection is.
                            Timeout = Parts.Zero,
                            UpgradeConfigs = { new RouteAction.Types.UpgradeConfig { UpgradeType = Connect, ConnectConfig = new() } },
                        },
                    },
                },
            },
        },
    };

    /// <param name="port">Of the listener.</param>
    public static Listeners.Filter Gateway(string statPrefix, string routeName, MeshConfig mesh, GatewayScope gateway, TracePlan? tracing, int port)
    {
        var manager = Common(statPrefix, mesh, tracing);
        manager.Rds = new() { ConfigSource = Parts.Ads, RouteConfigName = routeName };
        manager.UseRemoteAddress = true;
        SetFields(manager, mesh.ProxyHeaders, OwnServer);
        manager.HttpProtocolOptions ??= new();
        manager.XffNumTrustedHops = gateway.Topology.TrustedProxies;
        manager.ForwardClientCertDetails = Mode(gateway.Topology.ClientCert);
        if (gateway.Topology.ClientCert is ClientCertForwarding.SanitizeSet or ClientCertForwarding.AppendForward)
            manager.SetCurrentClientCertDetails = new() { Subject = true, Cert = true, Dns = true, Uri = true };
        AddSecurity(manager, gateway.Security, mesh, Traffic.Gateway, port);
        AddFilters(manager, Protocol.Http, Traffic.Gateway, mesh, port);
        return Filter(manager);
    }

    private static HttpConnectionManager.Types.ForwardClientCertDetails Mode(ClientCertForwarding mode) => mode switch
    {
        ClientCertForwarding.Sanitize => HttpConnectionManager.Types.ForwardClientCertDetails.Sanitize,
        ClientCertForwarding.ForwardOnly => HttpConnectionManager.Types.ForwardClientCertDetails.ForwardOnly,
        ClientCertForwarding.AppendForward => HttpConnectionManager.Types.ForwardClientCertDetails.AppendForward,
        ClientCertForwarding.AlwaysForwardOnly => HttpConnectionManager.Types.ForwardClientCertDetails.AlwaysForwardOnly,
        _ => HttpConnectionManager.Types.ForwardClientCertDetails.SanitizeSet,
    };

    /// <param name="server">The server's name where none is chosen; empty: Envoy's.</param>
    private static void SetFields(HttpConnectionManager manager, ProxyHeaders headers, string server)
    {
        if (!headers.HasServer) manager.ServerHeaderTransformation = HttpConnectionManager.Types.ServerHeaderTransformation.PassThrough;
        else manager.ServerName = headers.Server.Length > 0 ? headers.Server : server;
        if (!headers.HasRequestId) manager.GenerateRequestId = false;
    }

    /// <summary>Comes before all other filters: a rejected request leaves no other trace.</summary>
    private static void AddSecurity(HttpConnectionManager manager, WorkloadSecurity? security, MeshConfig mesh, Traffic traffic, int port)
    {
        manager.HttpFilters.AddRange(PluginFilters.Http(mesh, PluginPhase.Authn, traffic == Traffic.Inbound, port));
        if (security is not null) manager.HttpFilters.AddRange(TokenChecks.Http(security.Tokens, traffic == Traffic.Gateway));
        manager.HttpFilters.AddRange(PluginFilters.Http(mesh, PluginPhase.Authz, traffic == Traffic.Inbound, port));
        if (security is not null) manager.HttpFilters.AddRange(Authorizations.Http(security, mesh));
    }

    private static HttpConnectionManager Common(string statPrefix, MeshConfig mesh, TracePlan? tracing)
    {
        var manager = new HttpConnectionManager
        {
            StatPrefix = statPrefix,
            StreamIdleTimeout = Parts.Zero,
            NormalizePath = mesh.PathNormalization >= PathNormalization.Base,
            MergeSlashes = mesh.PathNormalization >= PathNormalization.MergeSlashes,
            PathWithEscapedSlashesAction = mesh.PathNormalization == PathNormalization.DecodeAndMergeSlashes
                ? HttpConnectionManager.Types.PathWithEscapedSlashesAction.UnescapeAndForward
                : HttpConnectionManager.Types.PathWithEscapedSlashesAction.KeepUnchanged,
            UpgradeConfigs = { new HttpConnectionManager.Types.UpgradeConfig { UpgradeType = "websocket" } },
            RequestIdExtension = new() { TypedConfig = Parts.Pack(new UuidRequestIdConfig { UseRequestIdForTraceSampling = tracing?.UsesRequestId ?? true }) },
        };
        // No other proxy knows it: it refuses the listener instead of accepting the paths.
        if (mesh.PathNormalization == PathNormalization.Strict)
            manager.TypedHeaderValidationConfig = new() { Name = StrictPaths, TypedConfig = Parts.Pack(new Empty()) };
        if (tracing is not null) manager.Tracing = TraceConfigs.Of(tracing);
        if (mesh.AcceptHttp10) manager.HttpProtocolOptions = new() { AcceptHttp10 = true };
        manager.AccessLog.AddRange(AccessLogs.Of(mesh));
        Limit(manager, mesh.Connections);
        return manager;
    }

    private static void Limit(HttpConnectionManager manager, ConnectionSettings settings)
    {
        if (settings == ConnectionSettings.Default) return;
        if (settings.StreamIdleTimeout is { } silence) manager.StreamIdleTimeout = Parts.Duration(silence);
        if (settings.RequestTimeout is { } request) manager.RequestTimeout = Parts.Duration(request);
        if (settings.RequestHeadersTimeout is { } head) manager.RequestHeadersTimeout = Parts.Duration(head);
        if (settings.MergeSlashes is { } merges) manager.MergeSlashes = merges;
        if (settings.EscapedSlashes is { } slashes)
        {
            manager.PathWithEscapedSlashesAction = slashes switch
            {
                EscapedSlashAction.Reject => HttpConnectionManager.Types.PathWithEscapedSlashesAction.RejectRequest,
                EscapedSlashAction.Redirect => HttpConnectionManager.Types.PathWithEscapedSlashesAction.UnescapeAndRedirect,
                EscapedSlashAction.Forward => HttpConnectionManager.Types.PathWithEscapedSlashesAction.UnescapeAndForward,
                _ => HttpConnectionManager.Types.PathWithEscapedSlashesAction.KeepUnchanged,
            };
        }
        if (settings.MaxConcurrentStreams is { } streams) manager.Http2ProtocolOptions = new() { MaxConcurrentStreams = streams };
        if (settings is { IdleTimeout: null, MaxConnectionDuration: null, MaxStreamDuration: null, Underscores: null }) return;
        var common = manager.CommonHttpProtocolOptions = new();
        if (settings.IdleTimeout is { } idle) common.IdleTimeout = Parts.Duration(idle);
        if (settings.MaxConnectionDuration is { } age) common.MaxConnectionDuration = Parts.Duration(age);
        if (settings.MaxStreamDuration is { } duration) common.MaxStreamDuration = Parts.Duration(duration);
        if (settings.Underscores is { } underscores) common.HeadersWithUnderscoresAction = (HttpProtocolOptions.Types.HeadersWithUnderscoresAction)underscores;
    }

    private static void AddFilters(HttpConnectionManager manager, Protocol protocol, Traffic traffic, MeshConfig mesh, int port)
    {
        if (PeerMetadata.Http(traffic, mesh.Software) is { } exchange) manager.HttpFilters.Add(exchange);
        manager.HttpFilters.AddRange(PluginFilters.Http(mesh, PluginPhase.Stats, traffic == Traffic.Inbound, port));
        manager.HttpFilters.AddRange(PluginFilters.Http(mesh, PluginPhase.Unspecified, traffic == Traffic.Inbound, port));
        if (protocol == Protocol.GrpcWeb) manager.HttpFilters.Add(GrpcWebFilter);
        if (protocol is Protocol.Grpc or Protocol.GrpcWeb) manager.HttpFilters.Add(GrpcStatsFilter);
        if (traffic != Traffic.Inbound && mesh.Software.Has(IstioFilters.Alpn)) manager.HttpFilters.Add(AlpnOverride);
        manager.HttpFilters.Add(Fault);
        manager.HttpFilters.Add(Cors);
        if (traffic != Traffic.Inbound && mesh.Software.ComposesFilters) manager.HttpFilters.Add(RouteChecks.Filter);
        if ((traffic is Traffic.Outbound or Traffic.OutboundInMesh) && mesh.OutboundTrafficPolicy == OutboundPolicy.AllowAnyDynamicDns)
            manager.HttpFilters.Add(ByRequest(mesh));
        manager.HttpFilters.AddRange(MetricConfigs.Http(traffic, mesh));
        if (traffic != Traffic.Inbound && mesh.KeepsSessions) manager.HttpFilters.Add(StatefulSessions.Filter);
        manager.HttpFilters.Add(mesh.ProxyHeaders.HasEnvoyFields ? RouterFilter : SilentRouter);
    }

    /// <summary>Resolves the hosts of requests for <see cref="ResourceNames.DynamicDns"/>.</summary>
    private static HttpFilter ByRequest(MeshConfig mesh) => new()
    {
        Name = "envoy.filters.http.dynamic_forward_proxy",
        TypedConfig = Parts.Pack(new Wire.Envoy.HttpFilters.DynamicForwardProxy.FilterConfig { DnsCacheConfig = ClusterGenerator.NamesOfRequests(mesh) }),
    };

    private static Listeners.Filter Filter(HttpConnectionManager manager) =>
        new() { Name = "envoy.filters.network.http_connection_manager", TypedConfig = Parts.Pack(manager) };
}

using Isthmus.Mesh.Model;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.HttpFilters;
using Isthmus.Wire.Envoy.NetworkFilters;
using Wasm = Isthmus.Wire.Envoy.HttpFilters.Wasm;
using Isthmus.Wire.Envoy.Routes;
using Isthmus.Wire.Envoy.WasmPlugins;
using Isthmus.Wire.Istio;
using Alpn = Isthmus.Wire.Istio.Alpn;
using GrpcStats = Isthmus.Wire.Envoy.HttpFilters.GrpcStats;
using Listeners = Isthmus.Wire.Envoy.Listeners;

namespace Isthmus.Mesh.Generate;

/// <summary>The HTTP connection manager of each direction, with its filters in Istio's order.</summary>
internal static class HttpConnections
{
    private static readonly HttpFilter MetadataExchange = new()
    {
        Name = "istio.metadata_exchange",
        TypedConfig = Parts.Pack(new Wasm
        {
            Config = new()
            {
                VmConfig = new()
                {
                    Runtime = "envoy.wasm.runtime.null",
                    Code = new() { Local = new() { InlineString = "envoy.wasm.metadata_exchange" } },
                },
                Configuration = Parts.Pack(new MetadataExchange()),
            },
        }),
    };

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

    private static Alpn.FilterConfig.Types.AlpnOverride Override(Alpn.FilterConfig.Types.Protocol protocol, params string[] alpns) =>
        new() { UpstreamProtocol = protocol, AlpnOverride_ = { alpns } };

    public static Listeners.Filter Outbound(string statPrefix, string routeName, Protocol protocol, MeshConfig mesh, TracePlan? tracing)
    {
        var manager = Common(statPrefix, mesh, tracing);
        manager.Rds = new() { ConfigSource = Parts.Ads, RouteConfigName = routeName };
        manager.UseRemoteAddress = false;
        AddFilters(manager, protocol, true, mesh);
        return Filter(manager);
    }

    public static Listeners.Filter Inbound(string statPrefix, RouteConfiguration routes, Protocol protocol, MeshConfig mesh, WorkloadSecurity? security, TracePlan? tracing)
    {
        var manager = Common(statPrefix, mesh, tracing);
        manager.RouteConfig = routes;
        manager.UseRemoteAddress = false;
        manager.ServerName = "istio-envoy";
        manager.ForwardClientCertDetails = HttpConnectionManager.Types.ForwardClientCertDetails.AppendForward;
        manager.SetCurrentClientCertDetails = new() { Subject = true, Dns = true, Uri = true };
        if (protocol.IsHttp2()) manager.Http2ProtocolOptions = new();
        AddSecurity(manager, security, mesh, routes: false);
        AddFilters(manager, protocol, false, mesh);
        return Filter(manager);
    }

    public static Listeners.Filter Gateway(string statPrefix, string routeName, MeshConfig mesh, GatewayScope gateway, TracePlan? tracing)
    {
        var manager = Common(statPrefix, mesh, tracing);
        manager.Rds = new() { ConfigSource = Parts.Ads, RouteConfigName = routeName };
        manager.UseRemoteAddress = true;
        manager.ServerName = "istio-envoy";
        manager.HttpProtocolOptions ??= new();
        manager.XffNumTrustedHops = gateway.Topology.TrustedProxies;
        manager.ForwardClientCertDetails = gateway.Topology.ClientCert switch
        {
            ClientCertForwarding.Sanitize => HttpConnectionManager.Types.ForwardClientCertDetails.Sanitize,
            ClientCertForwarding.ForwardOnly => HttpConnectionManager.Types.ForwardClientCertDetails.ForwardOnly,
            ClientCertForwarding.AppendForward => HttpConnectionManager.Types.ForwardClientCertDetails.AppendForward,
            ClientCertForwarding.AlwaysForwardOnly => HttpConnectionManager.Types.ForwardClientCertDetails.AlwaysForwardOnly,
            _ => HttpConnectionManager.Types.ForwardClientCertDetails.SanitizeSet,
        };
        if (gateway.Topology.ClientCert is ClientCertForwarding.SanitizeSet or ClientCertForwarding.AppendForward)
            manager.SetCurrentClientCertDetails = new() { Subject = true, Cert = true, Dns = true, Uri = true };
        AddSecurity(manager, gateway.Security, mesh, routes: true);
        AddFilters(manager, Protocol.Http, true, mesh);
        return Filter(manager);
    }

    /// <summary>Comes before all other filters: a rejected request leaves no other trace.</summary>
    private static void AddSecurity(HttpConnectionManager manager, WorkloadSecurity? security, MeshConfig mesh, bool routes)
    {
        if (security is null) return;
        manager.HttpFilters.AddRange(TokenChecks.Http(security.Tokens, routes));
        manager.HttpFilters.AddRange(Authorizations.Http(security, mesh));
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
        if (tracing is not null) manager.Tracing = TraceConfigs.Of(tracing);
        if (mesh.AcceptHttp10) manager.HttpProtocolOptions = new() { AcceptHttp10 = true };
        manager.AccessLog.AddRange(AccessLogs.Of(mesh));
        return manager;
    }

    private static void AddFilters(HttpConnectionManager manager, Protocol protocol, bool client, MeshConfig mesh)
    {
        manager.HttpFilters.Add(MetadataExchange);
        if (protocol == Protocol.GrpcWeb) manager.HttpFilters.Add(GrpcWebFilter);
        if (protocol is Protocol.Grpc or Protocol.GrpcWeb) manager.HttpFilters.Add(GrpcStatsFilter);
        if (client) manager.HttpFilters.Add(AlpnOverride);
        manager.HttpFilters.Add(Fault);
        manager.HttpFilters.Add(Cors);
        manager.HttpFilters.AddRange(MetricConfigs.Http(mesh));
        manager.HttpFilters.Add(RouterFilter);
    }

    private static Listeners.Filter Filter(HttpConnectionManager manager) =>
        new() { Name = "envoy.filters.network.http_connection_manager", TypedConfig = Parts.Pack(manager) };
}

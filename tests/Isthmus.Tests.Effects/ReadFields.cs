using System.Reflection.Metadata;
using System.Reflection.Metadata.Ecma335;
using System.Reflection.PortableExecutable;
using System.Text;
using Google.Protobuf.Reflection;
using Isthmus.Proxy;
using Isthmus.Proxy.Filters;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.Clusters;
using Isthmus.Wire.Envoy.Listeners;
using Isthmus.Wire.Envoy.NetworkFilters;
using Isthmus.Wire.Envoy.Routes;

namespace Isthmus.Tests.Effects;

/// <summary>The fields of Envoy's messages that the code of the proxy reads, found in its compiled form.</summary>
internal static class ReadFields
{
    private static readonly MessageDescriptor[] Roots = [Listener.Descriptor, RouteConfiguration.Descriptor, Cluster.Descriptor, HttpFilter.Descriptor];

    /// <summary>The methods whose argument is a type that the proxy unpacks.</summary>
    private static readonly HashSet<string> Readers =
    [
        nameof(TypeNames.TryRead), nameof(FilterKind<object>.Of), nameof(HttpFilterKind.Setting), nameof(HttpFilterKind.ForRoutes),
    ];

    /// <summary>Fields that the proxy reads only to say that it ignores or refuses them, or of which it honours no value but the default.</summary>
    private static readonly HashSet<string> Refused =
    [
        "envoy.config.listener.v3.Listener.additional_addresses",
        // The agent clears it in what it adds for its Envoy.
        "envoy.config.listener.v3.Listener.socket_options",
        // Traces name the object that they are made from.
        "envoy.config.listener.v3.FilterChain.metadata",
        "envoy.config.route.v3.Route.metadata",
        "envoy.config.route.v3.RouteConfiguration.vhds",
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.local_reply_config",
        "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy.metadata_match",
        "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy.TunnelingConfig.propagate_response_headers",
        "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy.TunnelingConfig.propagate_response_trailers",
        "envoy.config.route.v3.RouteAction.UpgradeConfig.ConnectConfig.allow_post",
        "envoy.config.route.v3.RouteAction.metadata_match",
        "envoy.config.route.v3.RouteAction.hedge_policy",
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.SetCurrentClientCertDetails.chain",
        "envoy.config.route.v3.RouteAction.internal_redirect_policy",
        "envoy.config.route.v3.RouteAction.MaxStreamDuration.grpc_timeout_header_max",
        "envoy.config.cluster.v3.Cluster.filters",
        "envoy.config.cluster.v3.Cluster.load_balancing_policy",
        "envoy.config.core.v3.HealthCheck.alt_port",
        "envoy.config.core.v3.HealthCheck.event_logger",
        "envoy.config.core.v3.HealthCheck.event_service",
        "envoy.config.core.v3.HealthCheck.always_log_health_check_success",
        "envoy.config.core.v3.HealthCheck.TcpHealthCheck.proxy_protocol_config",
        "envoy.config.cluster.v3.Cluster.CommonLbConfig.consistent_hashing_lb_config",
        "envoy.config.cluster.v3.Cluster.RingHashLbConfig.hash_function",
        "envoy.config.core.v3.UpstreamHttpProtocolOptions.override_auto_sni_header",
        "envoy.extensions.transport_sockets.tls.v3.CertificateValidationContext.crl",
        // Secrets of an SDS server on a socket have one; TLS contexts with one are refused.
        "envoy.extensions.transport_sockets.tls.v3.CertificateValidationContext.custom_validator_config",
        "envoy.extensions.filters.http.ext_authz.v3.ExtAuthz.filter_enabled",
        "envoy.extensions.filters.http.ext_authz.v3.ExtAuthz.deny_at_disable",
        "envoy.extensions.filters.http.ratelimit.v3.RateLimit.request_type",
        "stats.PluginConfig.definitions",
        "stats.MetricConfig.match",
        "envoy.extensions.filters.network.local_ratelimit.v3.LocalRateLimit.share_key",
        "envoy.config.listener.v3.UdpListenerConfig.quic_options",
        "envoy.extensions.filters.udp.udp_proxy.v3.UdpProxyConfig.use_original_src_ip",
        "envoy.extensions.filters.udp.udp_proxy.v3.UdpProxyConfig.use_per_packet_load_balancing",
        "envoy.extensions.filters.udp.udp_proxy.v3.UdpProxyConfig.access_log",
        "envoy.extensions.filters.udp.udp_proxy.v3.UdpProxyConfig.proxy_access_log",
    ];

    /// <summary>Fields without content: that they are set is all that the proxy looks at.</summary>
    private static readonly HashSet<string> Markers =
    [
        "envoy.config.route.v3.RateLimit.Action.source_cluster",
        "envoy.config.route.v3.RateLimit.Action.destination_cluster",
        "envoy.config.route.v3.RateLimit.Action.remote_address",
        "envoy.config.listener.v3.ListenerFilterChainMatchPredicate.any_match",
        "envoy.config.rbac.v3.Permission.any",
        "envoy.config.rbac.v3.Principal.any",
        "envoy.config.route.v3.RouteAction.HashPolicy.connection_properties",
        "envoy.config.route.v3.RouteAction.HashPolicy.ConnectionProperties.source_ip",
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions.ExplicitHttpConfig.http_protocol_options",
    ];

    /// <summary>Fields that the proxy splits off by their numbers, before it reads the rest.</summary>
    private static readonly HashSet<string> Split = ["envoy.config.route.v3.RouteConfiguration.virtual_hosts"];

    /// <summary>Fields that people write and that change nothing here: proxies have no runtime, speak only v3, and get everything by ADS.</summary>
    private static readonly HashSet<string> Idle =
    [
        "envoy.config.core.v3.RuntimeFractionalPercent.runtime_key",
        "envoy.config.core.v3.RuntimeDouble.runtime_key",
        "envoy.config.core.v3.RuntimeUInt32.runtime_key",
        "envoy.config.core.v3.RuntimeFeatureFlag.runtime_key",
        "envoy.config.ratelimit.v3.RateLimitServiceConfig.transport_api_version",
        "envoy.extensions.filters.http.ext_authz.v3.ExtAuthz.transport_api_version",
        "envoy.extensions.filters.network.ext_authz.v3.ExtAuthz.transport_api_version",
        "envoy.config.route.v3.RouteConfiguration.validate_clusters",
    ];

    /// <summary>Types of typed configuration that the proxy knows by name. They have no fields that it reads.</summary>
    private static readonly MessageDescriptor[] Named = [Isthmus.Wire.Envoy.Retries.PreviousHostsPredicate.Descriptor];

    /// <summary>Types of filters that the proxy takes from a control plane, and that change nothing where people write them.</summary>
    private static readonly MessageDescriptor[] Ignored = [Isthmus.Wire.Envoy.HttpFilters.GrpcWeb.Descriptor, MongoProxy.Descriptor,
        Isthmus.Wire.Istio.MetadataExchange.Descriptor];

    /// <summary>Types that the agent reads for its Envoy, and the proxy does not know.</summary>
    private static readonly MessageDescriptor[] OfEnvoys = [Isthmus.Wire.Envoy.HttpFilters.Wasm.Descriptor, Wasm.Descriptor];

    internal static string Print()
    {
        using var file = new PEReader(File.OpenRead(typeof(DataPlane).Assembly.Location));
        var code = file.GetMetadataReader();
        var read = Getters(code);
        HashSet<MessageDescriptor> typed = [.. Unpacked(code).Except([.. Ignored, .. OfEnvoys]), .. Named];
        var page = new StringBuilder(
            "# Fields of Envoy's messages that the proxy honours; @ marks types of typed configuration, and ? fields that have no effect. A test writes this "
                + "file: ./test --accept\n");
        foreach (var type in Reachable([.. Roots, .. typed]).OrderBy(type => type.FullName, StringComparer.Ordinal))
        {
            var fields = type.Fields.InDeclarationOrder()
                .Where(field => !Refused.Contains(field.FullName)
                    && (IsWithoutGetter(field.FullName) || read.Contains((type.ClrType.FullName!, field.PropertyName))));
            var names = string.Join(' ', fields.Select(field => Idle.Contains(field.FullName) ? $"{field.Name}?" : field.Name).Order(StringComparer.Ordinal));
            if (names.Length > 0 || typed.Contains(type))
                page.Append(typed.Contains(type) ? "@" : "").Append(type.FullName).Append(names.Length > 0 ? ": " : ":").Append(names).Append('\n');
        }
        return page.ToString();
    }

    private static bool IsWithoutGetter(string field) => Markers.Contains(field) || Split.Contains(field) || Idle.Contains(field);

    /// <summary>Exceptions that name no field would hide a mistake.</summary>
    internal static IEnumerable<string> Exceptions => [.. Refused, .. Markers, .. Split, .. Idle];

    internal static IEnumerable<MessageDescriptor> All => WireTypes.Files.SelectMany(file => file.MessageTypes).SelectMany(WithNested);

    private static IEnumerable<MessageDescriptor> WithNested(MessageDescriptor type) => [type, .. type.NestedTypes.SelectMany(WithNested)];

    private static HashSet<MessageDescriptor> Reachable(IEnumerable<MessageDescriptor> from)
    {
        var found = new HashSet<MessageDescriptor>();
        var open = new Stack<MessageDescriptor>(from);
        while (open.TryPop(out var type))
        {
            if (type.File.Package == "google.protobuf" || !found.Add(type)) continue;
            foreach (var field in type.Fields.InDeclarationOrder().Where(field => field.FieldType == FieldType.Message))
                open.Push(field.IsMap
                    ? field.MessageType.FindFieldByNumber(2) is { FieldType: FieldType.Message } value ? value.MessageType : type
                    : field.MessageType);
        }
        return found;
    }

    private static HashSet<(string Type, string Property)> Getters(MetadataReader code) =>
    [
        .. code.MemberReferences.Select(code.GetMemberReference)
            .Where(member => member.Parent.Kind == HandleKind.TypeReference && code.GetString(member.Name).StartsWith("get_", StringComparison.Ordinal))
            .Select(member => (NameOf(code, (TypeReferenceHandle)member.Parent), code.GetString(member.Name)[4..])),
    ];

    /// <summary>The types that the proxy unpacks from typed configuration.</summary>
    private static HashSet<MessageDescriptor> Unpacked(MetadataReader code)
    {
        var byName = All.Where(type => type.ClrType is not null).ToDictionary(type => type.ClrType.FullName!, StringComparer.Ordinal);
        var found = new HashSet<MessageDescriptor>();
        for (var row = 1; row <= code.GetTableRowCount(TableIndex.MethodSpec); row++)
        {
            var method = code.GetMethodSpecification(MetadataTokens.MethodSpecificationHandle(row));
            if (!Readers.Contains(MethodOf(code, method.Method))) continue;
            var signature = code.GetBlobReader(method.Signature);
            // An instantiation of a method with one class as its argument.
            if (signature.ReadByte() != 0x0A || signature.ReadCompressedInteger() != 1 || signature.ReadByte() != 0x12) continue;
            if (signature.ReadTypeHandle() is { Kind: HandleKind.TypeReference } type
                && byName.TryGetValue(NameOf(code, (TypeReferenceHandle)type), out var message))
                found.Add(message);
        }
        return found;
    }

    /// <summary>The name of a generic method, of this project or another.</summary>
    private static string MethodOf(MetadataReader code, EntityHandle method) => code.GetString(method.Kind == HandleKind.MemberReference
        ? code.GetMemberReference((MemberReferenceHandle)method).Name : code.GetMethodDefinition((MethodDefinitionHandle)method).Name);

    private static string NameOf(MetadataReader code, TypeReferenceHandle handle)
    {
        var type = code.GetTypeReference(handle);
        var name = code.GetString(type.Name);
        if (type.ResolutionScope.Kind == HandleKind.TypeReference) return $"{NameOf(code, (TypeReferenceHandle)type.ResolutionScope)}+{name}";
        var space = code.GetString(type.Namespace);
        return space.Length == 0 ? name : $"{space}.{name}";
    }
}

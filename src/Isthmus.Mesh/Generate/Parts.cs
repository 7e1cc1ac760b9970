using System.Globalization;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Mesh.Model;
using Isthmus.Wire;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.AccessLoggers;
using Isthmus.Wire.Envoy.NetworkFilters;
using Envoy = Isthmus.Wire.Envoy;

namespace Isthmus.Mesh.Generate;

/// <summary>Small pieces that many resources share. Shared messages are never modified.</summary>
internal static class Parts
{
    /// <summary>Istio's default access log format.</summary>
    public const string DefaultLogFormat =
        "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" %RESPONSE_CODE% %RESPONSE_FLAGS% " +
        "%RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% \"%UPSTREAM_TRANSPORT_FAILURE_REASON%\" %BYTES_RECEIVED% %BYTES_SENT% " +
        "%DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% \"%REQ(X-FORWARDED-FOR)%\" \"%REQ(USER-AGENT)%\" \"%REQ(X-REQUEST-ID)%\" " +
        "\"%REQ(:AUTHORITY)%\" \"%UPSTREAM_HOST%\" %UPSTREAM_CLUSTER% %UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% " +
        "%DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%\n";

    public static readonly Duration Zero = new();

    public static readonly ConfigSource Ads = new() { Ads = new(), InitialFetchTimeout = Zero, ResourceApiVersion = ApiVersion.V3 };

    /// <summary>Secrets come from the proxy's own agent.</summary>
    public static readonly ConfigSource Agent = new()
    {
        ApiConfigSource = new()
        {
            ApiType = ApiConfigSource.Types.ApiType.Grpc,
            TransportApiVersion = ApiVersion.V3,
            GrpcServices = { new GrpcService { EnvoyGrpc = new() { ClusterName = "sds-grpc" } } },
            SetNodeOnFirstMessageOnly = true,
        },
        InitialFetchTimeout = Zero,
        ResourceApiVersion = ApiVersion.V3,
    };

    public static Any Pack(IMessage message) => TypeNames.Pack(message);

    public static Duration Duration(TimeSpan span) => Google.Protobuf.WellKnownTypes.Duration.FromTimeSpan(span);

    public static Address Address(string address, int port)
    {
        const string unix = "unix://";
        return address.StartsWith(unix, StringComparison.Ordinal)
            ? new() { Pipe = new() { Path = address[unix.Length..] } }
            : new() { SocketAddress = new() { Address = address, PortValue = (uint)port } };
    }

    public static Envoy.Locality Locality(Model.Locality locality) =>
        new() { Region = locality.Region ?? "", Zone = locality.Zone ?? "", SubZone = locality.Subzone ?? "" };

    public static Envoy.Metadata Metadata(params ReadOnlySpan<(string Filter, Struct Fields)> filters)
    {
        var metadata = new Envoy.Metadata();
        foreach (var (filter, fields) in filters) metadata.FilterMetadata[filter] = fields;
        return metadata;
    }

    public static Struct Fields(params ReadOnlySpan<(string Name, Value Value)> fields)
    {
        var made = new Struct();
        foreach (var (name, value) in fields) made.Fields[name] = value;
        return made;
    }

    /// <summary>The metadata by which a resource names the object that configured it.</summary>
    public static Value ConfigPath(ObjectRef source, string kind) =>
        Value.ForString($"/apis/networking.istio.io/v1alpha3/namespaces/{source.Namespace}/{kind}/{source.Name}");

    public static FractionalPercent PerMillion(double percent) =>
        new() { Numerator = (uint)Math.Round(percent * 10_000), Denominator = FractionalPercent.Types.DenominatorType.Million };

    public static AccessLog? AccessLog(MeshConfig mesh, bool onlyUnmatched = false)
    {
        if (mesh.AccessLogFile.Length == 0 || (onlyUnmatched && mesh.DisableListenerLog)) return null;
        var log = new AccessLog
        {
            Name = "envoy.access_loggers.file",
            TypedConfig = Pack(new FileAccessLog { Path = mesh.AccessLogFile, LogFormat = LogFormat(mesh) }),
        };
        if (onlyUnmatched) log.Filter = new() { ResponseFlagFilter = new() { Flags = { "NR" } } };
        return log;
    }

    private static SubstitutionFormatString LogFormat(MeshConfig mesh)
    {
        if (mesh.AccessLogJson && JsonFormat(mesh.AccessLogFormat) is { } json) return new() { JsonFormat = json };
        return new() { TextFormatSource = new() { InlineString = mesh.AccessLogFormat.Length > 0 && !mesh.AccessLogJson ? mesh.AccessLogFormat : DefaultLogFormat } };
    }

    /// <summary>The format as a JSON object; null when it is not one, and then the default text format applies.</summary>
    private static Struct? JsonFormat(string format)
    {
        if (format.Length == 0) return DefaultJsonFormat();
        try
        {
            return Struct.Parser.ParseJson(format);
        }
        catch (InvalidProtocolBufferException)
        {
            return null;
        }
    }

    private static Struct DefaultJsonFormat() => Fields(
        ("start_time", Value.ForString("%START_TIME%")),
        ("method", Value.ForString("%REQ(:METHOD)%")),
        ("path", Value.ForString("%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%")),
        ("protocol", Value.ForString("%PROTOCOL%")),
        ("response_code", Value.ForString("%RESPONSE_CODE%")),
        ("response_flags", Value.ForString("%RESPONSE_FLAGS%")),
        ("response_code_details", Value.ForString("%RESPONSE_CODE_DETAILS%")),
        ("connection_termination_details", Value.ForString("%CONNECTION_TERMINATION_DETAILS%")),
        ("upstream_transport_failure_reason", Value.ForString("%UPSTREAM_TRANSPORT_FAILURE_REASON%")),
        ("bytes_received", Value.ForString("%BYTES_RECEIVED%")),
        ("bytes_sent", Value.ForString("%BYTES_SENT%")),
        ("duration", Value.ForString("%DURATION%")),
        ("upstream_service_time", Value.ForString("%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%")),
        ("x_forwarded_for", Value.ForString("%REQ(X-FORWARDED-FOR)%")),
        ("user_agent", Value.ForString("%REQ(USER-AGENT)%")),
        ("request_id", Value.ForString("%REQ(X-REQUEST-ID)%")),
        ("authority", Value.ForString("%REQ(:AUTHORITY)%")),
        ("upstream_host", Value.ForString("%UPSTREAM_HOST%")),
        ("upstream_cluster", Value.ForString("%UPSTREAM_CLUSTER%")),
        ("upstream_local_address", Value.ForString("%UPSTREAM_LOCAL_ADDRESS%")),
        ("downstream_local_address", Value.ForString("%DOWNSTREAM_LOCAL_ADDRESS%")),
        ("downstream_remote_address", Value.ForString("%DOWNSTREAM_REMOTE_ADDRESS%")),
        ("requested_server_name", Value.ForString("%REQUESTED_SERVER_NAME%")),
        ("route_name", Value.ForString("%ROUTE_NAME%")));

    /// <param name="logConnected">Log a connection when it is established, as well as when it ends.</param>
    public static Envoy.Listeners.Filter TcpProxy(string cluster, MeshConfig mesh, bool log = true, string? statPrefix = null, bool logConnected = false)
    {
        var proxy = new TcpProxy { StatPrefix = statPrefix ?? cluster, Cluster = cluster };
        if (logConnected && mesh.AccessLogFile.Length > 0) proxy.AccessLogOptions = new() { FlushAccessLogOnConnected = true };
        if (log && AccessLog(mesh) is { } accessLog) proxy.AccessLog.Add(accessLog);
        return TcpFilter(proxy);
    }

    public static Envoy.Listeners.Filter TcpFilter(TcpProxy proxy) => new() { Name = "envoy.filters.network.tcp_proxy", TypedConfig = Pack(proxy) };

    private const string ExchangeFilter = "istio.metadata_exchange";

    private static readonly Google.Protobuf.WellKnownTypes.Any Exchange = Pack(new Wire.Istio.MetadataExchange { Protocol = Wire.Tls.Alpn.IstioPeerExchange });

    /// <summary>Speaks <c>istio-peer-exchange</c> with clients.</summary>
    public static Envoy.Listeners.Filter ServerExchange => new() { Name = ExchangeFilter, TypedConfig = Exchange };

    /// <summary>Speaks <c>istio-peer-exchange</c> with servers.</summary>
    public static Envoy.Clusters.Filter ClientExchange => new() { Name = ExchangeFilter, TypedConfig = Exchange };

    public static Envoy.Listeners.Filter Mongo(string statPrefix) => new() { Name = "envoy.filters.network.mongo_proxy", TypedConfig = Pack(new MongoProxy { StatPrefix = statPrefix }) };
}

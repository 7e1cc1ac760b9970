using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Mesh.Model;
using Isthmus.Wire;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.NetworkFilters;
using Envoy = Isthmus.Wire.Envoy;

namespace Isthmus.Mesh.Generate;

/// <summary>Small pieces that many resources share. Shared messages are never modified.</summary>
internal static class Parts
{
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

    public static Address Address(EndpointAddress address, int port) => address.UnixPath is { } path
        ? new() { Pipe = new() { Path = path } }
        : new() { SocketAddress = new() { Address = address.ToString(), PortValue = (uint)port } };

    public static CidrRange Range(Core.Net.AddressOrRange range) => new() { AddressPrefix = range.Address.ToString(), PrefixLen = (uint)range.FixedBits };

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

    /// <summary>The object that declares routes.</summary>
    public static Value ConfigPath(ObjectRef source) => source.Kind switch
    {
        // Istio makes VirtualServices of Ingress objects.
        "VirtualService" or "Ingress" => ConfigPath(source, "virtual-service"),
        _ => Value.ForString($"/apis/gateway.networking.k8s.io/v1/namespaces/{source.Namespace}/{source.Kind}/{source.Name}"),
    };

    public static FractionalPercent PerMillion(double percent) =>
        new() { Numerator = (uint)Math.Round(percent * 10_000), Denominator = FractionalPercent.Types.DenominatorType.Million };

    /// <param name="logConnected">Log a connection when it is established, as well as when it ends.</param>
    public static Envoy.Listeners.Filter TcpProxy(string cluster, MeshConfig mesh, bool log = true, string? statPrefix = null, bool logConnected = false,
        TimeSpan? idleTimeout = null)
    {
        var proxy = new TcpProxy { StatPrefix = statPrefix ?? cluster, Cluster = cluster };
        if (logConnected && !mesh.Logs.IsEmpty) proxy.AccessLogOptions = new() { FlushAccessLogOnConnected = true };
        if (idleTimeout is { } idle) proxy.IdleTimeout = Duration(idle);
        if (log) proxy.AccessLog.AddRange(AccessLogs.Of(mesh));
        return TcpFilter(proxy);
    }

    public static Envoy.Listeners.Filter TcpFilter(TcpProxy proxy) => new() { Name = "envoy.filters.network.tcp_proxy", TypedConfig = Pack(proxy) };

    private const string ExchangeFilter = "istio.metadata_exchange";

    private static readonly Google.Protobuf.WellKnownTypes.Any Exchange = Pack(new Wire.Istio.MetadataExchange { Protocol = Wire.Tls.Alpn.IstioPeerExchange });

    /// <summary>Speaks <c>istio-peer-exchange</c> with clients.</summary>
    public static Envoy.Listeners.Filter ServerExchange => new() { Name = ExchangeFilter, TypedConfig = Exchange };

    /// <summary>Speaks <c>istio-peer-exchange</c> with servers.</summary>
    public static Envoy.Clusters.Filter ClientExchange => new() { Name = ExchangeFilter, TypedConfig = Exchange };

    public static Envoy.Listeners.Filter Mongo(string statPrefix) =>
        new() { Name = "envoy.filters.network.mongo_proxy", TypedConfig = Pack(new MongoProxy { StatPrefix = statPrefix }) };
}

using System.Text;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Isthmus.ControlPlane.Push;
using Isthmus.Mesh.Model;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.Dumps;
using Isthmus.Wire.Grpc;
using Isthmus.Wire.Xds;

namespace Isthmus.ControlPlane.Debug;

/// <summary>The debug pages as resources of discovery, as istiod serves them on 15012 for <c>istioctl x</c>.</summary>
public sealed class XdsDebugAnswers(PushEngine engine, DebugEndpoints pages) : IXdsDebug
{
    private static readonly string[] Types = [TypeUrls.Cluster, TypeUrls.Listener, TypeUrls.Endpoints, TypeUrls.Route, TypeUrls.ExtensionConfig];

    public async ValueTask<IReadOnlyList<Any>> AnswerAsync(GrpcCall call, string typeUrl, IReadOnlyList<string> names, CancellationToken stop) => typeUrl switch
    {
        TypeUrls.Debug when names is [var page] => [new Any
        {
            TypeUrl = TypeUrls.Debug, Value = ByteString.CopyFrom(await pages.ReadAsync(page, stop), Encoding.UTF8)
        }],
        TypeUrls.Debug => throw new GrpcException(GrpcCode.InvalidArgument, names.Count == 0 ? "debug type is required" : "only one debug request is allowed"),
        TypeUrls.Connect or TypeUrls.Connections => [.. engine.Proxies.Select(feed => ConfigDumpPage.Pack(NodeOf(feed.Proxy)))],
        TypeUrls.DebugSync => [.. engine.Proxies.Where(feed => names.Count == 0 || names.Contains(feed.Proxy.Id))
            .Select(feed => ConfigDumpPage.Pack(SyncOf(feed.Status)))],
        TypeUrls.DebugConfigDump when names is [var id] => engine.Proxies.FirstOrDefault(feed => feed.Proxy.Id == id) is { } found
            ? [.. ConfigDumpPage.Sections(found)]
            : [],
        _ => [],
    };

    private static Node NodeOf(ProxyIdentity proxy) => new()
    {
        Id = $"{(proxy.Kind == ProxyKind.Router ? "router" : "sidecar")}~{proxy.Addresses[0]}~{proxy.Id}~{proxy.Domain}", Metadata = MetadataOf(proxy),
    };

    private static ClientConfig SyncOf(ProxyStatus status)
    {
        var answer = new ClientConfig { Node = new() { Id = status.Proxy.Id, Metadata = MetadataOf(status.Proxy) } };
        foreach (var url in Types)
        {
            var type = status.Types.FirstOrDefault(type => type.TypeUrl == url);
            answer.GenericXdsConfigs.Add(new ClientConfig.Types.GenericXdsConfig
            {
                TypeUrl = url,
                ConfigStatus = type is null || type.Sent.Length == 0
                    ? ConfigStatus.NotSent
                    : type.Error.Length > 0
                    ? ConfigStatus.Error
                    : type.Sent == type.Acked
                    ? ConfigStatus.Synced
                    : ConfigStatus.Stale,
            });
        }
        return answer;
    }

    /// <summary>What istioctl reads of it; a node without a ProxyConfig does not count as a proxy there.</summary>
    private static Struct MetadataOf(ProxyIdentity proxy) => new()
    {
        Fields =
        {
            ["CLUSTER_ID"] = Value.ForString(proxy.Cluster), ["NAMESPACE"] = Value.ForString(proxy.Namespace),
            ["ISTIO_VERSION"] = Value.ForString(proxy.Version),
            ["PROXY_CONFIG"] = Value.ForStruct(new()),
        },
    };
}

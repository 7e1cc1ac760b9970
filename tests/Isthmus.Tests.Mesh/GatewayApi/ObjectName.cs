using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Tests.Mesh.GatewayApi;

/// <summary>An object of a case: <c>KIND [NAMESPACE/]NAME</c>, in the namespace <c>front</c> unless it names another one. A name that ends in
/// <c>…</c> is as long as names can be.</summary>
internal sealed record ObjectName(ResourceKind Kind, string? Namespace, string Name)
{
    internal const string Front = "front";

    private const int Longest = 253;

    private static readonly ResourceKind[] OfApi =
    [
        Api("GatewayClass", "gatewayclasses", false), Api("Gateway", "gateways"), Api("ListenerSet", "listenersets"), Api("HTTPRoute", "httproutes"),
        Api("GRPCRoute", "grpcroutes"), Api("TLSRoute", "tlsroutes"), Api("TCPRoute", "tcproutes"), Api("UDPRoute", "udproutes"),
        Api("ReferenceGrant", "referencegrants"), Api("BackendTLSPolicy", "backendtlspolicies"),
        new("certificates.k8s.io", "v1beta1", "ClusterTrustBundle", "clustertrustbundles", false),
    ];

    internal static ObjectName Read(string text)
    {
        var (word, name) = text.Split(' ') is [var first, var rest] ? (first, rest) : throw new FormatException($"not KIND [NAMESPACE/]NAME: {text}");
        var kind = OfApi.Concat(Kinds.All).FirstOrDefault(known => known.Kind == word) ?? throw new FormatException($"unknown kind: {word}");
        var parts = name.Split('/');
        if (parts[^1].EndsWith('…')) parts[^1] = parts[^1].TrimEnd('…').PadRight(Longest, 'a');
        return new(kind, kind.Namespaced ? parts.Length > 1 ? parts[0] : Front : null, parts[^1]);
    }

    /// <summary>The object of this name. Its text is its <c>spec</c>, unless it has a <c>spec</c> or <c>data</c> of its own.</summary>
    internal JsonObject Build(JsonNode? text)
    {
        var given = text?.DeepClone() as JsonObject ?? [];
        var isWhole = given.Any(field => field.Key is "spec" or "metadata" or "data" or "stringData") || given.Count == 0;
        var built = isWhole ? given : new JsonObject { ["spec"] = given };
        (built["apiVersion"], built["kind"]) = (Kind.ApiVersion, Kind.Kind);
        var metadata = built["metadata"] as JsonObject;
        if (metadata is null) built["metadata"] = metadata = [];
        metadata["name"] = Name;
        if (Namespace is not null) metadata["namespace"] = Namespace;
        return built;
    }

    internal static ObjectName Of(JsonObject built)
    {
        var metadata = built["metadata"]!;
        return Read($"{built["kind"]} {metadata["namespace"] ?? "none"}/{metadata["name"]}");
    }

    public override string ToString() => $"{Kind.Kind} {(Namespace is null or Front ? "" : $"{Namespace}/")}{Name}";

    private static ResourceKind Api(string kind, string plural, bool namespaced = true) => new("gateway.networking.k8s.io", "v1", kind, plural, namespaced);
}

using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;

namespace Isthmus.Mesh.Config.GatewayApi;

/// <summary>Reads routes of all kinds: what they attach to, and their rules.</summary>
public static class ApiRouteReader
{
    /// <param name="kind">The kind of the route.</param>
    /// <param name="cluster">The cluster that it is in.</param>
    public static ApiRoute Read(KindDescriptor kind, string cluster, JsonObject route)
    {
        var item = ApiItem.Of(kind, cluster, route);
        var (spec, ns) = (item.Spec, item.Namespace);
        return new(
            item.Source,
            spec["parentRefs"].Items.Select(parent => References.Parent(parent, ns)).ToValueList(),
            spec["hostnames"].Texts,
            spec["rules"].Items.Select(rule => Rule(kind, rule, ns)).ToValueList(),
            item.Generation, item.CreatedAt);
    }

    private static ApiRule Rule(KindDescriptor kind, Field rule, string ns) => new(
        rule["name"].Text,
        kind == MeshApi.HttpRoute ? rule["matches"].Items.Select(ApiMatchReader.Http).ToValueList()
        : kind == MeshApi.GrpcRoute ? rule["matches"].Items.Select(ApiMatchReader.Grpc).ToValueList() : default,
        rule["backendRefs"].Items.Select(backend => Backend(backend, ns)).ToValueList(),
        RouteFilters.None,
        default);

    private static ApiBackend Backend(Field backend, string ns) =>
        new(References.Backend(backend, ns), Math.Max(0, backend["weight"].Int ?? 1), RouteFilters.None);
}

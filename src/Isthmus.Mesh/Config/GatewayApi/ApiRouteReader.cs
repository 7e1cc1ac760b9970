using System.Globalization;
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
            spec["rules"].Items.Select((rule, place) => ApiRuleReader.Read(kind, rule, ns,
                string.Create(CultureInfo.InvariantCulture, $"{item.Source.Kind}/{ns}/{item.Source.Name}/{place}"))).ToValueList(),
            item.Generation, item.CreatedAt);
    }
}

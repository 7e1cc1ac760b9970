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
            spec["rules"].Items.Select(rule =>
                ApiRuleReader.Read(kind, rule, ns, $"{item.Source.Kind}/{ns}/{item.Source.Name}/{IdentityOf(rule)}")).ToValueList(),
            item.Generation, item.CreatedAt);
    }

    /// <summary>What a rule keeps when others come before it: its name, or else what it matches. Of two that match the same, only the first one gets
    /// requests.</summary>
    private static string IdentityOf(Field rule) => rule["name"].Text is { Length: > 0 } name ? name : rule["matches"].Node?.ToJsonString() ?? "";
}

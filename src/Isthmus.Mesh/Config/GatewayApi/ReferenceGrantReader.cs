using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Mesh.Model.GatewayApi;

namespace Isthmus.Mesh.Config.GatewayApi;

/// <summary>Reads ReferenceGrants. What lacks a kind or namespace grants nothing: nothing has the empty name.</summary>
public static class ReferenceGrantReader
{
    public static ReferenceGrant Read(string cluster, JsonObject grant)
    {
        var item = ApiItem.Of(MeshApi.ReferenceGrant, cluster, grant);
        return new(
            item.Source,
            item.Spec["from"].Items.Select(from => new GrantFrom(from["group"].Text, from["kind"].Text, from["namespace"].Text)).ToValueList(),
            item.Spec["to"].Items.Where(to => NamesAll(to["name"]) || to["name"].Text.Length > 0)
                .Select(to => new GrantTo(to["group"].Text, to["kind"].Text, to["name"].Text)).ToValueList());
    }

    /// <summary>A name of another type is not the absence of one.</summary>
    private static bool NamesAll(Field name) => !name.Exists || (name.Text.Length == 0 && name.Node!.GetValueKind() == System.Text.Json.JsonValueKind.String);
}

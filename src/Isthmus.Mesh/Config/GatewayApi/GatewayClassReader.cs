using System.Text.Json.Nodes;
using Isthmus.Mesh.Model.GatewayApi;

namespace Isthmus.Mesh.Config.GatewayApi;

/// <summary>Reads GatewayClasses.</summary>
public static class GatewayClassReader
{
    public static GatewayClass Read(string cluster, JsonObject gatewayClass)
    {
        var item = ApiItem.Of(MeshApi.GatewayClass, cluster, gatewayClass);
        return new(item.Source, item.Spec["controllerName"].Text, item.Generation) { Parameters = References.Optional(item.Spec["parametersRef"], "") };
    }
}

using System.Text.Json.Nodes;
using Isthmus.Mesh.Model.GatewayApi;

namespace Isthmus.Mesh.Config.GatewayApi;

/// <summary>Reads XMeshes.</summary>
public static class ApiMeshReader
{
    public static ApiMesh Read(string cluster, JsonObject mesh)
    {
        var item = ApiItem.Of(MeshApi.ApiMesh, cluster, mesh);
        return new(item.Source, item.Spec["controllerName"].Text, item.Spec["parametersRef"].Exists, item.Generation);
    }
}

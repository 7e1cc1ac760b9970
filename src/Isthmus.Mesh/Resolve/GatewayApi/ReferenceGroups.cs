using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model.GatewayApi;

namespace Isthmus.Mesh.Resolve.GatewayApi;

/// <summary>Groups that were written in references by mistake: those that a reference has by default, and those of other products.</summary>
public static class ReferenceGroups
{
    /// <summary>The group that a reference most likely means instead of its own; null: its own, or the kind is not one of ours.</summary>
    public static string? Meant(ApiReference reference)
    {
        var (right, isWrong) = reference.Kind switch
        {
            "Service" => ("", reference.Group is "core" or "v1" || reference.Group == MeshApi.ApiGateway.Group),
            "ServiceEntry" => (MeshApi.ServiceEntry.Group, reference.Group is "" || reference.Group == MeshApi.ApiGateway.Group),
            "ServiceImport" => (MeshApi.ServiceImport.Group, reference.Group != MeshApi.ServiceImport.Group),
            _ => ("", false),
        };
        return isWrong ? right : null;
    }
}

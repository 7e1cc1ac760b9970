using Isthmus.Core.Collections;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;

namespace Isthmus.Mesh.Resolve.GatewayApi;

/// <summary>Which references to other namespaces are permitted.</summary>
public static class ReferenceGrants
{
    /// <param name="from">The object that has the reference; its kind is one of the Gateway API.</param>
    /// <param name="to">What it refers to.</param>
    /// <param name="grants">The grants of the namespace that it refers to.</param>
    public static bool Permit(ObjectRef from, ApiReference to, ValueList<ReferenceGrant> grants) =>
        to.Namespace == from.Namespace || grants.Any(grant => grant.Namespace == to.Namespace
            && grant.From.Any(source => source.Group == MeshApi.ApiGateway.Group && source.Kind == KindOf(from) && source.Namespace == from.Namespace)
            && grant.To.Any(target => target.Group == to.Group && target.Kind == to.Kind && (target.Name.Length == 0 || target.Name == to.Name)));

    /// <summary>The kind without the group that a <see cref="KindDescriptor.Name"/> may have.</summary>
    private static string KindOf(ObjectRef source) => source.Kind.Split('.', 2)[0];
}

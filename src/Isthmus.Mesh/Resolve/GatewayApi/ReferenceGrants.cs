using Isthmus.Core.Collections;
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
            && grant.From.Any(source => source.Group == "gateway.networking.k8s.io" && source.Kind == from.Kind && source.Namespace == from.Namespace)
            && grant.To.Any(target => target.Group == to.Group && target.Kind == to.Kind && (target.Name.Length == 0 || target.Name == to.Name)));
}

using Isthmus.ControlPlane.Derive;
using Isthmus.ControlPlane.History;
using Isthmus.Core.Live;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;

namespace Isthmus.ControlPlane.Intake;

/// <summary>RequestAuthentications: the tokens that workloads accept.</summary>
public sealed class RequestAuthenticationKind() : IstioObjectKind<RequestAuthentication>(MeshApi.RequestAuthentication)
{
    internal override void Collect(MeshGraph mesh, MeshChanges changes)
    {
        CollectPolicies(mesh, changes, mesh.TokensByNamespace.Changed);
        // A changed service may be the one that serves an issuer's keys.
        changes.Proxies.All |= mesh.Sources.RequestAuthentications.Items.Count > 0
            && (mesh.Services.Changed.Count > 0 || mesh.Sources.IssuerKeys.Changed.Count > 0);
    }

    internal override Source<ObjectKey, RequestAuthentication> SourceIn(MeshSources sources) => sources.RequestAuthentications;

    internal override Reach ReachOf(RequestAuthentication value) => Reach.OfWorkloads(value.Source.Namespace, value.Selector);
}

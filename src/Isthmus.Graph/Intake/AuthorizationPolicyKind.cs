using Isthmus.Graph.Derive;
using Isthmus.Graph.History;
using Isthmus.Core.Live;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;

namespace Isthmus.Graph.Intake;

/// <summary>AuthorizationPolicies: who may call workloads.</summary>
public sealed class AuthorizationPolicyKind() : IstioObjectKind<AuthorizationPolicy>(MeshApi.AuthorizationPolicy)
{
    internal override Source<ObjectKey, AuthorizationPolicy> SourceIn(MeshSources sources) => sources.AuthorizationPolicies;

    internal override Reach ReachOf(AuthorizationPolicy value) => Reach.OfWorkloads(value.Source.Namespace, value.Selector);
}

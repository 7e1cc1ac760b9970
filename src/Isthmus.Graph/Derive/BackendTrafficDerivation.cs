using Isthmus.Core.Collections;
using Isthmus.Core.Live;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;
using Isthmus.Mesh.Resolve.GatewayApi;

namespace Isthmus.Graph.Derive;

/// <summary>Derives from XBackendTrafficPolicies how many requests callers of hosts may try again, and how their sessions stay with endpoints.</summary>
internal sealed class BackendTrafficDerivation(MeshSources sources)
{
    private readonly Live<string, ValueList<BackendTrafficPolicy>> _byHost = sources.BackendTrafficPolicies.GroupByMany(
        policy => policy.Targets.Where(BackendTlsDerivation.IsService).Select(BackendTlsDerivation.HostOf).Distinct(), "traffic policies by host");

    /// <summary>The policy that applies to a host; null if there is none.</summary>
    public BackendTrafficPolicy? Of(Reader read, MeshService service) =>
        BackendPolicies.Ordered(read.Get(_byHost, service.ExportOf.Length > 0 ? service.ExportOf : service.Hostname))
            .FirstOrDefault(policy => policy.Targets.Any(target => BackendPolicies.IsOf(target, service)));

    /// <summary>Whether a policy is for a host.</summary>
    public bool Targets(Reader read, string host) => !read.Get(_byHost, host).IsEmpty;

    /// <summary>What the status of a policy says for each ancestor.</summary>
    public ValueList<ApiCondition> ConditionsOf(Reader read, BackendTrafficPolicy policy) =>
    [
        BackendPolicies.Accepted(policy.Fault ?? BackendPolicies.Conflict(policy, policy.Targets.Where(BackendTlsDerivation.IsService)
            .SelectMany(target => read.Get(_byHost, BackendTlsDerivation.HostOf(target))).Append(policy).Distinct())),
    ];
}

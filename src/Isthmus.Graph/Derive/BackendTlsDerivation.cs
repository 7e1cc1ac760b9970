using Isthmus.Core.Collections;
using Isthmus.Core.Live;
using Isthmus.Core.Names;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;
using Isthmus.Mesh.Resolve.GatewayApi;

namespace Isthmus.Graph.Derive;

/// <summary>Derives how callers use TLS with hosts from BackendTLSPolicies and the CAs that they name.</summary>
internal sealed class BackendTlsDerivation
{
    private readonly MeshSources _sources;
    private readonly Live<string, ValueList<BackendTlsPolicy>> _byHost;

    public BackendTlsDerivation(MeshSources sources)
    {
        _sources = sources;
        _byHost = sources.BackendTlsPolicies.GroupByMany(policy => policy.Targets.Where(IsService).Select(HostOf).Distinct(), "TLS policies by host");
    }

    /// <summary>What applies at the ports of a host.</summary>
    public ValueList<BackendTls> Of(Reader read, MeshService service)
    {
        var policies = read.Get(_byHost, service.ExportOf.Length > 0 ? service.ExportOf : service.Hostname);
        return policies.IsEmpty ? default : BackendTlsRules.Of(service, policies, BundleOf(read, policies[0].Source.Cluster));
    }

    /// <summary>Whether a policy is for a host.</summary>
    public bool Targets(Reader read, string host) => !read.Get(_byHost, host).IsEmpty;

    /// <summary>What the status of a policy says for each ancestor.</summary>
    public ValueList<ApiCondition> ConditionsOf(Reader read, BackendTlsPolicy policy) =>
        BackendTlsRules.ConditionsOf(policy, policy.Targets.Where(IsService).SelectMany(target => read.Get(_byHost, HostOf(target))).Append(policy).Distinct(),
            BundleOf(read, policy.Source.Cluster));

    /// <summary>The host of a target.</summary>
    public static string HostOf(ApiReference target) => $"{target.Name}.{target.Namespace}.svc.{WellKnown.DefaultDomainSuffix}";

    public static bool IsService(ApiReference target) => target is { Group: "", Kind: "Service" };

    private Func<ApiReference, TlsCredential?> BundleOf(Reader read, string cluster) =>
        reference => read.Get(_sources.CaBundles, new ObjectKey(cluster, reference.Bundle.Namespace, reference.Bundle.Name));
}

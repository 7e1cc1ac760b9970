using Isthmus.Core.Collections;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;

namespace Isthmus.Explain.Tracing.Facts;

/// <summary>The external authorizer that a proxy on the way asked in vain: it said no, or nothing.</summary>
/// <param name="Seen">What that proxy recorded of the call.</param>
/// <param name="Pod">Its Pod.</param>
/// <param name="Policy">The policy that leaves the decision to the authorizer.</param>
internal sealed record AskedAuthorizer(Sighting Seen, ClusterObjects Cluster, Pod Pod, AuthorizationPolicy Policy, ExternalAuthorizer Provider)
{
    public const string Denied = "ext_authz_denied", Failed = "ext_authz_error";

    /// <summary>What an authorizer over HTTP gets in any case.</summary>
    private static readonly string[] Always = ["host", "authorization", "content-length"];

    public bool HasDenied => Seen.Details.Contains(Denied, StringComparison.Ordinal);

    /// <summary>The authorizer, as problems name it.</summary>
    public string Name => $"{Provider.Name} ({Provider.Service}:{Provider.Port})";

    /// <summary>Its host, without the namespace that may precede it.</summary>
    public string Host => Provider.Service[(Provider.Service.IndexOf('/', StringComparison.Ordinal) + 1)..];

    /// <summary>Null: no proxy asked one in vain, or it is not known which one.</summary>
    public static AskedAuthorizer? Of(TraceFacts facts)
    {
        if (facts.Sightings.All.FirstOrDefault(seen => seen.IsRequest && (seen.Details.Contains(Denied, StringComparison.Ordinal)
            || seen.Details.Contains(Failed, StringComparison.Ordinal))) is not { } seen) return null;
        var cluster = facts.Clusters.First(one => one.Context == seen.Proxy.Context);
        if (facts.PodOf(seen.Proxy) is not { } pod) return null;
        var (labels, known) = (pod.Metadata.Labels.ToValueMap(), facts.SettingsOf(cluster).Mesh.Authorizers);
        var asking = facts.ConfigOf(cluster).Istio<AuthorizationPolicy>().Where(policy => policy is { Action: PolicyAction.Custom, DryRun: false }
            && policy.AppliesTo(pod.Metadata.Namespace, facts.RootNamespace, labels) && known.ContainsKey(policy.Provider)).ToList();
        // Of several, the configuration does not show which one was asked.
        return asking.Select(policy => policy.Provider).Distinct().ToList() is [var name] ? new(seen, cluster, pod, asking[0], known[name]) : null;
    }

    /// <summary>Whether the authorizer gets a header of the request.</summary>
    public bool Gets(string header) => Provider.IsGrpc || Always.Contains(header) || Provider.RequestHeaders.Any(pattern => Covers(pattern, header));

    private static bool Covers(string pattern, string name) => pattern.Equals(name, StringComparison.OrdinalIgnoreCase)
        || (pattern.EndsWith('*') && name.StartsWith(pattern[..^1], StringComparison.OrdinalIgnoreCase))
        || (pattern.StartsWith('*') && name.EndsWith(pattern[1..], StringComparison.OrdinalIgnoreCase));
}

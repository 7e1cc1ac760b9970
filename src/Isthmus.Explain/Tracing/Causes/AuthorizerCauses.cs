using Isthmus.Core.Collections;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Mesh.Model;

namespace Isthmus.Explain.Tracing.Causes;

/// <summary>Which external authorizer denied a call, and what of the request it got to decide by.</summary>
internal sealed class AuthorizerCauses(TraceFacts facts)
{
    private const string Told = "ext_authz_denied";

    /// <summary>What an authorizer over HTTP gets in any case.</summary>
    private static readonly string[] Always = ["host", "authorization", "content-length"];

    /// <summary>Null: no authorizer denied it, or it is not known which.</summary>
    public Problem? Denied(MadeCall call)
    {
        if (facts.Sightings.All.FirstOrDefault(seen => seen.IsRequest && seen.Details.Contains(Told, StringComparison.Ordinal)) is not { } seen) return null;
        var cluster = facts.Clusters.First(one => one.Context == seen.Proxy.Context);
        if (cluster.Pods.FirstOrDefault(pod => PodRef.Of(cluster, pod) == seen.Proxy) is not { } pod) return null;
        var (config, labels) = (facts.ConfigOf(cluster), pod.Metadata.Labels.ToValueMap());
        var known = facts.SettingsOf(cluster).Mesh.Authorizers;
        var asking = config.Istio<AuthorizationPolicy>().Where(policy => policy is { Action: PolicyAction.Custom, DryRun: false }
            && policy.AppliesTo(pod.Metadata.Namespace, facts.RootNamespace, labels) && known.ContainsKey(policy.Provider)).ToList();
        // Of several, the configuration does not show which one denied.
        if (asking.Select(policy => policy.Provider).Distinct().ToList() is not [var name]) return null;
        var (policy, provider) = (asking[0], known[name]);
        var unseen = provider.IsGrpc ? [] : facts.Sent.Headers.Select(header => header.Name)
            .Where(header => !Always.Contains(header) && !provider.RequestHeaders.Any(pattern => Covers(pattern, header))).Distinct().ToList();
        var gets = unseen.Count > 0 ? $"; it does not get {string.Join(", ", unseen)} of the request, because includeRequestHeadersInCheck does not have "
            + $"{(unseen.Count == 1 ? "it" : "them")}" : "";
        return Faults.Of("ISM2094", $"AuthorizationPolicy {policy.Namespace}/{policy.Name} in {config.Context}", "spec.provider.name",
            $"leaves the decision to {name} ({provider.Service}:{provider.Port}), which denies the call at {seen.Proxy} with {call.Status} ({Told}){gets}",
            unseen.Count > 0
                ? $"add {string.Join(", ", unseen)} to includeRequestHeadersInCheck of {name}, in {TraceFacts.MeshField("extensionProviders")} of "
                    + $"{facts.MeshConfigOf(cluster)}, if it decides by that; otherwise see its log"
                : "see the log of the authorizer; " + (provider.IsGrpc ? "it gets the whole request"
                    : "it gets the headers that includeRequestHeadersInCheck has, and no others but Host and Authorization"));
    }

    private static bool Covers(string pattern, string name) => pattern.Equals(name, StringComparison.OrdinalIgnoreCase)
        || (pattern.EndsWith('*') && name.StartsWith(pattern[..^1], StringComparison.OrdinalIgnoreCase))
        || (pattern.StartsWith('*') && name.EndsWith(pattern[1..], StringComparison.OrdinalIgnoreCase));
}

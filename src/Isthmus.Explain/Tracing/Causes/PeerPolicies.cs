using Isthmus.Core.Collections;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;

namespace Isthmus.Explain.Tracing.Causes;

/// <summary>Which mutual TLS a port of a Pod takes.</summary>
internal static class PeerPolicies
{
    /// <summary>The mode of mutual TLS at a port of a Pod.</summary>
    public static MtlsMode ModeOf(TraceFacts facts, ClusterObjects cluster, Pod pod, int port) =>
        PolicyOf(facts, cluster, pod, port) is not { } policy ? MtlsMode.Unset
        : policy.Ports.GetValueOrDefault(port.ToString(System.Globalization.CultureInfo.InvariantCulture), policy.Mode);

    /// <summary>The PeerAuthentication that applies to a port of a Pod: the workload's, then the namespace's, then the
    /// mesh's.</summary>
    public static PeerAuthentication? PolicyOf(TraceFacts facts, ClusterObjects cluster, Pod pod, int port)
    {
        var at = facts.ConfigOf(cluster);
        var labels = pod.Metadata.Labels.ToValueMap();
        var all = at.Istio<PeerAuthentication>().OrderBy(policy => policy.CreatedAt).ThenBy(policy => policy.Source).ToList();
        var key = port.ToString(System.Globalization.CultureInfo.InvariantCulture);
        var local = all.Where(policy => policy.Namespace == pod.Metadata.Namespace).ToList();
        return local.FirstOrDefault(policy => policy.Selector.Count > 0 && Selectors.Matches(policy.Selector, labels)
            && (policy.Mode != MtlsMode.Unset || policy.Ports.ContainsKey(key)))
            ?? local.FirstOrDefault(policy => policy.Selector.Count == 0 && policy.Mode != MtlsMode.Unset)
            ?? all.FirstOrDefault(policy => policy.Namespace == facts.RootNamespace && policy.Selector.Count == 0 && policy.Mode != MtlsMode.Unset);
    }
}

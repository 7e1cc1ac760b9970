using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Explain.Tracing.Causes;

/// <summary>Pods that were injected for a control plane whose revision is not installed any more: their proxies keep what they had, and hear of no change.
/// </summary>
internal static class GoneRevision
{
    public const string Code = "ISM2160";

    /// <summary>Null where the control plane of a Pod is there, or another cluster runs it.</summary>
    public static Problem? Of(TraceFacts facts, PodRef name)
    {
        var cluster = facts.Clusters.First(one => one.Context == name.Context);
        if (cluster.Pods.FirstOrDefault(one => one.Metadata.Name == name.Name && one.Metadata.Namespace == name.Namespace) is not { } pod
            || ClusterObjects.Sidecar(pod) is null) return null;
        var planes = facts.ControlPlanesOf(cluster);
        var running = planes.SelectMany(plane => plane.Deployments).Select(RevisionOf).Distinct().Order(StringComparer.Ordinal).ToList();
        var revision = Named(ClusterObjects.RevisionOf(pod));
        if (running.Count == 0 || running.Contains(revision) || planes.Any(plane => plane.At != cluster)) return null;
        var asked = ClusterObjects.DiscoveryOf(pod) is { Length: > 0 } told ? told : $"{WellKnown.Istiod}.{planes[0].Namespace}.svc:{Ports.DiscoveryTls}";
        // Another revision may have taken its Service over.
        if (asked.Split(':')[0].Split('.') is not [var service, var ns, "svc", ..] || cluster.Service(ns, service) is not null) return null;
        var (kind, owner) = ServicePods.OwnerOf(pod);
        return Faults.Of(Code, name.ToString(), "",
            $"its proxy was injected by the control plane of revision {revision} and asks for its configuration at {asked}: {cluster.Context} has no Service "
                + $"{ns}/{service} any more, so the proxy keeps what it had; {string.Join(" and ", running)} runs there now",
            kind == "Pod" ? "create the Pod again, in a namespace that has the label of a revision that runs"
                : $"kubectl --context={cluster.Context} -n {name.Namespace} rollout restart {kind.ToLowerInvariant()}/{owner}, once the namespace has the "
                    + "label of a revision that runs");
    }

    private static string RevisionOf(Deployment deployment) => Named(deployment.Metadata.Labels.GetValueOrDefault(Labels.Revision, ""));

    private static string Named(string revision) => revision.Length > 0 ? revision : "default";
}

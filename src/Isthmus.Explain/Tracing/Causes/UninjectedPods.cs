using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Explain.Tracing.Causes;

/// <summary>Pods without a sidecar in namespaces that are injected: they are older than the label, or nobody injected them when they were made. Callers
/// in the same network reach them, so that no failed call shows what they lack: mutual TLS, policies, routes.</summary>
internal static class UninjectedPods
{
    private const string OfNode = "kubernetes.io/config.mirror";

    /// <summary>One of each workload, as warnings.</summary>
    /// <param name="told">The objects of which more is said already.</param>
    public static IEnumerable<Problem> In(ClusterObjects cluster, IReadOnlySet<string> told) =>
        from pod in cluster.Pods
        where cluster.Injects(pod.Metadata.Namespace) && !cluster.IsOfSystem(pod.Metadata.Namespace) && ClusterObjects.Sidecar(pod) is null && WantsOne(pod)
        group pod by (pod.Metadata.Namespace, ServicePods.OwnerOf(pod)) into alike
        where !alike.Any(pod => told.Contains(PodRef.Of(cluster, pod).ToString()))
        select Of(cluster, [.. alike]);

    private static Problem Of(ClusterObjects cluster, IReadOnlyList<Pod> pods)
    {
        var without = Sidecarless.Of(cluster, pods[0]);
        var (kind, owner) = ServicePods.OwnerOf(pods[0]);
        var more = pods.Count > 1 ? $", like {pods.Count - 1} more of {kind} {pods[0].Metadata.Namespace}/{owner}" : "";
        return Faults.Of("ISM2051", without.Object, without.Field,
            $"{without.Because}has no sidecar{more}, although its namespace is injected: its calls have no mutual TLS, and no policy applies to it",
            without.Remedy) with
        {
            Severity = Severity.Warning
        };
    }

    /// <summary>What says itself that it gets none, or cannot have one, is as it should be.</summary>
    private static bool WantsOne(Pod pod) =>
        pod.Metadata.DeletionTimestamp is null && pod.Status.Phase is not ("Succeeded" or "Failed") && !pod.Spec.HostNetwork
        && !pod.Metadata.Annotations.ContainsKey(OfNode)
        && (pod.Metadata.Labels.GetValueOrDefault(Labels.Inject) ?? pod.Metadata.Annotations.GetValueOrDefault(Labels.Inject)) is null or "true";
}

using Isthmus.Core.Names;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Explain.Tracing.Causes;

/// <summary>Why a Pod has no sidecar, and what gives it one.</summary>
/// <param name="Field">The field of the Pod that keeps it from having one.</param>
/// <param name="Remedy">What gives it one.</param>
internal readonly record struct Sidecarless(string Field, string Remedy)
{
    private const string Label = $"metadata.labels[{Labels.Inject}]";

    public static Sidecarless Of(ClusterObjects cluster, Pod pod)
    {
        var ns = pod.Metadata.Namespace;
        if (pod.Spec.HostNetwork)
            return new("spec.hostNetwork", "remove hostNetwork from the Pod's template: a Pod in the network of its Node gets no sidecar");
        if (pod.Metadata.Labels.GetValueOrDefault(Labels.Inject) == "false")
            return new(Label, $"remove the label {Labels.Inject} from the Pod's template" + (cluster.Injects(ns) ? "" : $", and label {Enabled(cluster, ns)}"));
        return cluster.Injects(ns) ? new(Label, "restart the Pod: its namespace is injected, and the Pod is older than that")
            : new(Label, $"label {Enabled(cluster, ns)} (or the Pod {Labels.Inject}=true) and restart the Pod");
    }

    private static string Enabled(ClusterObjects cluster, string ns) => $"namespace {ns} in {cluster.Context} {Labels.Injection}=enabled";
}

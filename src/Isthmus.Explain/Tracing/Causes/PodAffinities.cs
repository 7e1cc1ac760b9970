using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Explain.Tracing.Causes;

/// <summary>Pods that no Node takes because of the Pods that run there: rules of their own, or of those Pods.</summary>
internal static class PodAffinities
{
    private const string Preferred = "preferredDuringSchedulingIgnoredDuringExecution";

    /// <param name="told">What the scheduler said.</param>
    /// <param name="says">The same, as the end of a sentence.</param>
    public static Problem? Of(ClusterObjects cluster, Pod pod, string told, string says)
    {
        if (told.Contains("didn't match pod anti-affinity rules", StringComparison.Ordinal))
        {
            var near = Placed(cluster, pod).FirstOrDefault(other => Excludes(pod, other));
            return At(WrittenField.Of(cluster, pod, "affinity.podAntiAffinity", HasAntiAffinity),
                $"keeps it away from the Pods that it names{(near is null ? "" : $", such as {Place(near)}")}, and no Node that is free is without them: "
                    + says,
                $"let it name other Pods (labelSelector), or prefer ({Preferred}) in place of require; or add Nodes"
                    + (near is null || ServicePods.OwnerOf(near) != ServicePods.OwnerOf(pod) ? ""
                        : "; or run no more Pods than there are Nodes, and let a rollout end old Pods first (maxSurge: 0)"));
        }
        if (told.Contains("didn't satisfy existing pods anti-affinity rules", StringComparison.Ordinal))
            return Placed(cluster, pod).FirstOrDefault(other => Excludes(other, pod)) is { } holder
                ? At(WrittenField.Of(cluster, holder, "affinity.podAntiAffinity", HasAntiAffinity),
                    $"keeps other Pods away from {Place(holder)}, among them Pod {pod.Key}, and no other Node is free: {says}",
                    $"let it name other Pods (labelSelector), change the labels of {ServicePods.TemplateOf(pod)}, or add Nodes")
                : At(new($"Pod {pod.Key} in {cluster.Context}", "metadata.labels", false),
                    $"are among those that Pods on the Nodes keep away by their podAntiAffinity: {says}",
                    $"see which do: kubectl --context={cluster.Context} get pods -A -o yaml; change their labelSelector, or add Nodes");
        if (told.Contains("didn't match pod affinity rules", StringComparison.Ordinal))
            return At(WrittenField.Of(cluster, pod, "affinity.podAffinity", spec => spec.Affinity?["podAffinity"] is not null),
                $"asks for Pods to run beside, and no Node that is free has such Pods: {says}",
                $"start the Pods that it names, correct its labelSelector, namespaces or topologyKey, or prefer ({Preferred}) in place of require");
        // Templates are not read that far.
        return told.Contains("didn't match pod topology spread constraints", StringComparison.Ordinal)
            ? At(WrittenField.Of(cluster, pod, "topologySpreadConstraints", static _ => true),
                (told.Contains("missing required label", StringComparison.Ordinal) ? "have a topologyKey, a label that Nodes that are free do not have: "
                    : "allow one more Pod on no Node that is free: ") + says,
                "set whenUnsatisfiable: ScheduleAnyway, raise maxSkew, or add Nodes with the labels that topologyKey names")
            : null;
    }

    private static Problem At(WrittenField field, string message, string remedy) => Faults.Of("ISM2047", field.Object, field.Path, message, remedy);

    private static bool HasAntiAffinity(PodSpec spec) => spec.Affinity?["podAntiAffinity"] is not null;

    private static string Place(Pod pod) => $"Pod {pod.Key} on {pod.Spec.NodeName}";

    private static IEnumerable<Pod> Placed(ClusterObjects cluster, Pod pod) => cluster.Pods.Where(other => other != pod
        && other.Spec.NodeName.Length > 0 && other.Status.Phase is "Running" or "Pending");

    /// <summary>Whether a rule of a Pod that must be kept names another Pod. Of namespaces that are chosen by their labels, nothing is said.</summary>
    private static bool Excludes(Pod pod, Pod other) =>
        (pod.Spec.Affinity?["podAntiAffinity"]?["requiredDuringSchedulingIgnoredDuringExecution"] as JsonArray ?? []).OfType<JsonObject>().Any(term =>
            (term["namespaces"] is JsonArray { Count: > 0 } named ? named.Any(ns => ns?.ToString() == other.Metadata.Namespace)
                : term["namespaceSelector"] is null && pod.Metadata.Namespace == other.Metadata.Namespace)
            && LabelSelector.Read(term["labelSelector"])?.Matches(other.Metadata.Labels) == true);
}

using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Explain.Tracing.Causes;

/// <summary>Where a field of a Pod's spec is written: in the template of its owner or, where that does not have it, as when a webhook adds it, in the Pod
/// alone.</summary>
/// <param name="IsOfTemplate">Whether its owner gives it to all of its Pods.</param>
internal readonly record struct WrittenField(string Object, string Path, bool IsOfTemplate)
{
    /// <param name="field">Its path in the spec.</param>
    /// <param name="has">Whether a spec has it. Of a template that was not read, the Pods tell.</param>
    public static WrittenField Of(ClusterObjects cluster, Pod pod, string field, Func<PodSpec, bool> has)
    {
        var (kind, name) = ServicePods.OwnerOf(pod);
        return kind == "Pod" || cluster.Template(kind, pod.Metadata.Namespace, name) is { } template && !has(template.Spec)
            ? new($"Pod {pod.Key} in {cluster.Context}", $"spec.{field}", false)
            : new($"{kind} {pod.Metadata.Namespace}/{name} in {cluster.Context}", $"spec.template.spec.{field}", true);
    }
}

using Isthmus.Kubernetes.Objects;

namespace Isthmus.Explain.Tracing.Reading;

/// <summary>Identifies a Pod of a mesh.</summary>
internal readonly record struct PodRef(string Context, string Namespace, string Name)
{
    public static PodRef Of(ClusterObjects cluster, Pod pod) => new(cluster.Context, pod.Metadata.Namespace, pod.Metadata.Name);

    /// <summary>The command that shows a part of what its proxy has.</summary>
    /// <param name="part">For example <c>routes</c>.</param>
    public string Show(string part) => $"isthmus proxy-config {part} {Name}.{Namespace} --context={Context}";

    public override string ToString() => $"Pod {Namespace}/{Name} in {Context}";
}

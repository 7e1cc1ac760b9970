using Isthmus.Kubernetes.Objects;

namespace Isthmus.Explain.Tracing.Reading;

/// <summary>Identifies a Pod of a mesh.</summary>
internal readonly record struct PodRef(string Context, string Namespace, string Name)
{
    public static PodRef Of(ClusterObjects cluster, Pod pod) => new(cluster.Context, pod.Metadata.Namespace, pod.Metadata.Name);

    public override string ToString() => $"Pod {Namespace}/{Name} in {Context}";
}

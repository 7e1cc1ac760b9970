using Isthmus.Kubernetes.Objects;

namespace Isthmus.Explain.Tracing.Reading;

/// <summary>The control plane that configures the proxies of a cluster.</summary>
/// <param name="Config">The cluster whose Istio objects it reads.</param>
/// <param name="At">The cluster that it runs in.</param>
/// <param name="Namespace">Its namespace in <paramref name="At"/>.</param>
internal sealed record ControlPlanePlace(ClusterObjects Config, ClusterObjects At, string Namespace)
{
    public IEnumerable<Deployment> Deployments => At.ControlPlanes.Where(plane => plane.Namespace == Namespace).Select(plane => plane.Deployment);

    public override string ToString() =>
        At == Config ? $"control plane of {Config.Context}" : $"control plane of {Config.Context} (namespace {Namespace} of {At.Context})";
}

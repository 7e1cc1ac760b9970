using Isthmus.Core.Names;
using Isthmus.Kubernetes.Objects;
using Isthmus.Operate.Inventory;

namespace Isthmus.Explain.Tracing.Reading;

/// <summary>The control plane that configures the proxies of a cluster.</summary>
/// <param name="Config">The cluster whose Istio objects it reads.</param>
/// <param name="At">The cluster that it runs in.</param>
/// <param name="Namespace">Its namespace in <paramref name="At"/>.</param>
internal sealed record ControlPlanePlace(ClusterObjects Config, ClusterObjects At, string Namespace)
{
    public IEnumerable<Deployment> Deployments => At.ControlPlanes.Where(plane => plane.Namespace == Namespace).Select(plane => plane.Deployment);

    /// <summary>Its settings: those of the revision without a name, if such a control plane runs; null when there are none.</summary>
    public MeshMap? Map => At.MapOf(Namespace,
        Deployments.Select(deployment => deployment.Metadata.Labels.GetValueOrDefault(Labels.Revision, "")).Order(StringComparer.Ordinal).ToList()
            is [var first, ..] revisions && !revisions.Contains("default") ? first : "");

    public override string ToString() =>
        At == Config ? $"control plane of {Config.Context}" : $"control plane of {Config.Context} (namespace {Namespace} of {At.Context})";
}

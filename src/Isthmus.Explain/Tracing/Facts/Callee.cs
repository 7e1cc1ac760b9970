using System.Net;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Explain.Tracing.Facts;

/// <summary>A Pod at the end of a path, and the address at which it is called.</summary>
internal sealed record Callee(ClusterObjects Cluster, Pod Pod, IPEndPoint Address)
{
    public PodRef Name => PodRef.Of(Cluster, Pod);
}

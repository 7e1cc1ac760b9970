using Isthmus.Explain.Tracing.Reading;
using Isthmus.Mesh.Model;

namespace Isthmus.Explain.Tracing.Facts;

/// <summary>A host of the mesh: the Services with one name in all clusters, or a ServiceEntry.</summary>
internal sealed record MeshHost(string Fqdn, string Namespace, string Name, IReadOnlyList<ServiceInCluster> Services, IReadOnlyList<ServiceEntry> Entries)
{
    public ServiceInCluster? In(ClusterObjects cluster) => Services.FirstOrDefault(service => service.Cluster == cluster);
}

using System.Runtime.Versioning;
using Isthmus.Core.Collections;
using Isthmus.Lab.Supervisor;
using Isthmus.Operate.MeshFile;

namespace Isthmus.Commands;

/// <summary>A lab as a mesh file wants it. The file of a topology is kept beside the lab, so that <c>isthmus mesh</c> can go on with it.</summary>
[SupportedOSPlatform("linux")]
internal static class LabMesh
{
    internal static MeshSpec Write(LabHome home, string text)
    {
        home.Create();
        // The certificates of the mesh get there, too.
        home.CreateMesh();
        var file = Path.Combine(home.Mesh, "mesh.yaml");
        File.WriteAllText(file, text);
        return MeshReader.Read(text, file, home.Mesh);
    }

    /// <summary>Clusters of one network of the mesh share one in the lab.</summary>
    internal static ValueList<ClusterRequest> Requests(MeshSpec mesh) =>
        mesh.Clusters.Select(cluster => new ClusterRequest(cluster.Name, cluster.Context, cluster.Network, cluster.Region, cluster.Zone)).ToValueList();
}

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Clusters that cannot be read. Pure.</summary>
public static class ClusterAccessibility
{
    public static Analyzer Analyzer
    {
        get;
    } = new("cluster.AccessAnalyzer", "Checks that the objects of every cluster can be read", [OwnCodes.ClusterNotReadable], [], mesh =>
        mesh.Inventories.Where(cluster => cluster.Error.Length > 0)
            .Select(cluster => OwnCodes.ClusterNotReadable.At(cluster, $"cluster {cluster.Context}", "", $"cannot be read: {cluster.Error}",
                cluster.AccessRemedy)));
}

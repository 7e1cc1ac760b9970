namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Ingress objects that are meant for the mesh, which does not read them. Pure.</summary>
public static class IngressObjects
{
    private const string IngressClass = "istio";

    public static Analyzer Analyzer { get; } = new("ingress.IneffectiveAnalyzer", "Checks for Ingress objects of the class istio", [OwnCodes.IngressIneffective], [], mesh =>
        from cluster in mesh.Readable
        from ingress in cluster.Objects("Ingress")
        where ingress["spec"]?["ingressClassName"]?.ToString() == IngressClass || ingress["metadata"]?["annotations"]?["kubernetes.io/ingress.class"]?.ToString() == IngressClass
        select OwnCodes.IngressIneffective.At(cluster, Inventory.ClusterInventory.NameOf(ingress), "", "has no effect: control planes of Isthmus do not read Ingress objects"));
}

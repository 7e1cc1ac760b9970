namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>What is wrong with each object on its own, as admission finds it too. Pure.</summary>
public static class SchemaValidation
{
    public static Analyzer Analyzer
    {
        get;
    } = new("schema.ValidationAnalyzer", "Checks each Istio object, and MeshConfig, on its own", [IstioCodes.SchemaValidationError, IstioCodes.SchemaWarning],
        [], mesh =>
        mesh.Readable.SelectMany(cluster => cluster.Complaints.Select(problem => new Finding(cluster.Context, problem))));
}

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Keys of issuers that control planes cannot fetch: no object shows it before its status does.</summary>
public static class IssuerKeyReports
{
    public static Analyzer Analyzer
    {
        get;
    } = new("authn.KeysAnalyzer", "Checks, with running control planes, that they can fetch the keys of issuers", [OwnCodes.IssuerKeysUnavailable], [],
        mesh => mesh.Readable.SelectMany(cluster => cluster.Reports.Where(problem => problem.Code == OwnCodes.IssuerKeysUnavailable.Code)
            .Select(problem => new Finding(cluster.Context, problem))));
}

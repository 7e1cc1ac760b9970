namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>A code of Istio that this analysis does not have.</summary>
public sealed record AbsentCode(string Code, string Name, string Reason);

/// <summary>All codes of the analysis.</summary>
public static class AnalysisCodes
{
    /// <summary>The codes of all analyzers, in order.</summary>
    public static IReadOnlyList<AnalysisCode> All
    {
        get;
    } = [.. Analyzers.All.SelectMany(analyzer => analyzer.Codes).Distinct().OrderBy(code => code.Code, StringComparer.Ordinal)];

    public static AnalysisCode? Find(string code) => All.FirstOrDefault(known => known.Code == code);
}

using Isthmus.Core.Collections;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>One check of the analysis, as a pure function of a mesh.</summary>
/// <param name="Name">Istio's name if Istio has the same check.</param>
/// <param name="Description">What it checks.</param>
/// <param name="Codes">What it may find.</param>
/// <param name="Inputs">The kinds without which it cannot conclude anything: where one of them was not read, the check is skipped.</param>
public sealed record Analyzer(string Name, string Description, ValueList<AnalysisCode> Codes, ValueList<string> Inputs,
    Func<MeshSnapshot, IEnumerable<Finding>> Check);

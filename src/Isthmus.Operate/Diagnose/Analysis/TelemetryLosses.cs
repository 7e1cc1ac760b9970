namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Telemetry that running proxies lose: they tell their control planes, and no object shows it.</summary>
public static class TelemetryLosses
{
    public static Analyzer Analyzer { get; } = new(
        "mesh.TelemetryLossAnalyzer",
        "Checks, with running control planes, that collectors take what proxies send them, and that metrics have all their labels",
        [OwnCodes.TelemetryLost, OwnCodes.MetricSeriesBounded], [],
        mesh => mesh.Readable.SelectMany(cluster => cluster.Reports.Where(problem => problem.Code == OwnCodes.TelemetryLost.Code
            || problem.Code == OwnCodes.MetricSeriesBounded.Code)
            .Select(problem => new Finding(cluster.Context, problem))));
}

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>What running proxies and control planes notice, and no object shows, or not before its status does: control planes report it.</summary>
public static class ReportedProblems
{
    public static Analyzer Losses { get; } = Of(
        "mesh.TelemetryLossAnalyzer",
        "Checks, with running control planes, that collectors take what proxies send them, and that metrics have all their labels",
        OwnCodes.TelemetryLost, OwnCodes.MetricSeriesBounded);

    public static Analyzer Keys { get; } = Of("authn.KeysAnalyzer", "Checks, with running control planes, that they can fetch the keys of issuers",
        OwnCodes.IssuerKeysUnavailable);

    public static Analyzer Spoken { get; } = Of("service.SpokenPortAnalyzer",
        "Checks, with running control planes, that clients speak what ports declare", OwnCodes.PortSpokenOtherwise);

    public static Analyzer Refused { get; } = Of("destinationrule.RefusedCallsAnalyzer",
        "Checks, with running control planes, that limits of connections and requests refuse no calls", WorkloadCodes.CallsRefusedByLimits);

    /// <summary>Whether a control plane is asked for problems with that code.</summary>
    internal static bool Has(string code) => new[] { Losses, Keys, Spoken, Refused }.Any(analyzer => analyzer.Codes.Any(own => own.Code == code));

    private static Analyzer Of(string name, string checks, params AnalysisCode[] codes) => new(name, checks, [.. codes], [],
        mesh => mesh.Readable.SelectMany(cluster => cluster.Reports.Where(problem => codes.Any(code => code.Code == problem.Code))
            .Select(problem => new Finding(cluster.Context, problem))));
}

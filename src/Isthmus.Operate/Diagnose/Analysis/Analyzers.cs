namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>The table of analyzers.</summary>
public static class Analyzers
{
    public static IReadOnlyList<Analyzer> All { get; } =
    [
        ClusterAccessibility.Analyzer,
        SchemaValidation.Analyzer,
        StubDomain.Analyzer,
        GlobalHosts.Analyzer,
        TrustAnalysis.Analyzer,
        CredentialReferences.Analyzer,
        RestrictedNamespaces.Analyzer,
        RuleConflicts.Analyzer,
        ProviderReferences.Analyzer,
        ClientAffinity.Analyzer,
        IngressObjects.Analyzer,
    ];
}

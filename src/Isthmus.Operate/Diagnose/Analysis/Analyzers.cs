namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>The table of analyzers.</summary>
public static class Analyzers
{
    public static IReadOnlyList<Analyzer> All { get; } =
    [
        ClusterAccessibility.Analyzer,
        SchemaValidation.Analyzer,
        DeprecatedFields.Analyzer,
        ResourceAnnotations.Analyzer,
        // Routing
        VirtualServiceHosts.Analyzer,
        VirtualServiceGateways.Analyzer,
        VirtualServiceDestinations.Analyzer,
        VirtualServiceSubsets.Analyzer,
        MeshHostConflicts.Analyzer,
        UnreachableRoutes.Analyzer,
        ClaimRoutes.Analyzer,
        InjectedFaults.Analyzer,
        DestinationRuleHosts.Analyzer,
        SubsetPods.Analyzer,
        RuleConflicts.Analyzer,
        MtlsConflicts.Analyzer,
        ServiceEntryAddresses.Analyzer,
        ServiceEntryProtocols.Analyzer,
        ServiceEntryShadows.Analyzer, ForeignClaims.Analyzer, ForeignClaims.Granted,
        GlobalHosts.Analyzer,
        StubDomain.Analyzer,
        // Gateways
        GatewayWorkloads.Analyzer,
        GatewayConflicts.Analyzer,
        GatewayCertificates.Analyzer,
        ClientRules.Analyzer,
        CredentialReferences.Analyzer,
        IngressObjects.Analyzer,
        // Policies and other objects with selectors
        PolicyCallers.Analyzer,
        PolicyPaths.Analyzer,
        TokenPorts.Analyzer,
        UnmatchedSelectors.Analyzer,
        SelectorConflicts.Sidecars,
        SelectorConflicts.DefaultSidecars,
        SelectorConflicts.Telemetries,
        SelectorConflicts.DefaultTelemetries,
        TelemetryProviders.Analyzer,
        ProviderReferences.Analyzer,
        TelemetryLosses.Analyzer,
        EnvoyFilterOrder.Analyzer,
        // Workloads
        InjectionLabels.Analyzer,
        InjectorWebhooks.Analyzer,
        ExternalWebhooks.Analyzer,
        ImageAuto.Analyzer,
        ApplicationUsers.Analyzer,
        RestrictedNamespaces.Analyzer,
        ServicePortNames.Analyzer,
        ServiceProtocols.Analyzer,
        ServiceSelectors.Analyzer,
        TargetPorts.Analyzer,
        UnusedPods.Analyzer,
        ClientAffinity.Analyzer,
        NetworkPolicies.Enforcement,
        NetworkPolicies.Paths,
        // Between clusters
        ServiceDifferences.Analyzer,
        RoutesDiffer.Analyzer,
        SubsetsDiffer.Analyzer,
        PoliciesDiffer.Analyzer,
        NetworkLabels.Analyzer,
        MeshNetworkRegistries.Analyzer,
        TrustAnalysis.Analyzer,
    ];
}

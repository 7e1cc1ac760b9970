namespace Isthmus.Mesh.Config;

/// <summary>What a mesh of Istio loses of a field or object that does not work here as it does there.</summary>
public enum MigrationLevel
{
    /// <summary>Nothing that changes traffic, security or telemetry.</summary>
    Note,

    /// <summary>Something works otherwise: telemetry, limits and times, or how Pods are installed.</summary>
    Differs,

    /// <summary>It is refused, or has no effect, and without it calls go elsewhere, are answered otherwise, or are allowed or denied otherwise.</summary>
    Lost,
}

/// <summary>
/// The level of each field that does not work here: <c>docs/api.md</c> shows it, and <c>isthmus migrate check</c> reports it. Whether a field
/// works, its schema and its reader say; only what follows is here.
/// </summary>
public static class MigrationLevels
{
    /// <summary>The name that the annotations of Pods have in place of a kind.</summary>
    public const string Annotations = "Annotations of Pods";

    private const string Operator = "IstioOperator";

    /// <summary>Fields that are warned of, with a level other than that of their kind. A path stands for all below it; <c>*.</c> for any path that ends
    /// so.</summary>
    private static readonly (string Kind, MigrationLevel Level, string Paths)[] Exceptions =
    [
        // Istio gives these no effect either, or only a name in statistics.
        ("Gateway", MigrationLevel.Note, "servers[].name servers[].defaultEndpoint"),
        ("VirtualService", MigrationLevel.Note, "http[].match[].statPrefix"),
        ("Sidecar", MigrationLevel.Note, "egress[].port.targetPort ingress[].port.targetPort ingress[].bind"),
        ("Sidecar", MigrationLevel.Differs, "inboundConnectionPool ingress[].connectionPool"),
        ("DestinationRule", MigrationLevel.Differs, "*.outlierDetectionHttpErrorCodes"),
        ("EnvoyFilter", MigrationLevel.Differs, "configPatches[].patch.filterClass"),
        // It works as before for Pods whose proxy stays Envoy; of a patch, only Envoy knows.
        ("WasmPlugin", MigrationLevel.Lost, "verificationKey"),
        ("WasmPlugin", MigrationLevel.Differs, ""),
        ("ProxyConfig", MigrationLevel.Note, "image"),
        ("Telemetry", MigrationLevel.Differs, ""),
        ("MeshConfig", MigrationLevel.Lost,
            "defaultConfig.customConfigFile defaultConfig.proxyBootstrapTemplatePath defaultConfig.runtimeValues defaultInboundHttpRetryPolicy "
                + "outboundTrafficPolicy.tls"
            + " serviceEntryVisibility extensionProviders[].sds"),
        ("MeshConfig", MigrationLevel.Note, "defaultConfig.availabilityZone defaultConfig.controlPlaneAuthPolicy defaultConfig.discoveryRefreshDelay"
            + " defaultConfig.fileFlushInterval defaultConfig.fileFlushMinSizeKb defaultConfig.image defaultConfig.parentShutdownDuration "
            + "defaultConfig.proxyAdminPort defaultConfig.sds defaultConfig.serviceCluster"
            + " defaultConfig.statNameLength defaultConfig.connectTimeout disableMixerHttpReports disablePolicyChecks enableClientSidePolicyCheck "
            + "mixerCheckServer mixerReportServer policyCheckFailOpen"
            + " proxyInboundListenPort proxyListenPort reportBatchMaxEntries reportBatchMaxTime sdsUdsPath hboneIdleTimeout thriftConfig"),
        ("MeshNetworks", MigrationLevel.Note, "networks[].gateways[].locality"),
        (Operator, MigrationLevel.Lost, "values.ztunnel values.cni.ambient components.ztunnel"),
        (Annotations, MigrationLevel.Note,
            "sidecar.istio.io/extraStatTags sidecar.istio.io/statsCompression sidecar.istio.io/statsFlushInterval sidecar.istio.io/statsEvictionInterval "
                + "sidecar.istio.io/proxyImageType"
            + " sidecar.istio.io/enableCoreDump sidecar.istio.io/controlPlaneAuthPolicy"),
        (Annotations, MigrationLevel.Differs, "sidecar.istio.io/statsHistogramBins readiness.status.sidecar.istio.io/applicationPorts"),
    ];

    /// <summary>What is lost with a field that does not work.</summary>
    /// <param name="kind">The kind, <c>MeshConfig</c>, <c>MeshNetworks</c>, <c>IstioOperator</c> or <see cref="Annotations"/>.</param>
    /// <param name="path">The path below <c>spec</c>, with or without the numbers and names of items; the name of an annotation.</param>
    public static MigrationLevel Of(string kind, string path, FieldEffect effect)
    {
        // An installation that is refused is written anew: nothing of the mesh depends on it yet.
        if (effect == FieldEffect.Refused && kind != Operator) return MigrationLevel.Lost;
        var plain = ApiFields.WithoutItems(path);
        foreach (var known in Exceptions)
            if (known.Kind == kind && known.Paths.Split(' ').Any(one => Covers(one, plain))) return known.Level;
        return kind is ApiFields.MeshConfig or ApiFields.MeshNetworks or Operator ? MigrationLevel.Differs : MigrationLevel.Lost;
    }

    private static bool Covers(string known, string path) =>
        known.StartsWith("*.", StringComparison.Ordinal) ? path.EndsWith(known[1..], StringComparison.Ordinal)
        : path.StartsWith(known, StringComparison.Ordinal) && (known.Length == 0 || path.Length == known.Length || path[known.Length] is '.' or '[');
}

using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Graph.Settings;
using Isthmus.Core.Problems;
using Isthmus.Mesh.Config;

namespace Isthmus.Operate.Install.Operator;

/// <summary>
/// The keys below <c>values</c> (Istio 1.31, <c>values_types.proto</c>). Values are free, as in Istio: a field that is unknown, or has no effect
/// here, is reported but not rejected. What is below <c>meshConfig</c> is read as the control plane reads it.
/// </summary>
internal static class ValuesSchema
{
    private const string Gateways = "values.gateways";

    /// <summary>How Pods run, the same for the control plane and gateways.</summary>
    private const string Workload =
        "affinity autoscaleBehavior autoscaleEnabled autoscaleMax autoscaleMin cpu memory nodeSelector podAnnotations priorityClassName replicaCount resources"
        + " rollingMaxSurge rollingMaxUnavailable serviceAnnotations tolerations topologySpreadConstraints";

    /// <summary>By path: the keys that have an effect and, after the bar, those that only Istio supports. A path that is not listed may contain
    /// anything.</summary>
    private static readonly Dictionary<string, (HashSet<string> Effective, HashSet<string> Idle)> Keys = new(StringComparer.Ordinal)
    {
        ["values"] = Read(
            "base cni console defaultRevision gateways global istio_cni istiocoredns istiodRemote meshConfig pilot revisionTags sidecarInjectorWebhook"
            + " | certmanager clusterResources compatibilityVersion experimental galley gatewayClasses grafana kiali mixer nodeagent ownerName platform profile"
            + " prometheus prometheusOperator revision security telemetry tracing ztunnel"),
        ["values.global"] = Read(
            "caAddress configCluster configValidation defaultPodDisruptionBudget enableReaderRBAC externalIstiod hub imagePullPolicy imagePullSecrets "
                + "istioNamespace jwtPolicy logging meshID meshNetworks"
            + " multiCluster network networkPolicy omitSidecarInjectorConfigMap operatorManageWebhooks pilotCertProvider podDNSSearchNamespaces "
            + "priorityClassName proxy proxy_init readerServiceAccount remotePilotAddress resourceScope tag"
            + " | agentgateway arch autoscalingv2API caName certSigners certificates configRootNamespace controlPlaneSecurityEnabled createRemoteSvcEndpoints "
            + "defaultConfigVisibilitySettings defaultNodeSelector"
            + " defaultResources defaultTolerations disablePolicyChecks enableHelmTest enableTracing istioRemote istiod ipFamilies ipFamilyPolicy"
            + " k8sIngress localityLbSetting logAsJson mountMtlsCerts mtls nativeNftables oneNamespace outboundTrafficPolicy platform policyCheckFailOpen "
            + "policyNamespace prometheusNamespace"
            + " remotePilotCreateSvcEndpoint remotePolicyAddress remoteTelemetryAddress revision sds sts telemetryNamespace tracer trustBundleName trustDomain "
            + "trustDomainAliases useMCP variant waypoint"),
        ["values.global.defaultPodDisruptionBudget"] = Read("enabled"),
        ["values.global.readerServiceAccount"] = Read("name namespace"),
        ["values.global.networkPolicy"] = Read("enabled"),
        ["values.global.logging"] = Read("level"),
        ["values.global.multiCluster"] = Read("clusterName enabled globalDomainSuffix includeEnvoyFilter"),
        ["values.global.proxy"] = Read(
            "clusterDomain componentLogLevel excludeIPRanges excludeInboundPorts excludeOutboundPorts holdApplicationUntilProxyStarts image includeIPRanges "
                + "includeInboundPorts includeOutboundPorts logLevel"
            + " readinessFailureThreshold readinessInitialDelaySeconds readinessPeriodSeconds resources seccompProfile startupProbe statusPort"
            + " | accessLogEncoding accessLogFile accessLogFormat autoInject concurrency dnsRefreshRate enableCoreDump enableCoreDumpImage "
            + "envoyAccessLogService envoyMetricsService envoyStatsd"
            + " init kubevirtInterfaces lifecycle outlierLogPath privileged protocolDetectionTimeout tracer useMCP"),
        ["values.global.proxy.startupProbe"] = Read("enabled failureThreshold"),
        ["values.global.proxy_init"] = Read("image | forceApplyIptables resources"),
        ["values.pilot"] = Read($"cni env image podDisruptionBudget {Workload}"
            + " | annotations appNamespaces configMap configNamespace configSource crlConfigMapName deploymentAnnotations deploymentLabels "
            + "enableProtocolSniffingForInbound"
            + " enableProtocolSniffingForOutbound enabled envVarFrom extraContainerArgs hub initContainers ipFamilies ipFamilyPolicy istiodRemote "
            + "jwksResolverExtraRootCA keepaliveMaxServerConnectionAge"
            + " plugins podLabels policy seccompProfile serviceAccountAnnotations sidecar sidecarInjectorWebhookAnnotations tag"
            + " taint telemetry traceSampling trustedZtunnelName trustedZtunnelNamespace useMCP variant volumeMounts volumes"),
        ["values.pilot.cpu"] = Read("targetAverageUtilization"),
        ["values.pilot.memory"] = Read("targetAverageUtilization"),
        ["values.pilot.cni"] = Read("enabled | provider"),
        ["values.istio_cni"] = Read("chained enabled | provider"),
        ["values.cni"] = Read(
            "affinity chained cniBinDir cniConfDir cniConfFileName excludeNamespaces hub image logging podAnnotations pullPolicy repair resources "
                + "rollingMaxUnavailable tag"
            + " | ambient cniNetnsDir configDirs daemonSetLabels enabled env global istioOwnedCNIConfig istioOwnedCNIConfigFileName logLevel podLabels "
            + "privileged provider psp_cluster_role resourceQuotas seLinuxOptions seccompProfile taint terminationGracePeriodSeconds tolerations "
            + "updateStrategy useAppArmorAnnotation variant"),
        ["values.cni.logging"] = Read("level"),
        ["values.cni.repair"] = Read(
            "deletePods enabled labelPods repairPods | brokenPodLabelKey brokenPodLabelValue createEvents hub image initContainerName tag"),
        ["values.console"] = Read(
            "affinity credentialName enabled hosts image nodeSelector podAnnotations priorityClassName prometheus resources serviceAnnotations tolerations"),
        [Gateways] = Read("istio-egressgateway istio-ingressgateway | enabled seccompProfile securityContext"),
        [$"{Gateways}.istio-ingressgateway"] = Gateway(),
        [$"{Gateways}.istio-egressgateway"] = Gateway(),
        [$"{Gateways}.istio-ingressgateway.cpu"] = Read("targetAverageUtilization"),
        [$"{Gateways}.istio-ingressgateway.memory"] = Read("targetAverageUtilization"),
        [$"{Gateways}.istio-egressgateway.cpu"] = Read("targetAverageUtilization"),
        [$"{Gateways}.istio-egressgateway.memory"] = Read("targetAverageUtilization"),
        ["values.istiodRemote"] = Read("injectionPath injectionURL | enabled enabledLocalInjectorIstiod injectionCABundle"),
        ["values.base"] = Read("enableGatewayAPICRDs validationURL | enableCRDTemplates enableIstioConfigCRDs excludedCRDs validateGateway validationCABundle"),
        ["values.sidecarInjectorWebhook"] = Read("defaultTemplates enableNamespacesByDefault injectedAnnotations neverInjectSelector rewriteAppHTTPProbe "
            + "templates | alwaysInjectSelector enableAccessLog"
            + " injectionURL objectSelector reinvocationPolicy selfSigned useLegacySelectors"),
        ["values.istiocoredns"] = Read("coreDNSImage coreDNSPluginImage coreDNSTag enabled replicaCount"),
    };

    /// <summary>What to do instead of setting a value that has no effect.</summary>
    private static readonly Dictionary<string, string> Instead = new(StringComparer.Ordinal)
    {
        ["values.revision"] = "set revision",
        ["values.profile"] = "set profile",
        ["values.ztunnel"] = "remove it: there is no ambient mode",
        ["values.cni.ambient"] = "remove it: there is no ambient mode",
        ["values.pilot.hub"] = "set components.pilot.hub",
        ["values.pilot.tag"] = "set components.pilot.tag",
        ["values.pilot.enabled"] = "set components.pilot.enabled",
        ["values.pilot.traceSampling"] = "set meshConfig.defaultConfig.tracing.sampling",
        ["values.pilot.volumes"] = "set components.pilot.k8s.volumes",
        ["values.pilot.volumeMounts"] = "set components.pilot.k8s.volumeMounts",
        ["values.pilot.envVarFrom"] = "set components.pilot.k8s.env",
        ["values.cni.enabled"] = "set components.cni.enabled",
        ["values.cni.env"] = "set components.cni.k8s.env",
        ["values.cni.logLevel"] = "set values.cni.logging.level",
        ["values.gateways.enabled"] = "set components.ingressGateways and components.egressGateways",
        ["values.istiodRemote.enabled"] = "set components.istiodRemote.enabled",
        ["values.global.controlPlaneSecurityEnabled"] = "remove it: proxies always authenticate the control plane",
        ["values.global.enableTracing"] = "set meshConfig.enableTracing",
        ["values.global.localityLbSetting"] = "set meshConfig.localityLbSetting",
        ["values.global.outboundTrafficPolicy"] = "set meshConfig.outboundTrafficPolicy",
        ["values.global.trustDomain"] = "set meshConfig.trustDomain",
        ["values.global.trustDomainAliases"] = "set meshConfig.trustDomainAliases",
        ["values.global.configRootNamespace"] = "set meshConfig.rootNamespace",
        ["values.global.tracer"] = "set meshConfig.extensionProviders and a Telemetry",
        ["values.global.mtls"] = "apply a PeerAuthentication",
        ["values.global.proxy.accessLogFile"] = "set meshConfig.accessLogFile",
        ["values.global.proxy.accessLogFormat"] = "set meshConfig.accessLogFormat",
        ["values.global.proxy.accessLogEncoding"] = "set meshConfig.accessLogEncoding",
        ["values.global.proxy.concurrency"] = "set meshConfig.defaultConfig.concurrency",
        ["values.global.proxy.dnsRefreshRate"] = "set meshConfig.dnsRefreshRate",
        ["values.global.proxy.protocolDetectionTimeout"] = "set meshConfig.protocolDetectionTimeout",
        ["values.global.proxy.tracer"] = "set meshConfig.extensionProviders and a Telemetry",
        ["values.global.proxy.autoInject"] = "label namespaces or Pods, see 'isthmus label'",
        ["values.sidecarInjectorWebhook.injectionURL"] = "set values.istiodRemote.injectionURL",
    };

    /// <summary>Values that are always so: setting them is not a mistake.</summary>
    private static readonly HashSet<(string Key, string Value)> Always = [("injectionTemplate", "gateway"), ("controlPlaneSecurityEnabled", "true")];

    private const string NotRead = "remove it, unless a control plane of Istio is installed from the same values";

    /// <summary>By path, the keys that have an effect. The charts accept the same.</summary>
    internal static IEnumerable<(string Path, IEnumerable<string> Keys)> Effective =>
        Keys.Select(known => (known.Key, (IEnumerable<string>)known.Value.Effective))
        .Concat(((string[])["", "meshMTLS", "tlsDefaults"])
            .Select(below => ($"values.meshConfig.{below}".TrimEnd('.'), MeshKeys(below.Length == 0 ? "" : below + "."))));

    private static IEnumerable<string> MeshKeys(string below) => ApiFields.Of(ApiFields.MeshConfig)
        .Where(field => field.Effect == FieldEffect.Works && field.Path.StartsWith(below, StringComparison.Ordinal))
        .Select(field => field.Path[below.Length..].Split('.', '[', '{')[0]).Distinct();

    /// <summary>The paths of fields that only Istio supports.</summary>
    internal static IEnumerable<string> Idle => Keys.SelectMany(known => known.Value.Idle.Select(key => $"{known.Key}.{key}"));

    /// <summary>Each key, with what it does; those of gateways once for all names.</summary>
    internal static IEnumerable<(string Path, FieldEffect Effect)> Fields =>
        from known in Keys
        let path = known.Key.Replace($"{Gateways}.istio-ingressgateway", $"{Gateways}{{}}", StringComparison.Ordinal)
        where !path.StartsWith($"{Gateways}.istio-egressgateway", StringComparison.Ordinal)
        from key in known.Value.Effective.Concat(known.Value.Idle)
        where !Keys.ContainsKey($"{known.Key}.{key}")
        // Of a plug-in that is not in a chain, OperatorShapes says that it is not supported.
        select ($"{path}.{key}", key == "chained" ? FieldEffect.Refused : known.Value.Idle.Contains(key) ? FieldEffect.Warned : FieldEffect.Works);

    /// <summary>Paths whose values can only be mappings.</summary>
    internal static IEnumerable<string> Mappings => [.. Keys.Keys, "meshConfig", "values.meshConfig"];

    /// <summary>The fields of a spec that are unknown or have no effect.</summary>
    /// <param name="gateways">Names of the spec's gateways, which may have values, too.</param>
    internal static IEnumerable<Problem> Check(JsonObject spec, string source, IReadOnlyCollection<string> gateways) =>
        (spec["values"] is JsonObject values ? Check(values, "values", source, gateways) : []).Concat(CheckMesh(spec["meshConfig"], "meshConfig", source))
            .Concat(CheckMesh(spec["values"]?["meshConfig"], "values.meshConfig", source))
            .Concat(CheckNetworks((spec["values"] as JsonObject)?["global"] as JsonObject, source)).Concat(CheckEnvironment(spec, source));

    /// <summary>Istio's pilot reads some hundred variables, of which a control plane of Isthmus reads few.</summary>
    internal static IEnumerable<Problem> CheckEnvironment(JsonObject spec, string source)
    {
        var values = ((spec["values"] as JsonObject)?["pilot"] as JsonObject)?["env"] as JsonObject ?? [];
        var entries = (((spec["components"] as JsonObject)?["pilot"] as JsonObject)?["k8s"] as JsonObject)?["env"] as JsonArray ?? [];
        return values.Select(entry => (entry.Key, Path: $"values.pilot.env.{entry.Key}"))
            .Concat(entries.Select((entry, index) => ((entry as JsonObject)?["name"]?.ToString() ?? "", Path: $"components.pilot.k8s.env[{index}]")))
            .Where(entry => !DiscoverySettings.Variables.Contains(entry.Item1))
            .Select(entry => Warn(source, entry.Path, $"the control plane does not read {entry.Item1}",
                Spelling.Nearest(entry.Item1, DiscoverySettings.Variables) is { } near ? $"did you mean {near}?" : "remove it"));
    }

    private static IEnumerable<Problem> CheckMesh(JsonNode? mesh, string path, string source) =>
        MeshConfigReader.ReadMesh(mesh, source).Problems.Select(problem => At(problem, $"{path}.{problem.Path}"));

    private static IEnumerable<Problem> CheckNetworks(JsonObject? global, string source) => global?["meshNetworks"] is not JsonObject networks ? []
        : MeshConfigReader.ReadNetworks(new JsonObject { ["networks"] = networks.DeepClone() },
            source).Problems.Select(problem => At(problem, "values.global.meshNetworks" + problem.Path["networks".Length..]));

    private static Problem At(Problem problem, string path) => problem with { Code = problem.Severity == Severity.Error ? "ISM0208" : "ISM0205", Path = path };

    private static IEnumerable<Problem> Check(JsonObject node, string path, string source, IReadOnlyCollection<string> gateways)
    {
        if (KeysOf(path, gateways) is not { } keys) yield break;
        foreach (var (key, value) in node)
        {
            var below = $"{path}.{key}";
            // A key without a value sets nothing.
            if (value is null) continue;
            if (keys.Effective.Contains(key))
            {
                foreach (var problem in value is JsonObject inner ? Check(inner, below, source, gateways) : []) yield return problem;
            }
            else if (keys.Idle.Contains(key))
            {
                if (!Always.Contains((key, value.ToString())))
                    yield return Warn(source, below, $"{Shown(value)} has no effect here", Instead.GetValueOrDefault(below, NotRead));
            }
            else
            {
                yield return Warn(source, below, $"is not a known field; {Shown(value)} has no effect",
                    Meant(path, key, keys) is { } meant ? $"did you mean {meant}?" : "");
            }
        }
    }

    /// <summary>Gateways of other names have the same values.</summary>
    private static (HashSet<string> Effective, HashSet<string> Idle)? KeysOf(string path, IReadOnlyCollection<string> gateways)
    {
        if (path == Gateways) return ([.. Keys[path].Effective, .. gateways], Keys[path].Idle);
        foreach (var name in gateways)
        {
            var own = $"{Gateways}.{name}";
            if (path == own || path.StartsWith(own + ".", StringComparison.Ordinal)) path = $"{Gateways}.istio-ingressgateway{path[own.Length..]}";
        }
        return Keys.TryGetValue(path, out var keys) ? keys : null;
    }

    /// <summary>The most similar key at the same path, otherwise the same key at another path.</summary>
    private static string? Meant(string path, string key, (HashSet<string> Effective, HashSet<string> Idle) beside) =>
        Spelling.Nearest(key, beside.Effective) is { } near ? $"{path}.{near}"
        : Spelling.Nearest(key, beside.Idle) is { } idle ? $"{path}.{idle}"
        : Keys.Where(keys => keys.Value.Effective.Contains(key, StringComparer.OrdinalIgnoreCase))
            .Select(keys => $"{keys.Key}.{keys.Value.Effective.First(known => string.Equals(known, key, StringComparison.OrdinalIgnoreCase))}")
            .FirstOrDefault();

    private static Problem Warn(string source, string path, string message, string remedy) => new("ISM0205", source, path, message, remedy, Severity.Warning);

    private static string Shown(JsonNode value) => value.GetValueKind() is JsonValueKind.Object or JsonValueKind.Array ? "what is below it" : $"'{value}'";

    private static (HashSet<string> Effective, HashSet<string> Idle) Gateway() =>
        Read($"env externalIPs externalTrafficPolicy loadBalancerIP loadBalancerSourceRanges ports type {Workload}"
        + " | additionalContainers configVolumes customService debug domain egressPorts enabled gatewayName"
        + " hub ingressPorts injectionTemplate labels meshExpansionPorts name namespace podAntiAffinityLabelSelector podAntiAffinityTermLabelSelector"
        + " runAsRoot sds secretVolumes serviceAccount tag zvpn");

    private static (HashSet<string> Effective, HashSet<string> Idle) Read(string keys)
    {
        var halves = keys.Split('|');
        return (Words(halves[0]), Words(halves.ElementAtOrDefault(1) ?? ""));

        static HashSet<string> Words(string text) => [.. text.Split(' ', StringSplitOptions.RemoveEmptyEntries)];
    }
}

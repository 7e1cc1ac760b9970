using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Names;

namespace Isthmus.Injection;

/// <summary>The <c>istio-proxy</c> container and its volumes, for sidecars and gateways (Istio's templates <c>sidecar</c>
/// and <c>gateway</c>).</summary>
internal static class ProxyContainer
{
    internal const string Name = "istio-proxy";

    internal static JsonObject Build(InjectionInputs inputs, bool gateway)
    {
        var container = new JsonObject
        {
            ["name"] = Name,
            ["image"] = inputs.Annotation("sidecar.istio.io/proxyImage") ?? inputs.Values.ProxyImage,
            ["args"] = Arguments(inputs, gateway),
            ["ports"] = new JsonArray(new JsonObject { ["name"] = "http-envoy-prom", ["containerPort"] = Ports.ProxyMetrics, ["protocol"] = "TCP" }),
            ["env"] = Environment(inputs),
            ["volumeMounts"] = Mounts(),
            ["readinessProbe"] = Readiness(inputs),
        };
        if (StartupFailures(inputs) is { } failures) container["startupProbe"] = Startup(failures);
        if ((inputs.Annotation(Annotations.PullPolicy) ?? inputs.Values.PullPolicy) is { Length: > 0 } policy) container["imagePullPolicy"] = policy;
        container["securityContext"] = Security(inputs);
        if (gateway) return container;
        container["resources"] = Resources(inputs);
        if (inputs.IsNative)
        {
            container["restartPolicy"] = "Always";
            // The hook runs when the Pod begins to end. The signal follows once the application has ended.
            container["lifecycle"] = Hook("preStop", "pilot-agent", "request", $"--debug-port={Text(inputs.StatusPort)}", "POST", "drain");
        }
        // The application must not start before the proxy can handle its traffic.
        else if (inputs.HoldApplication) container["lifecycle"] = Hook("postStart", "pilot-agent", "wait");
        return container;
    }

    /// <summary>Containers after a native sidecar start when its startup probe has succeeded, so holding the application needs one.</summary>
    private static int? StartupFailures(InjectionInputs inputs) =>
        inputs.Values.StartupFailures ?? (inputs is { IsNative: true, HoldApplication: true } ? InjectorValues.DefaultStartupFailures : null);

    private static JsonObject Hook(string name, params IEnumerable<string> command) =>
        new() { [name] = new JsonObject { ["exec"] = new JsonObject { ["command"] = new JsonArray([.. command.Select(word => (JsonNode)word)]) } } };

    internal static JsonArray Volumes() => new(
        new JsonObject { ["name"] = "workload-socket", ["emptyDir"] = new JsonObject() },
        new JsonObject { ["name"] = "workload-certs", ["emptyDir"] = new JsonObject() },
        new JsonObject { ["name"] = "istio-envoy", ["emptyDir"] = new JsonObject { ["medium"] = "Memory" } },
        new JsonObject { ["name"] = "istio-data", ["emptyDir"] = new JsonObject() },
        new JsonObject
        {
            ["name"] = "istio-podinfo",
            ["downwardAPI"] = new JsonObject
            {
                ["items"] = new JsonArray(Field("labels", "metadata.labels"), Field("annotations", "metadata.annotations")),
            },
        },
        new JsonObject
        {
            ["name"] = "istio-token",
            ["projected"] = new JsonObject
            {
                ["sources"] = new JsonArray(new JsonObject
                {
                    ["serviceAccountToken"] = new JsonObject
                    {
                        ["audience"] = WellKnown.TokenAudience, ["expirationSeconds"] = 43200, ["path"] = "istio-token"
                    },
                }),
            },
        },
        new JsonObject { ["name"] = "istiod-ca-cert", ["configMap"] = new JsonObject { ["name"] = WellKnown.RootCertConfigMap } });

    internal static JsonObject Resources(InjectionInputs inputs)
    {
        var (limits, requests) = (new JsonObject(), new JsonObject());
        if (ProxyAmounts.Fault(inputs.Annotation) is var (annotation, value, why)) throw InjectionInputs.Bad(annotation, value, why);
        foreach (var (resource, request, limit) in ProxyAmounts.All)
        {
            if (inputs.Annotation(request) is { Length: > 0 } least) requests[resource] = least;
            if (inputs.Annotation(limit) is { Length: > 0 } most) limits[resource] = most;
        }
        // As in Istio, a single annotation replaces all defaults.
        if (limits.Count + requests.Count == 0) return SetAmounts(inputs.Values.ProxyResources);
        var resources = new JsonObject();
        if (limits.Count > 0) resources["limits"] = limits;
        if (requests.Count > 0) resources["requests"] = requests;
        return resources;
    }

    /// <summary>A value of null removes a default of the installation.</summary>
    private static JsonObject SetAmounts(JsonObject resources)
    {
        var amounts = (JsonObject)resources.DeepClone();
        foreach (var list in (string[])["limits", "requests"])
        {
            if (amounts[list] is not JsonObject map) continue;
            foreach (var unset in map.Where(entry => entry.Value is null).Select(entry => entry.Key).ToList()) map.Remove(unset);
            if (map.Count == 0) amounts.Remove(list);
        }
        return amounts;
    }

    private static JsonArray Arguments(InjectionInputs inputs, bool gateway)
    {
        var values = inputs.Values;
        var arguments = new JsonArray(
            "proxy", gateway ? "router" : "sidecar",
            "--domain", $"$(POD_NAMESPACE).svc.{values.ClusterDomain}",
            $"--proxyLogLevel={inputs.Annotation("sidecar.istio.io/logLevel") ?? values.ProxyLogLevel}",
            $"--proxyComponentLogLevel={inputs.Annotation("sidecar.istio.io/componentLogLevel") ?? values.ComponentLogLevel}",
            $"--log_output_level={inputs.Annotation("sidecar.istio.io/agentLogLevel") ?? values.AgentLogLevel}");
        if (gateway) return arguments;
        arguments.Add((JsonNode)"--concurrency");
        arguments.Add((JsonNode)Text((int?)inputs.ProxyConfig["concurrency"] ?? 2));
        return arguments;
    }

    private static JsonArray Environment(InjectionInputs inputs)
    {
        var values = inputs.Values;
        var env = new JsonArray(
            Value("JWT_POLICY", values.JwtPolicy),
            Value("PILOT_CERT_PROVIDER", values.CertProvider),
            Value("CA_ADDR", values.CaAddress),
            FromField("POD_NAME", "metadata.name"),
            FromField("POD_NAMESPACE", "metadata.namespace"),
            FromField("INSTANCE_IP", "status.podIP"),
            FromField("SERVICE_ACCOUNT", "spec.serviceAccountName"),
            FromField("HOST_IP", "status.hostIP"),
            Value("PROXY_CONFIG", ConfigText(inputs)),
            Value("ISTIO_META_POD_PORTS", PodPorts(inputs)),
            Value("ISTIO_META_APP_CONTAINERS", string.Join(",", Applications(inputs).Select(container => container["name"]?.ToString()))),
            Value("ISTIO_META_INTERCEPTION_MODE", inputs.InterceptionMode),
            FromField("ISTIO_META_NODE_NAME", "spec.nodeName"),
            Value("ISTIO_META_WORKLOAD_NAME", inputs.WorkloadName),
            Value("ISTIO_META_OWNER", inputs.Owner),
            Value("ISTIO_META_MESH_ID", values.MeshId),
            Value("TRUST_DOMAIN", values.TrustDomain));
        if (inputs is { IsGateway: false, MergedMetrics: { } metrics }) env.Add((JsonNode)Value("ISTIO_PROMETHEUS_ANNOTATIONS", metrics.ToJsonString()));
        if (SpanResources.Of(inputs) is { } resource) env.Add((JsonNode)Value(SpanResources.Variable, resource));
        if (inputs.Buckets is { } buckets) env.Add((JsonNode)Value("ISTIO_HISTOGRAM_BUCKETS", buckets.ToJsonString()));
        // What Envoy does with its flag --concurrency: the number of CPUs for which the proxy has threads.
        if ((int?)inputs.ProxyConfig["concurrency"] is > 0 and var cpus) env.Add((JsonNode)Value("DOTNET_PROCESSOR_COUNT", Text(cpus)));
        foreach (var (name, value) in inputs.ProxyMetadata) env.Add((JsonNode)Value(name, value));
        env.Add((JsonNode)Value("ISTIO_META_CLUSTER_ID", inputs.ClusterId));
        if (inputs.Network.Length > 0) env.Add((JsonNode)Value("ISTIO_META_NETWORK", inputs.Network));
        foreach (var (name, value) in inputs.Path.Environment) env.Add((JsonNode)Value(name, value));
        return env;
    }

    /// <summary>Only the fields that differ from the proxy's built-in defaults, as one line of JSON.</summary>
    private static string ConfigText(InjectionInputs inputs)
    {
        var config = (JsonObject)inputs.ProxyConfig.DeepClone();
        if (config["proxyMetadata"] is JsonObject { Count: 0 }) config.Remove("proxyMetadata");
        if (inputs.Values.MeshId != inputs.Values.TrustDomain) config["meshId"] = inputs.Values.MeshId;
        // The proxy would not find a control plane with another name or namespace by default.
        var discovery = $"{inputs.Values.IstiodHost}:{Ports.DiscoveryTls}";
        if (config["discoveryAddress"] is null && discovery != $"{WellKnown.Istiod}.{WellKnown.SystemNamespace}.svc:{Ports.DiscoveryTls}")
            config["discoveryAddress"] = discovery;
        return config.ToJsonString() + "\n";
    }

    private static string PodPorts(InjectionInputs inputs)
    {
        var ports = new JsonArray();
        foreach (var container in Applications(inputs))
        {
            foreach (var port in container["ports"] as JsonArray ?? [])
            {
                var entry = new JsonObject();
                foreach (var field in (string[])["name", "containerPort", "hostPort", "protocol"])
                {
                    if (port?[field] is { } value) entry[field] = value.DeepClone();
                }
                ports.Add((JsonNode)entry);
            }
        }
        return ports.ToJsonString();
    }

    private static IEnumerable<JsonObject> Applications(InjectionInputs inputs) =>
        (inputs.Pod["spec"]?["containers"] as JsonArray ?? []).OfType<JsonObject>().Where(container => container["name"]?.ToString() != Name);

    private static JsonArray Mounts() => new(
        Mount("workload-socket", "/var/run/secrets/workload-spiffe-uds"),
        Mount("workload-certs", "/var/run/secrets/workload-spiffe-credentials"),
        Mount("istiod-ca-cert", "/var/run/secrets/istio"),
        Mount("istio-data", "/var/lib/istio/data"),
        Mount("istio-envoy", "/etc/istio/proxy"),
        Mount("istio-token", "/var/run/secrets/tokens"),
        Mount("istio-podinfo", "/etc/istio/pod"));

    /// <summary>Probes every second until the proxy is ready once. Only then does the slower readiness probe
    /// begin.</summary>
    private static JsonObject Startup(int failures) => new()
    {
        ["httpGet"] = new JsonObject { ["path"] = "/healthz/ready", ["port"] = Ports.ProxyReady },
        ["initialDelaySeconds"] = 0,
        ["timeoutSeconds"] = 3,
        ["periodSeconds"] = 1,
        ["failureThreshold"] = failures,
    };

    private static JsonObject Readiness(InjectionInputs inputs) => new()
    {
        ["httpGet"] = new JsonObject { ["path"] = "/healthz/ready", ["port"] = Ports.ProxyReady },
        ["initialDelaySeconds"] = inputs.Number("readiness.status.sidecar.istio.io/initialDelaySeconds") ?? inputs.Values.ReadinessInitialDelay,
        ["timeoutSeconds"] = 3,
        ["periodSeconds"] = inputs.Number("readiness.status.sidecar.istio.io/periodSeconds") ?? inputs.Values.ReadinessPeriod,
        ["failureThreshold"] = inputs.Number("readiness.status.sidecar.istio.io/failureThreshold") ?? inputs.Values.ReadinessFailures,
    };

    private static JsonObject Security(InjectionInputs inputs)
    {
        var security = new JsonObject
        {
            ["capabilities"] = new JsonObject { ["drop"] = new JsonArray("ALL") },
            ["privileged"] = false,
            ["runAsUser"] = ProxyUser.Id,
            ["runAsGroup"] = ProxyUser.Id,
            ["runAsNonRoot"] = true,
            ["readOnlyRootFilesystem"] = true,
            ["allowPrivilegeEscalation"] = false,
        };
        if (inputs.SeccompProfile is { } profile) security["seccompProfile"] = profile;
        return security;
    }

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);

    private static JsonObject Field(string path, string field) =>
        new() { ["path"] = path, ["fieldRef"] = new JsonObject { ["fieldPath"] = field } };

    private static JsonObject Mount(string name, string path) => new() { ["name"] = name, ["mountPath"] = path };

    private static JsonObject Value(string name, string value) => new() { ["name"] = name, ["value"] = value };

    private static JsonObject FromField(string name, string field) =>
        new() { ["name"] = name, ["valueFrom"] = new JsonObject { ["fieldRef"] = new JsonObject { ["fieldPath"] = field } } };
}

using System.Globalization;
using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Mesh.Config;
using Isthmus.Operate.Install.Operator;
using static Isthmus.Operate.Install.Render.ObjectLabels;
using static Isthmus.Operate.Install.Render.Rbac;

namespace Isthmus.Operate.Install.Render;

/// <summary>The control plane: account, rights, configuration, Service, Deployment (chart <c>istio-control/istio-discovery</c>).</summary>
internal static class IstiodObjects
{
    private const string Component = "Pilot";
    /// <summary>A setting that no other control plane has.</summary>
    internal const string InjectorMapVariable = "INJECTOR_CONFIG_MAP";

    /// <summary>The ports that others connect to: readiness, proxies, metrics, webhooks.</summary>
    private static readonly int[] Reached = [Ports.DiscoveryHttp, Ports.DiscoveryPlain, Ports.DiscoveryTls, Ports.DiscoveryMonitoring, Ports.Webhook];

    private const string All = "get list watch create update patch delete";

    internal static IEnumerable<JsonObject> Build(OperatorSpec spec)
    {
        var names = new Names(spec);
        var settings = new WorkloadSettings(spec, spec.Value("pilot") as JsonObject ?? [], spec.Component("pilot")["k8s"] as JsonObject);
        var (deployment, service) = (Deployment(spec, names, settings), Service(spec, names, settings.ServiceAnnotations));
        return Rights(spec)
            .Append(MeshConfigMap(spec, names))
            .Concat((bool?)spec.Value("global", "omitSidecarInjectorConfigMap") ?? false ? [] : [InjectorConfigMap(spec, names)])
            .Append(service)
            .Concat(RevisionTagObjects.Services(spec, service))
            .Append(deployment)
            .Concat(settings.Scaling(deployment))
            .Concat(NetworkPolicies.Of(spec, deployment, Reached.Select(port => ("TCP", (JsonNode)port))));
    }

    /// <summary>The service account of a control plane and its RBAC, also where the control plane itself runs in another cluster.</summary>
    internal static IEnumerable<JsonObject> Rights(OperatorSpec spec)
    {
        var names = new Names(spec);
        JsonObject Labelled() => Make(spec, Component, "istiod", ("app", "istiod"));
        yield return WithPullSecrets(spec, ServiceAccount(names.Account, names.Namespace, Labelled()));
        yield return ClusterRole(names.ClusterRole, Labelled(), [.. ClusterRules(), .. SecretRights.ClusterRules(spec)]);
        yield return ClusterRoleBinding(names.ClusterRole, Labelled(), names.Account, names.Namespace);
        yield return Role(names.Account, names.Namespace, Labelled(), spec.IsConfigCluster
            ? [.. NamespaceRules(), .. AddressRules]
            : NamespaceRules());
        yield return RoleBinding(names.Account, names.Namespace, Labelled(), names.Account);
        foreach (var right in SecretRights.Of(spec, names.Account, Labelled)) yield return right;
    }

    /// <summary>For the addresses behind the host name of a control plane, and to remove those that an earlier version wrote as Endpoints.</summary>
    internal static JsonObject[] AddressRules =>
        [Rule("discovery.k8s.io", "endpointslices", "create get update patch delete"), Rule("core", "endpoints", "get delete")];

    internal sealed class Names(OperatorSpec spec)
    {
        internal string Namespace { get; } = spec.Namespace;
        internal string Suffix { get; } = spec.Revision.Length == 0 ? "" : $"-{spec.Revision}";
        internal string Istiod => $"istiod{Suffix}";
        internal string Account => Istiod;
        internal string ClusterRole => $"istiod-clusterrole{Suffix}-{Namespace}";
        internal string MeshConfigMap => $"istio{Suffix}";
        internal const string Injector = "istio-sidecar-injector";

        internal string InjectorConfigMap => $"{Injector}{Suffix}";
        internal string Host => $"{Istiod}.{Namespace}.svc";
    }

    private static JsonObject[] ClusterRules() =>
    [
        .. KindRules(kind => kind.Rights.Own, kind => kind.Rights.Status),
        .. GatewayRules(),
        IstioRule($"{KindRights.Read} update patch"),
        Rule("admissionregistration.k8s.io", "mutatingwebhookconfigurations validatingwebhookconfigurations", "get list watch update patch"),
        // istio-ca-root-cert in every namespace.
        Rule("core", "configmaps", "get list watch create update patch"),
        Rule("core", "events", "create patch"),
        Rule("authentication.k8s.io", "tokenreviews", "create"),
        Rule("authorization.k8s.io", "subjectaccessreviews", "create"),
    ];

    /// <summary>For what is made for Gateways of the Gateway API, in their namespaces.</summary>
    internal static JsonObject[] GatewayRules() =>
    [
        Rule("gateway.networking.k8s.io", "gatewayclasses", "create"),
        Rule("core", "services serviceaccounts", All),
        Rule("apps", "deployments", All),
        Rule("autoscaling", "horizontalpodautoscalers", All),
        Rule("policy", "poddisruptionbudgets", All),
    ];

    private static JsonObject[] NamespaceRules() =>
    [
        Rule("core", "secrets configmaps", All),
        Rule("coordination.k8s.io", "leases", All),
        Rule("networking.istio.io", "gateways", "create"),
    ];

    private static JsonObject MeshConfigMap(OperatorSpec spec, Names names)
    {
        var mesh = (JsonObject)spec.MeshConfig.DeepClone();
        mesh["trustDomain"] ??= WellKnown.DefaultTrustDomain;
        mesh["rootNamespace"] ??= names.Namespace;
        var proxy = mesh["defaultConfig"] as JsonObject ?? (JsonObject)(mesh["defaultConfig"] = new JsonObject())!;
        proxy["discoveryAddress"] ??= $"{names.Host}:{Ports.DiscoveryTls}";
        if (spec.Value("global", "meshID")?.ToString() is { Length: > 0 } meshId) proxy["meshId"] ??= meshId;
        var networks = spec.Value("global", "meshNetworks") as JsonObject ?? [];
        var map = Object("v1", "ConfigMap", names.MeshConfigMap, names.Namespace, Make(spec, Component, "istiod"));
        map["data"] = new JsonObject
        {
            ["mesh"] = YamlText.Print(mesh),
            ["meshNetworks"] = YamlText.Print(new JsonObject { ["networks"] = networks.DeepClone() }),
        };
        return map;
    }

    /// <summary>
    /// For tools of Istio that expect the key. The templates <c>sidecar</c> and <c>gateway</c> are code here, and those of the installation are among the
    /// values: a tool that makes Pods from this key gets an error, not a Pod without a proxy.
    /// </summary>
    private const string InjectorConfig = """
        policy: enabled
        alwaysInjectSelector: []
        neverInjectSelector: []
        injectedAnnotations: {}
        defaultTemplates: [sidecar]
        templates:
          sidecar: |
            spec: the template sidecar is built into Isthmus, use the webhook or isthmus kube-inject, and add templates of your own to values.sidecarInjectorWebhook.templates
          gateway: |
            spec: the template gateway is built into Isthmus, use the webhook or isthmus kube-inject, and add templates of your own to values.sidecarInjectorWebhook.templates

        """;

    private static JsonObject InjectorConfigMap(OperatorSpec spec, Names names)
    {
        var global = (JsonObject)spec.Value("global")!.DeepClone();
        // These are of the installation, not of injection.
        foreach (var name in (string[])["networkPolicy", "resourceScope", "enableReaderRBAC", "readerServiceAccount"]) global.Remove(name);
        // spec.hub and spec.tag decide the images of components; the injector must use the same ones.
        if (spec.Spec["hub"] is { } hub) global["hub"] = hub.DeepClone();
        // istioctl's analyze makes the name of the proxy's image of these three, and compares it with those of Pods.
        if (global["hub"]?.ToString() is not { Length: > 0 }) global["hub"] = WellKnown.OwnDomain;
        if ((spec.Spec["tag"] ?? spec.Value("global", "tag")) is { } tag) global["tag"] = tag.DeepClone();
        else global["tag"] = BuildVersion.Current;
        var values = new JsonObject { ["global"] = global, ["revision"] = spec.Revision };
        // istioctl's analyze reads this one without asking whether it is there.
        var webhook = spec.Value("sidecarInjectorWebhook")?.DeepClone() as JsonObject ?? [];
        webhook.TryAdd("enableNamespacesByDefault", false);
        values["sidecarInjectorWebhook"] = webhook;
        if (spec.UsesNodeAgent) values["istio_cni"] = new JsonObject { ["enabled"] = true };
        var map = Object("v1", "ConfigMap", names.InjectorConfigMap, names.Namespace, Make(spec, Component, "istiod"));
        map["data"] = new JsonObject
        {
            ["config"] = InjectorConfig,
            ["values"] = values.ToJsonString(new System.Text.Json.JsonSerializerOptions
            {
                WriteIndented = true, TypeInfoResolver = Kubernetes.Objects.KubeJson.Default
            })
        };
        return map;
    }

    private static JsonObject Service(OperatorSpec spec, Names names, JsonObject? annotations)
    {
        var service = Object("v1", "Service", names.Istiod, names.Namespace, Make(spec, Component, "istiod", ("app", "istiod"), ("istio", "pilot")));
        if (annotations is not null) service["metadata"]!["annotations"] = annotations;
        var selector = new JsonObject { ["app"] = "istiod" };
        if (spec.Revision.Length == 0) selector["istio"] = "pilot";
        else selector[Labels.Revision] = spec.Revision;
        service["spec"] = new JsonObject
        {
            ["ports"] = new JsonArray(
                Port("grpc-xds", Ports.DiscoveryPlain, Ports.DiscoveryPlain),
                Port("https-dns", Ports.DiscoveryTls, Ports.DiscoveryTls),
                Port("https-webhook", 443, Ports.Webhook),
                Port("http-monitoring", Ports.DiscoveryMonitoring, Ports.DiscoveryMonitoring)),
            ["selector"] = selector,
        };
        if (spec.Component("pilot")["k8s"]?["service"] is JsonObject given) Extend((JsonObject)service["spec"]!, given);
        return service;
    }

    /// <summary>Proxies and API servers need the ports of the control plane: others are added to them.</summary>
    private static void Extend(JsonObject service, JsonObject given)
    {
        var ports = (JsonArray)service["ports"]!;
        foreach (var port in (given["ports"] as JsonArray ?? []).OfType<JsonObject>())
        {
            if (ports.FirstOrDefault(known => known!["port"]!.ToString() == port["port"]?.ToString()) is JsonObject known) Overlay.Merge(known, port);
            else ports.Add(port.DeepClone());
        }
        foreach (var (field, value) in given)
            if (field != "ports") service[field] = value?.DeepClone();
    }

    internal static JsonObject Port(string name, int port, int target) =>
        new() { ["name"] = name, ["port"] = port, ["protocol"] = "TCP", ["targetPort"] = target };

    private static JsonObject Deployment(OperatorSpec spec, Names names, WorkloadSettings settings)
    {
        var deployment = Object("apps/v1", "Deployment", names.Istiod, names.Namespace, Make(spec, Component, "istiod", ("app", "istiod"), ("istio", "pilot")));
        var selector = new JsonObject { ["app"] = "istiod" };
        if (spec.Revision.Length == 0) selector["istio"] = "pilot";
        else selector[Labels.Revision] = spec.Revision;
        var podLabels = Make(spec, Component, "istiod", ("app", "istiod"), (Labels.Inject, "false"));
        // Without this label a Service of the default revision would also select Pods of other revisions.
        if (spec.Revision.Length == 0) podLabels["istio"] = "pilot";
        var template = new JsonObject
        {
            ["metadata"] = new JsonObject
            {
                ["labels"] = podLabels,
                ["annotations"] = new JsonObject
                {
                    ["prometheus.io/port"] = Ports.DiscoveryMonitoring.ToString(CultureInfo.InvariantCulture),
                    ["prometheus.io/scrape"] = "true",
                    [Labels.Inject] = "false",
                },
            },
            ["spec"] = PodSpec(spec, names),
        };
        deployment["spec"] = new JsonObject
        {
            ["strategy"] = settings.Strategy,
            ["selector"] = new JsonObject { ["matchLabels"] = selector },
            ["template"] = template,
        };
        if (settings.Replicas is { } replicas) deployment["spec"]!["replicas"] = replicas;
        settings.Apply((JsonObject)template["spec"]!, (JsonObject)template["metadata"]!);
        return deployment;
    }

    private static JsonObject PodSpec(OperatorSpec spec, Names names)
    {
        var container = new JsonObject
        {
            ["name"] = "discovery",
            ["image"] = spec.Image(spec.Value("pilot", "image")?.ToString() ?? "isthmus", spec.Component("pilot")),
            ["args"] = Strings(
                "discovery", $"--monitoringAddr=:{Ports.DiscoveryMonitoring}",
                $"--log_output_level={spec.Value("global", "logging", "level")?.ToString() ?? "default:info"}",
                "--domain", spec.Value("global", "proxy", "clusterDomain")?.ToString() ?? WellKnown.DefaultDomainSuffix),
            ["ports"] = new JsonArray(ContainerPort(Ports.DiscoveryHttp), ContainerPort(Ports.DiscoveryPlain), ContainerPort(Ports.DiscoveryTls),
                ContainerPort(Ports.Webhook)),
            ["readinessProbe"] = new JsonObject
            {
                ["httpGet"] = new JsonObject { ["path"] = "/ready", ["port"] = Ports.DiscoveryHttp },
                ["periodSeconds"] = 1, ["timeoutSeconds"] = 5,
            },
            ["env"] = Environment(spec, names),
            ["securityContext"] = new JsonObject
            {
                ["allowPrivilegeEscalation"] = false, ["readOnlyRootFilesystem"] = true, ["runAsUser"] = ProxyUser.Id, ["runAsGroup"] = ProxyUser.Id,
                ["runAsNonRoot"] = true, ["capabilities"] = new JsonObject { ["drop"] = Strings("ALL") },
                ["seccompProfile"] = new JsonObject { ["type"] = "RuntimeDefault" },
            },
            ["volumeMounts"] = new JsonArray(Mount("istio-token", "/var/run/secrets/tokens"), Mount("local-certs", "/var/run/secrets/istio-dns"),
                Mount("istio-kubeconfig", "/var/run/secrets/remote")),
        };
        if (spec.Value("global", "imagePullPolicy")?.ToString() is { Length: > 0 } policy) container["imagePullPolicy"] = policy;
        return new JsonObject
        {
            ["serviceAccountName"] = names.Account,
            ["securityContext"] = new JsonObject { ["fsGroup"] = ProxyUser.Id },
            ["containers"] = new JsonArray(container),
            ["volumes"] = new JsonArray(
                new JsonObject { ["name"] = "local-certs", ["emptyDir"] = new JsonObject { ["medium"] = "Memory" } },
                GatewayObjects.TokenVolume(),
                new JsonObject { ["name"] = "istio-kubeconfig", ["secret"] = new JsonObject { ["secretName"] = WellKnown.ConfigSecret, ["optional"] = true } }),
        };
    }

    private static JsonArray Environment(OperatorSpec spec, Names names)
    {
        var env = new JsonArray(
            Value("REVISION", spec.RevisionOrDefault),
            Value("JWT_POLICY", spec.Value("global", "jwtPolicy")?.ToString() ?? "third-party-jwt"),
            Value("PILOT_CERT_PROVIDER", spec.Value("global", "pilotCertProvider")?.ToString() ?? "istiod"),
            Field("POD_NAME", "metadata.name"),
            Field("POD_NAMESPACE", "metadata.namespace"),
            Field("SERVICE_ACCOUNT", "spec.serviceAccountName"),
            Value("KUBECONFIG", "/var/run/secrets/remote/config"),
            Value("ISTIOD_ADDR", $"{names.Host}:{Ports.DiscoveryTls}"),
            Value("CLUSTER_ID", spec.ClusterName),
            Value("MESH_CONFIG_MAP", names.MeshConfigMap),
            Value(InjectorMapVariable, names.InjectorConfigMap),
            Value("INJECTION_WEBHOOK_CONFIG_NAME", WebhookObjects.InjectorName(spec)),
            Value("VALIDATION_WEBHOOK_CONFIG_NAME", WebhookObjects.ValidatorName(spec)));
        if ((bool?)spec.Value("global", "externalIstiod") ?? false) env.Add((JsonNode)Value("EXTERNAL_ISTIOD", "true"));
        foreach (var (name, value) in spec.Value("pilot", "env") as JsonObject ?? [])
        {
            Remove(env, name);
            env.Add((JsonNode)Value(name, value?.ToString() ?? ""));
        }
        foreach (var entry in (spec.Component("pilot")["k8s"]?["env"] as JsonArray ?? []).OfType<JsonObject>())
        {
            Remove(env, entry["name"]?.ToString() ?? "");
            env.Add(entry.DeepClone());
        }
        return env;
    }

    private static void Remove(JsonArray env, string name)
    {
        if (env.FirstOrDefault(entry => entry?["name"]?.ToString() == name) is { } known) env.Remove(known);
    }

    internal static JsonObject ContainerPort(int port) => new() { ["containerPort"] = port, ["protocol"] = "TCP" };

    internal static JsonObject Value(string name, string value) => new() { ["name"] = name, ["value"] = value };

    internal static JsonObject Field(string name, string path) =>
        new() { ["name"] = name, ["valueFrom"] = new JsonObject { ["fieldRef"] = new JsonObject { ["apiVersion"] = "v1", ["fieldPath"] = path } } };

    internal static JsonObject Mount(string name, string path) => new() { ["name"] = name, ["mountPath"] = path, ["readOnly"] = name != "local-certs" };
}

using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Operate.Install.Operator;
using static Isthmus.Operate.Install.Render.ObjectLabels;
using static Isthmus.Operate.Install.Render.Rbac;

namespace Isthmus.Operate.GlobalNames;

/// <summary>What replicated control planes need in addition to istiod: DNS for the global zone, and an ingress gateway that passes its names on (Istio up to
/// 1.8).</summary>
internal static class ReplicatedObjects
{
    private const string Dns = "istiocoredns";
    private const string Entry = "istio-multicluster-ingressgateway";
    private const int PluginPort = 8053;

    internal static bool DnsEnabled(OperatorSpec spec) =>
        (bool?)spec.Spec["addonComponents"]?[Dns]?["enabled"] ?? (bool?)spec.Value(Dns, "enabled") ?? false;

    private static string Suffix(OperatorSpec spec) =>
        spec.Value("global", "multiCluster", "globalDomainSuffix")?.ToString() is { Length: > 0 } suffix ? suffix : "global";

    /// <summary>CoreDNS, with the plugin that gives it the ServiceEntries (chart <c>istiocoredns</c>).</summary>
    internal static IEnumerable<JsonObject> DnsObjects(OperatorSpec spec)
    {
        JsonObject Labelled() => Make(spec, "AddonComponents", Dns, ("app", Dns));
        var (ns, account, role) = (spec.Namespace, $"{Dns}-service-account", $"{Dns}-{spec.Namespace}");
        yield return WithPullSecrets(spec, ServiceAccount(account, ns, Labelled()));
        yield return ClusterRole(role, Labelled(), Rule("networking.istio.io", "serviceentries", "get list watch"), Rule("core", "events", "create patch"));
        yield return ClusterRoleBinding(role, Labelled(), account, ns);
        var map = Object("v1", "ConfigMap", "coredns", ns, Labelled());
        map["data"] = new JsonObject { ["Corefile"] = Corefile(Suffix(spec)) };
        yield return map;
        var service = Object("v1", "Service", Dns, ns, Labelled());
        service["spec"] = YamlText.Parse($$"""
            selector: {app: {{Dns}}}
            ports:
            - {name: dns, port: 53, protocol: UDP}
            - {name: dns-tcp, port: 53, protocol: TCP}
            """, Dns);
        yield return service;
        var deployment = Object("apps/v1", "Deployment", Dns, ns, Labelled());
        deployment["spec"] = DeploymentSpec(spec, account, Labelled());
        yield return deployment;
    }

    private static string Corefile(string suffix) => $$"""
        .:53 {
            errors
            health {
                lameduck 2s
            }
            ready
            grpc {{suffix}} 127.0.0.1:{{PluginPort}}
            forward . /etc/resolv.conf {
                except {{suffix}}
            }
            prometheus :9153
            cache 30
            reload
        }

        """;

    private static JsonNode DeploymentSpec(OperatorSpec spec, string account, JsonObject labels)
    {
        var body = (JsonObject)YamlText.Parse($$"""
            replicas: {{spec.Value(Dns, "replicaCount")?.ToString() ?? "1"}}
            selector:
              matchLabels: {app: {{Dns}}}
            strategy:
              rollingUpdate: {maxSurge: 100%, maxUnavailable: 25%}
            template:
              metadata:
                annotations:
                  {{Labels.Inject}}: "false"
              spec:
                serviceAccountName: {{account}}
                containers:
                - name: coredns
                  image: {{Image(spec, "coreDNSImage", "coreDNSTag")}}
                  args: [-conf, /etc/coredns/Corefile]
                  resources:
                    requests: {cpu: 10m, memory: 70Mi}
                    limits: {memory: 170Mi}
                  ports:
                  - {containerPort: 53, name: dns, protocol: UDP}
                  - {containerPort: 53, name: dns-tcp, protocol: TCP}
                  - {containerPort: 9153, name: metrics, protocol: TCP}
                  readinessProbe:
                    httpGet: {path: /ready, port: 8181}
                    periodSeconds: 1
                  livenessProbe:
                    httpGet: {path: /health, port: 8080}
                    initialDelaySeconds: 60
                    timeoutSeconds: 5
                    failureThreshold: 5
                  securityContext:
                    allowPrivilegeEscalation: false
                    readOnlyRootFilesystem: true
                    capabilities: {add: [NET_BIND_SERVICE], drop: [ALL]}
                  volumeMounts:
                  - {name: config-volume, mountPath: /etc/coredns, readOnly: true}
                - name: istio-coredns-plugin
                  image: {{Image(spec, "coreDNSPluginImage", "")}}
                  resources:
                    requests: {cpu: 10m, memory: 70Mi}
                    limits: {memory: 170Mi}
                  ports:
                  - {containerPort: {{PluginPort}}, name: dns-grpc, protocol: TCP}
                  securityContext:
                    allowPrivilegeEscalation: false
                    readOnlyRootFilesystem: true
                    capabilities: {drop: [ALL]}
                volumes:
                - name: config-volume
                  configMap:
                    name: coredns
                    items:
                    - {key: Corefile, path: Corefile}
            """, Dns)!;
        body["template"]!["metadata"]!["labels"] = labels;
        foreach (var container in (body["template"]!["spec"]!["containers"] as JsonArray)!.OfType<JsonObject>())
        {
            // In the Isthmus image the first argument selects the program; other images start their own.
            if (spec.Value(Dns, container["name"]!.ToString() == "coredns" ? "coreDNSImage" : "coreDNSPluginImage") is null)
                container["args"] = container["name"]!.ToString() == "coredns" ? Strings("dns", "-conf", "/etc/coredns/Corefile") : Strings("coredns-plugin");
            if (spec.Value("global", "imagePullPolicy")?.ToString() is { Length: > 0 } policy) container["imagePullPolicy"] = policy;
        }
        return body;
    }

    private static string Image(OperatorSpec spec, string image, string tag)
    {
        if (spec.Value(Dns, image)?.ToString() is not { Length: > 0 } given) return spec.Image("isthmus");
        return tag.Length > 0 && spec.Value(Dns, tag)?.ToString() is { Length: > 0 } version ? $"{given}:{version}" : given;
    }

    /// <summary>The gateway for global-zone names, and mesh TLS to them (chart <c>gateways/istio-ingress</c>, <c>preconfigured.yaml</c>).</summary>
    internal static IEnumerable<JsonObject> GatewayObjects(OperatorSpec spec)
    {
        var suffix = Suffix(spec);
        JsonObject Made(string apiVersion, string kind, string body)
        {
            var made = Object(apiVersion, kind, Entry, spec.Namespace, Make(spec, "IngressGateways", Entry));
            made["spec"] = YamlText.Parse(body, Entry);
            return made;
        }
        yield return Made("networking.istio.io/v1alpha3", "Gateway", $$"""
            selector: {istio: ingressgateway}
            servers:
            - port: {number: {{Ports.EastWest}}, protocol: TLS, name: tls}
              tls: {mode: AUTO_PASSTHROUGH}
              hosts: ["*.{{suffix}}"]
            """);
        // Endpoints of ServiceEntries do not declare mesh TLS: without the rule, calls would be sent in plain text.
        yield return Made("networking.istio.io/v1alpha3", "DestinationRule", $$"""
            host: "*.{{suffix}}"
            trafficPolicy:
              tls: {mode: ISTIO_MUTUAL}
            """);
        if (!((bool?)spec.Value("global", "multiCluster", "includeEnvoyFilter") ?? true)) yield break;
        var domain = spec.Value("global", "proxy", "clusterDomain")?.ToString() ?? WellKnown.DefaultDomainSuffix;
        yield return Made("networking.istio.io/v1alpha3", "EnvoyFilter", $$"""
            workloadSelector:
              labels: {istio: ingressgateway}
            configPatches:
            - applyTo: NETWORK_FILTER
              match:
                context: GATEWAY
                listener:
                  portNumber: {{Ports.EastWest}}
                  filterChain:
                    filter: {name: envoy.filters.network.sni_cluster}
              patch:
                operation: INSERT_AFTER
                value:
                  name: envoy.filters.network.tcp_cluster_rewrite
                  typed_config:
                    "@type": type.googleapis.com/istio.envoy.config.filter.network.tcp_cluster_rewrite.v2alpha1.TcpClusterRewrite
                    cluster_pattern: "\\.{{suffix}}$"
                    cluster_replacement: .svc.{{domain}}
            """);
    }
}

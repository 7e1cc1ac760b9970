using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Operate.Install;
using Xunit;

namespace Isthmus.Tests.Operate.SideBySide;

/// <summary>What <c>istioctl install --revision 1-24</c> leaves in a cluster, restated in short: names, labels, and the parts that ours could collide
/// with.</summary>
internal static class IstioObjects
{
    private const string Labels =
        "release: istio, operator.istio.io/component: Pilot, operator.istio.io/managed: Reconcile, install.operator.istio.io/owning-resource: unknown, "
            + "install.operator.istio.io/owning-resource-namespace: istio-system";

    private static string Text(string revision, string suffix) => $$"""
        {apiVersion: v1, kind: ServiceAccount,
          metadata: {name: istiod{{suffix}}, namespace: istio-system, labels: {app: istiod, istio.io/rev: {{revision}}, {{Labels}} } } }
        ---
        {apiVersion: v1, kind: ServiceAccount, metadata: {name: istio-reader-service-account, namespace: istio-system,
          labels: {app: istio-reader, istio.io/rev: {{revision}}, release: istio, operator.istio.io/component: Base} } }
        ---
        {apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole,
         metadata: {name: istio-reader-clusterrole{{suffix}}-istio-system, labels: {app: istio-reader, istio.io/rev: {{revision}}, {{Labels}} } }, rules: [] }
        ---
        {apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole,
         metadata: {name: istiod-clusterrole{{suffix}}-istio-system, labels: {app: istiod, istio.io/rev: {{revision}}, {{Labels}} } }, rules: [] }
        ---
        {apiVersion: rbac.authorization.k8s.io/v1, kind: Role,
          metadata: {name: istiod{{suffix}}, namespace: istio-system, labels: {app: istiod, istio.io/rev: {{revision}}, {{Labels}} } }, rules: [] }
        ---
        {apiVersion: v1, kind: ConfigMap, metadata: {name: istio{{suffix}}, namespace: istio-system, labels: {istio.io/rev: {{revision}}, {{Labels}} } },
          data: {mesh: "trustDomain: cluster.local"} }
        ---
        {apiVersion: v1, kind: ConfigMap, metadata: {name: istio-sidecar-injector{{suffix}}, namespace: istio-system,
          labels: {istio.io/rev: {{revision}}, {{Labels}} } }, data: {values: "{}", config: "templates: {}"} }
        ---
        apiVersion: v1
        kind: Service
        metadata: {name: istiod{{suffix}}, namespace: istio-system, labels: {app: istiod, istio: pilot, istio.io/rev: {{revision}}, {{Labels}} } }
        spec: {ports: [{name: https-dns, port: 15012, protocol: TCP}, {name: https-webhook, port: 443, targetPort: 15017, protocol: TCP}],
          selector: {app: istiod, istio.io/rev: {{revision}} } }
        ---
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: istiod{{suffix}}, namespace: istio-system, labels: {app: istiod, istio: pilot, istio.io/rev: {{revision}}, {{Labels}} } }
        spec:
          selector: {matchLabels: {app: istiod, istio.io/rev: {{revision}} } }
          template:
            metadata: {labels: {app: istiod, istio.io/rev: {{revision}}, sidecar.istio.io/inject: "false"} }
            spec: {containers: [{name: discovery, image: "docker.io/istio/pilot:1.24.0", args: [discovery, "--domain", cluster.local],
                env: [{name: REVISION, value: {{revision}} }, {name: PILOT_CERT_PROVIDER, value: istiod}]}]}
        ---
        apiVersion: admissionregistration.k8s.io/v1
        kind: MutatingWebhookConfiguration
        metadata: {name: istio-sidecar-injector{{suffix}}, labels: {app: sidecar-injector, istio.io/rev: {{revision}}, {{Labels}} } }
        webhooks:
        - name: rev.namespace.sidecar-injector.istio.io
          clientConfig: {service: {name: istiod{{suffix}}, namespace: istio-system, path: /inject, port: 443}, caBundle: "LS0=" }
          rules: [{operations: [CREATE], apiGroups: [""], apiVersions: [v1], resources: [pods]}]
          namespaceSelector: {matchExpressions: [{key: istio.io/rev, operator: In, values: [{{revision}}]}, {key: istio-injection, operator: DoesNotExist}]}
          sideEffects: None
          failurePolicy: Fail
          admissionReviewVersions: [v1]
        ---
        apiVersion: admissionregistration.k8s.io/v1
        kind: MutatingWebhookConfiguration
        metadata: {name: istio-revision-tag-prod, labels: {app: sidecar-injector, istio.io/rev: {{revision}}, istio.io/tag: prod, {{Labels}} } }
        webhooks:
        - name: rev.namespace.sidecar-injector.istio.io
          clientConfig: {service: {name: istiod{{suffix}}, namespace: istio-system, path: /inject, port: 443}, caBundle: "LS0=" }
          rules: [{operations: [CREATE], apiGroups: [""], apiVersions: [v1], resources: [pods]}]
          namespaceSelector: {matchExpressions: [{key: istio.io/rev, operator: In, values: [prod]}, {key: istio-injection, operator: DoesNotExist}]}
          sideEffects: None
          failurePolicy: Fail
          admissionReviewVersions: [v1]
        ---
        apiVersion: admissionregistration.k8s.io/v1
        kind: ValidatingWebhookConfiguration
        metadata: {name: istiod-default-validator, labels: {app: istiod, istio: istiod, istio.io/rev: {{revision}}, release: istio} }
        webhooks:
        - name: validation.istio.io
          clientConfig: {service: {name: istiod{{suffix}}, namespace: istio-system, path: /validate, port: 443}, caBundle: "LS0=" }
          rules: [{operations: [CREATE, UPDATE], apiGroups: [networking.istio.io], apiVersions: ["*"], resources: ["*"]}]
          failurePolicy: Ignore
          sideEffects: None
          admissionReviewVersions: [v1]
          objectSelector: {matchExpressions: [{key: istio.io/rev, operator: DoesNotExist}]}
        ---
        apiVersion: admissionregistration.k8s.io/v1
        kind: ValidatingWebhookConfiguration
        metadata: {name: istio-validator{{suffix}}-istio-system, labels: {app: istiod, istio: istiod, istio.io/rev: {{revision}}, {{Labels}} } }
        webhooks:
        - name: rev.validation.istio.io
          clientConfig: {service: {name: istiod{{suffix}}, namespace: istio-system, path: /validate, port: 443}, caBundle: "LS0=" }
          rules: [{operations: [CREATE, UPDATE], apiGroups: [networking.istio.io], apiVersions: ["*"], resources: ["*"]}]
          failurePolicy: Ignore
          sideEffects: None
          admissionReviewVersions: [v1]
          objectSelector: {matchExpressions: [{key: istio.io/rev, operator: In, values: [{{revision}}]}]}
        """;

    /// <summary>A gateway whose Pods are not injected.</summary>
    internal const string Gateway = """
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: istio-ingressgateway, namespace: istio-system,
          labels: {app: istio-ingressgateway, istio.io/rev: 1-24, release: istio, operator.istio.io/component: IngressGateways} }
        spec:
          selector: {matchLabels: {app: istio-ingressgateway} }
          template:
            metadata: {labels: {app: istio-ingressgateway} }
            spec: {containers: [{name: istio-proxy, image: "docker.io/istio/proxyv2:1.24.0", args: [proxy, router]}]}
        """;

    /// <param name="revision">Empty for the default revision.</param>
    internal static IReadOnlyList<JsonObject> Of(string revision) =>
        Parse(Text(revision.Length == 0 ? "default" : revision, revision.Length == 0 ? "" : $"-{revision}"));

    internal static IReadOnlyList<JsonObject> Parse(string text) => [.. YamlText.ParseAll(text, "istio").OfType<JsonObject>()];

    internal static async Task CreateAsync(KubeClient client, IEnumerable<JsonObject> objects)
    {
        foreach (var value in objects) await client.CreateAsync(Manifests.KindOf(value)!, value, TestContext.Current.CancellationToken);
    }

    /// <summary>The objects as they are now, by name.</summary>
    internal static async Task<IReadOnlyDictionary<string, string>> ReadAsync(KubeClient client, IEnumerable<JsonObject> objects)
    {
        var found = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (var value in objects)
        {
            var (kind, metadata) = (Manifests.KindOf(value)!, value["metadata"]!);
            var live = await client.FindAsync(kind, metadata["namespace"]?.ToString(), metadata["name"]!.ToString(), TestContext.Current.CancellationToken);
            found[$"{kind.Kind} {metadata["name"]}"] = live?.ToJsonString() ?? "gone";
        }
        return found;
    }

    internal static async Task NamespaceAsync(KubeClient client, string name) =>
        await client.CreateAsync(Kinds.Namespace, new JsonObject { ["metadata"] = new JsonObject { ["name"] = name } }, TestContext.Current.CancellationToken);
}

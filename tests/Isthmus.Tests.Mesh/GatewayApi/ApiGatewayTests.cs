using System.Security.Cryptography.X509Certificates;
using Isthmus.Testing;
using Isthmus.Tests.Mesh.Meshes;
using Xunit;

namespace Isthmus.Tests.Mesh.GatewayApi;

/// <summary>A Gateway of the Gateway API in a lab, with what its experimental channel has: the control plane deploys it, and a Pod of the cluster calls
/// it.</summary>
[Collection(nameof(PlacedMesh))]
[Trait("shard", nameof(PlacedMesh))]
public sealed class ApiGatewayTests(PlacedMeshRig mesh)
{
    private const string Cluster = "cluster1", Front = "front-istio.api";

    private static readonly (string Group, string Kind, string Plural, string Scope)[] Kinds =
    [
        ("gateway.networking.k8s.io", "GatewayClass", "gatewayclasses", "Cluster"), ("gateway.networking.k8s.io", "Gateway", "gateways", "Namespaced"),
        ("gateway.networking.k8s.io", "HTTPRoute", "httproutes", "Namespaced"),
        ("gateway.networking.k8s.io", "BackendTLSPolicy", "backendtlspolicies", "Namespaced"),
    ];

    /// <summary>Whatever a release of the definitions lacks, they keep every field.</summary>
    [Fact]
    public async Task Sessions_authorizers_and_trust_bundles_work_at_a_Gateway_that_only_the_cluster_reaches()
    {
        using var authority = new TestCa("api");
        using var pair = authority.RsaServer("secure.example");
        using var key = pair.GetRSAPrivateKey()!;
        await ApplyAsync(string.Join("\n---\n", Kinds.Select(kind => Definition(kind.Group, kind.Kind, kind.Plural, kind.Scope))));
        try
        {
            await MeshRig.UntilAsync(() => mesh.KubectlAsync(Cluster, "get gatewayclass istio"), _ => true, "the class istio");
            await ApplyAsync(Workloads(pair.ExportCertificatePem(), key.ExportPkcs8PrivateKeyPem()));
            await ApplyAsync(Objects(authority.Pem));
            await mesh.ReadyAsync(Cluster, "api");
            var addresses = await MeshRig.UntilAsync(
                () => mesh.KubectlAsync(Cluster, "-n api get gateway front -o jsonpath={.status.addresses[*].value},{.status.conditions[*].reason}"),
                text => text.Contains("Programmed", StringComparison.Ordinal) && text.Contains(",Accepted", StringComparison.Ordinal), "the Gateway is served");
            Assert.StartsWith("10.96.", addresses, StringComparison.Ordinal);
            Assert.Equal("ClusterIP", await mesh.KubectlAsync(Cluster, "-n api get service front-istio -o jsonpath={.spec.type}"));

            // A client stays with its Pod, and others are shared out.
            await HearsAsync($"curl -sS -m 5 -o /dev/null -w %{{http_code}} {Front}/kept", "200");
            var kept = await AskAsync($"curl -sS -m 5 -c jar {Front}/kept >/dev/null; for i in $(seq 12); do curl -sS -m 5 -b jar {Front}/kept; done");
            Assert.Single(Pods(kept).Distinct());
            Assert.Equal(12, Pods(kept).Count);
            await MeshRig.UntilAsync(() => AskAsync($"for i in $(seq 12); do curl -sS -m 5 {Front}/kept; done"),
                text => Pods(text).Distinct().Count() == 2, "clients without a cookie reach both Pods");

            // The authorizer decides about its rule alone.
            foreach (var path in (string[])["/http", "/grpc"])
            {
                await HearsAsync($"curl -sS -m 5 -o /dev/null -w %{{http_code}} -H 'x-ext-authz: allow' {Front}{path}", "200");
                Assert.Equal("403", await AskAsync($"curl -sS -m 5 -o /dev/null -w %{{http_code}} -H 'x-ext-authz: no' {Front}{path}"));
            }
            Assert.Equal("200", await AskAsync($"curl -sS -m 5 -o /dev/null -w %{{http_code}} -H 'x-ext-authz: no' {Front}/kept"));

            // TLS to the backend lasts as long as the bundle of its CAs.
            await HearsAsync($"curl -sS -m 5 {Front}/secure", "\"serverName\": \"secure.example\"");
            await mesh.KubectlAsync(Cluster, "delete clustertrustbundle example");
            await HearsAsync($"curl -sS -m 5 -o /dev/null -w %{{http_code}} {Front}/secure", "503");
        }
        finally
        {
            await mesh.KubectlAsync(Cluster, "delete namespace api --ignore-not-found");
            await mesh.KubectlAsync(Cluster, $"delete crd {string.Join(' ', Kinds.Select(kind => $"{kind.Plural}.{kind.Group}"))} --ignore-not-found");
        }
    }

    private Task ApplyAsync(string text) => mesh.WithFileAsync(text, path => mesh.KubectlAsync(Cluster, $"apply -f {path}"));

    private Task<string> AskAsync(string script) => mesh.ScriptAsync(Cluster, "api", "deploy/client", "client", $"cd /tmp; {script}; true");

    private Task<string> HearsAsync(string script, string words) =>
        MeshRig.UntilAsync(() => AskAsync(script), text => text.Contains(words, StringComparison.Ordinal), $"'{words}' from: {script}");

    private static List<string> Pods(string answers) => [.. answers.Split("\"pod\": \"").Skip(1).Select(rest => rest.Split('"')[0])];

    private static string Definition(string group, string kind, string plural, string scope) => $$"""
        apiVersion: apiextensions.k8s.io/v1
        kind: CustomResourceDefinition
        metadata:
          name: {{plural}}.{{group}}
          annotations:
            gateway.networking.k8s.io/bundle-version: v1.7.0
            gateway.networking.k8s.io/channel: experimental
            api-approved.kubernetes.io: unapproved
        spec:
          group: {{group}}
          scope: {{scope}}
          names: {kind: {{kind}}, plural: {{plural}}, singular: {{kind.ToLowerInvariant()}}, listKind: {{kind}}List}
          versions:
          - name: v1
            served: true
            storage: true
            subresources: {status: {} }
            schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true} }
        """;

    private static string Workloads(string certificate, string key) => $$"""
        apiVersion: v1
        kind: Namespace
        metadata: {name: api}
        ---
        apiVersion: v1
        kind: Secret
        metadata: {name: pair, namespace: api}
        stringData:
          crt: "{{certificate.ReplaceLineEndings("\\n")}}"
          key: "{{key.ReplaceLineEndings("\\n")}}"
        {{Workload("client", "host.lab.internal/rootfs", 1, "command: [sleep, infinity]")}}
        {{Workload("echo", "registry.k8s.io/gateway-api/echo-basic:v1.5.1", 2, Named)}}
        {{Workload("secure", "registry.k8s.io/gateway-api/echo-basic:v1.5.1", 1, $"{Named}, {Paired}")}}
        {{Workload("auth", "docker.io/istio/ext-authz:0.5", 1, "env: [")}}
        ---
        apiVersion: v1
        kind: Service
        metadata: {name: echo, namespace: api}
        spec: {selector: {app: echo}, ports: [{name: http, port: 80, targetPort: 3000}]}
        ---
        apiVersion: v1
        kind: Service
        metadata: {name: secure, namespace: api}
        spec: {selector: {app: secure}, ports: [{name: web, port: 443, targetPort: 8443}]}
        ---
        apiVersion: v1
        kind: Service
        metadata: {name: auth, namespace: api}
        spec: {selector: {app: auth}, ports: [{name: web, port: 8000}, {name: calls, port: 9000}]}
        """;

    private const string Named =
        "env: [{name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}, {name: NAMESPACE, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}";

    private const string Paired = "{name: TLS_SERVER_CERT, value: /pair/crt}, {name: TLS_SERVER_PRIVKEY, value: /pair/key}";

    private static string Workload(string name, string image, int replicas, string more) => $$"""
        ---
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: {{name}}, namespace: api}
        spec:
          replicas: {{replicas}}
          selector: {matchLabels: {app: {{name}} } }
          template:
            metadata: {labels: {app: {{name}} } }
            spec:
              terminationGracePeriodSeconds: 0
              volumes: [{name: pair, secret: {secretName: pair} }]
              containers:
              - name: {{name}}
                image: {{image}}
                volumeMounts: [{name: pair, mountPath: /pair}]
                {{more}}{{(more.StartsWith("env", StringComparison.Ordinal) ? "]" : "")}}
        """;

    private static string Objects(string authority) => $$"""
        apiVersion: certificates.k8s.io/v1beta1
        kind: ClusterTrustBundle
        metadata: {name: example}
        spec: {trustBundle: "{{authority.ReplaceLineEndings("\\n")}}"}
        ---
        apiVersion: gateway.networking.k8s.io/v1
        kind: BackendTLSPolicy
        metadata: {name: secure, namespace: api}
        spec:
          targetRefs: [{group: '', kind: Service, name: secure}]
          validation: {hostname: secure.example, caCertificateRefs: [{group: certificates.k8s.io, kind: ClusterTrustBundle, name: example}]}
        ---
        apiVersion: gateway.networking.k8s.io/v1
        kind: Gateway
        metadata: {name: front, namespace: api}
        spec:
          gatewayClassName: istio
          addresses: [{type: IPAddress, routability: Cluster}]
          listeners: [{name: http, port: 80, protocol: HTTP}]
        ---
        apiVersion: gateway.networking.k8s.io/v1
        kind: HTTPRoute
        metadata: {name: all, namespace: api}
        spec:
          parentRefs: [{name: front}]
          rules:
          - {{At("/kept")}}
            sessionPersistence: {sessionName: mine}
            backendRefs: [{name: echo, port: 80}]
          - {{At("/http")}}
            filters: [{type: ExternalAuth, externalAuth: {protocol: HTTP, backendRef: {name: auth, port: 8000}, http: {allowedHeaders: [x-ext-authz]} } }]
            backendRefs: [{name: echo, port: 80}]
          - {{At("/grpc")}}
            filters: [{type: ExternalAuth, externalAuth: {protocol: GRPC, backendRef: {name: auth, port: 9000} } }]
            backendRefs: [{name: echo, port: 80}]
          - {{At("/secure")}}
            backendRefs: [{name: secure, port: 443}]
        """;

    private static string At(string path) => $"matches: [{{path: {{type: PathPrefix, value: {path}}}}}]";
}

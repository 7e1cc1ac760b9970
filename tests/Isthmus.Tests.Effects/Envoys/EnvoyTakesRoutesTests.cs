using Isthmus.Kubernetes.Objects;
using Isthmus.Rigs.Mesh;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Effects.Envoys;

/// <summary>Envoy, as its project builds it, takes what is made of routes of the Gateway API and of BackendTLSPolicies, and finds nothing to warn of.</summary>
public sealed class EnvoyTakesRoutesTests
{
    private const string To = "backendRefs: [{name: web, port: 80}]";

    /// <summary>Each is the rules of a route for Service <c>web</c>.</summary>
    internal static readonly string[] Rules =
    [
        $"{{matches: [{{path: {{type: Exact, value: /a}}, method: GET}}, {{path: {{type: RegularExpression, value: '/[a-z]+'}}, headers: [{{name: x, type: "
            + $"RegularExpression, value: 'a.b'}}], queryParams: [{{name: q, type: RegularExpression, value: '.*'}}]}}], {To}}}",
        $"{{matches: [{{path: {{type: PathPrefix, value: /a.b}}}}], filters: [{{type: URLRewrite, urlRewrite: {{hostname: other.example, path: {{type: "
            + $"ReplacePrefixMatch, replacePrefixMatch: /}}}}}}], {To}}}",
        $"{{matches: [{{path: {{type: PathPrefix, value: /a}}}}], filters: [{{type: URLRewrite, urlRewrite: {{path: {{type: ReplacePrefixMatch, "
            + $"replacePrefixMatch: /x}}}}}}], {To}}}",
        $"{{filters: [{{type: URLRewrite, urlRewrite: {{path: {{type: ReplaceFullPath, replaceFullPath: /x}}}}}}], {To}}}",
        "{filters: [{type: RequestRedirect, requestRedirect: {scheme: https, port: 8443, statusCode: 308, path: {type: ReplacePrefixMatch, replacePrefixMatch: "
            + "''}}}], matches: [{path: {type: PathPrefix, value: /a}}]}",
        "{filters: [{type: RequestRedirect, requestRedirect: {path: {type: ReplaceFullPath, replaceFullPath: /x}}}]}",
        $"{{filters: [{{type: RequestHeaderModifier, requestHeaderModifier: {{set: [{{name: host, value: h}}, {{name: x, value: y}}], remove: [z]}}}}, {{type: "
            + $"RequestMirror, requestMirror: {{backendRef: {{name: web, port: 80}}, percent: 10}}}}], {To}}}",
        $"{{filters: [{{type: CORS, cors: {{allowOrigins: ['*', 'https://*.example.com', 'https://a.example'], allowMethods: ['*'], allowHeaders: ['*'], "
            + $"exposeHeaders: [x], allowCredentials: true, maxAge: 10}}}}], {To}}}",
        $"{{retry: {{codes: [500, 503], attempts: 4, backoff: 100ms}}, timeouts: {{request: 10s, backendRequest: 2s}}, {To}}}",
        $"{{timeouts: {{backendRequest: 2s}}, {To}}}",
        "{backendRefs: [{name: web, port: 80, weight: 2, filters: [{type: URLRewrite, urlRewrite: {hostname: h, path: {type: ReplaceFullPath, replaceFullPath: "
            + "/x}}}]}, {name: web, port: 80, weight: 1, filters: [{type: ResponseHeaderModifier, responseHeaderModifier: {add: [{name: a, value: b}]}}]}, "
            + "{name: none, port: 80}]}",
        $"{{sessionPersistence: {{sessionName: s}}, {To}}}",
        $"{{sessionPersistence: {{type: Cookie, absoluteTimeout: 1h, cookie: {{name: s, path: /x, lifetimeType: Permanent}}}}, {To}}}",
        $"{{sessionPersistence: {{type: Header, header: {{name: x-s}}}}, {To}}}",
        $"{{filters: [{{type: ExternalAuth, externalAuth: {{protocol: HTTP, backendRef: {{name: web, port: 80}}, http: {{path: /check}}}}}}], {To}}}",
        $"{{filters: [{{type: ExternalAuth, externalAuth: {{protocol: HTTP, backendRef: {{name: web, port: 80}}, forwardBody: {{maxSize: 9}}, http: "
            + $"{{allowedHeaders: [x-a], allowedResponseHeaders: [x-b]}}}}}}], {To}}}",
        $"{{filters: [{{type: ExternalAuth, externalAuth: {{protocol: GRPC, backendRef: {{name: web, port: 80}}, grpc: {{allowedHeaders: [x-a]}}}}}}], {To}}}",
        "{backendRefs: [{name: none, port: 80}]}",
        "{filters: [{type: ExtensionRef}], matches: [{headers: [{name: x, type: RegularExpression, value: '('}]}]}",
    ];

    [Fact]
    public async Task Envoy_takes_every_rule_and_every_policy_without_a_warning()
    {
        _ = EnvoyProcess.Program;
        var folder = Directory.CreateTempSubdirectory("envoy").FullName;
        try
        {
            var socket = Path.Combine(folder, "discovery");
            var mesh = new MeshRig("c1");
            mesh.App("c1", "web", "10.96.0.7", "10.244.0.1");
            mesh.Writer.Put("c1", new ConfigMap { Metadata = new() { Name = "ca", Namespace = "shop" }, Data = { ["ca.crt"] = new TestCa("ca").Pem } });
            mesh.Push();
            await using var discovery = await DiscoveryForEnvoys.StartAsync(mesh, socket);
            using var client = new EnvoyProcess(EnvoyTakesTests.Node("sidecar", "client", "10.244.0.7"), socket, folder);
            var followed = new FollowedMesh(discovery, client);
            await followed.BeginAsync();
            foreach (var (index, rules) in Rules.Index())
            {
                await followed.ChangeAsync($"rules {index}", rig => rig.Config($$"""
                    apiVersion: gateway.networking.k8s.io/v1
                    kind: HTTPRoute
                    metadata: {name: r, namespace: shop}
                    spec: {parentRefs: [{group: '', kind: Service, name: web}], rules: [{{rules}}]}
                    """));
            }
            foreach (var validation in new[]
            {
                "caCertificateRefs: [{group: '', kind: ConfigMap, name: ca}], subjectAltNames: [{type: URI, uri: 'spiffe://x/y'}]",
                "wellKnownCACertificates: System", "caCertificateRefs: [{group: '', kind: ConfigMap, name: none}]"
            })
            {
                await followed.ChangeAsync(validation, rig => rig.Config($$"""
                    apiVersion: gateway.networking.k8s.io/v1
                    kind: BackendTLSPolicy
                    metadata: {name: p, namespace: shop}
                    spec: {targetRefs: [{group: '', kind: Service, name: web}], validation: {hostname: a.example, {{validation}} } }
                    """));
            }
            foreach (var rules in (string[])[$"{{{To}}}", "{backendRefs: [{name: web, port: 80}, {name: web, port: 80}]}"])
            {
                await followed.ChangeAsync($"policy of {rules}", rig => rig.Config($$"""
                    apiVersion: gateway.networking.k8s.io/v1
                    kind: HTTPRoute
                    metadata: {name: r, namespace: shop}
                    spec: {parentRefs: [{group: '', kind: Service, name: web}], rules: [{{rules}}]}
                    ---
                    apiVersion: gateway.networking.x-k8s.io/v1alpha1
                    kind: XBackendTrafficPolicy
                    metadata: {name: p, namespace: shop}
                    spec: {targetRefs: [{group: '', kind: Service, name: web}], retryConstraint: {}, sessionPersistence: {sessionName: s} }
                    """));
            }
            await followed.FoundNothingAsync();
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}

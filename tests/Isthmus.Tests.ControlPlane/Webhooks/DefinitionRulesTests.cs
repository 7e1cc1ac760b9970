using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Mesh.Config;
using Isthmus.Rigs.Servers;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Webhooks;

/// <summary>What API servers refuse by the definitions of Istio's kinds alone, without the webhook; admission refuses the same.</summary>
public sealed class DefinitionRulesTests(RunningApiServer server) : IClassFixture<RunningApiServer>, IAsyncLifetime
{
    private static readonly string Long = new('a', 3000);

    private const string ModuleUrl = "must be a URL of http, https, oci or file, and one with a port needs its scheme, as in oci://registry:5000/filter";

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    /// <summary>A kind, a spec that breaks one limit or rule, and a part of what the server says.</summary>
    public static TheoryData<string, string, string> Broken => new()
    {
        // Rules of single values.
        {
            "VirtualService", "hosts: [web], http: [{timeout: 0s, route: [{destination: {host: web}}]}]",
            "spec.http[0].timeout: Invalid value: \"string\": must be a duration of at least 1ms"
        },
        { "VirtualService", "hosts: [web], http: [{timeout: soon, route: [{destination: {host: web}}]}]", "invalid duration: soon" },
        { "DestinationRule", "host: web, trafficPolicy: {connectionPool: {tcp: {connectTimeout: 1us}}}", "must be a duration of at least 1ms" },
        { "Telemetry", "metrics: [{reportingInterval: -5s}]", "must be a duration of at least 1ms" },
        {
            "ServiceEntry", "hosts: [a.example], ports: [{number: 0, name: a, protocol: TCP}]",
            "spec.ports[0].number: Invalid value: \"integer\": must be a port, from 1 to 65535"
        },
        { "ServiceEntry", "hosts: [a.example], ports: [{number: 80, name: a, protocol: TCP, targetPort: 65536}]", "must be a port, from 1 to 65535" },
        { "WorkloadEntry", "address: 10.0.0.1, ports: {http: 0}", "must be a port, from 1 to 65535" },
        { "PeerAuthentication", "selector: {matchLabels: {app: a}}, portLevelMtls: {'0': {mode: STRICT}}", "each key must be a port, from 1 to 65535" },
        { "PeerAuthentication", "selector: {matchLabels: {app: a}}, portLevelMtls: {http: {mode: STRICT}}", "spec.portLevelMtls" },
        { "WorkloadEntry", "address: 10.0.0.1, ports: {-http: 80}", "each key must be the name of a port" },
        {
            "ServiceEntry", "hosts: [a.example], ports: [{number: 80, name: a, protocol: TCP}, {number: 80, name: b, protocol: TCP}]",
            "each port must have another number"
        },
        { "ServiceEntry", "hosts: [a.example], ports: [{number: 80, name: a, protocol: TCP}, {number: 81, name: a, protocol: TCP}]", "Duplicate value" },
        { "Sidecar", "workloadSelector: {labels: {app: 'a*'}}", "must not have a wildcard" },
        { "AuthorizationPolicy", "selector: {matchLabels: {app: '*'}}", "must not have a wildcard" },
        { "AuthorizationPolicy", "selector: {matchLabels: {'a*': b}}", "no key may have a wildcard" },
        { "PeerAuthentication", "selector: {matchLabels: {'': b}}", "no key may be empty" },
        { "RequestAuthentication", "targetRefs: [{kind: Gateway, name: a, namespace: b}]", "must be empty: objects of other namespaces cannot be targets" },
        { "ServiceEntry", "hosts: ['*'], ports: [{number: 80, name: a, protocol: TCP}]", "must not be *" },
        { "WorkloadGroup", "template: {}, probe: {httpGet: {port: 80, scheme: FTP}}", "must be HTTP or HTTPS" },
        { "RequestAuthentication", "jwtRules: [{issuer: a, jwksUri: 'ftp://a.example/keys'}]", "must be a URL that begins with http:// or https://" },
        { "WasmPlugin", "url: '#%a$#@'", ModuleUrl },
        { "WasmPlugin", "url: 'a b'", ModuleUrl },
        // What is before the colon is a scheme, for Istio's definition, too.
        { "WasmPlugin", "url: 'registry:5000/filter'", ModuleUrl },
        { "WasmPlugin", "url: 'registry.example:5000/filter'", ModuleUrl },
        { "WorkloadEntry", "address: 'unix://run/a.sock'", "a socket must have an absolute path, or be abstract (@)" },
        { "WorkloadEntry", "address: 'unix:///run/'", "must be a socket, not a directory" },
        { "WorkloadEntry", "address: 'unix:///run/a.sock', ports: {http: 80}", "a socket has no ports" },
        { "WorkloadEntry", "labels: {app: a}", "one of address, network must be set" },
        // Rules between fields.
        {
            "AuthorizationPolicy", "selector: {matchLabels: {app: a}}, targetRef: {kind: Gateway, name: a}",
            "only one of selector, targetRef, targetRefs may be set"
        },
        {
            "EnvoyFilter", "workloadSelector: {labels: {app: a}}, targetRefs: [{kind: Gateway, name: a}]", "only one of workloadSelector, targetRefs may be set"
        },
        {
            "Gateway", "servers: [{port: {number: 443, name: a, protocol: HTTPS}, hosts: ['*'], tls: {mode: SIMPLE, credentialName: a, credentialNames: [b]}}]",
            "only one of credentialName, credentialNames may be set"
        },
        {
            "Gateway",
            "servers: [{port: {number: 443, name: a, protocol: HTTPS}, hosts: ['*'], tls: {mode: SIMPLE, credentialNames: [b], tlsCertificates: "
                + "[{serverCertificate: /a, privateKey: /b}]}}]",
            "only one of credentialNames, tlsCertificates may be set"
        },
        {
            "ServiceEntry", "hosts: [a.example], resolution: STATIC, workloadSelector: {labels: {app: a}}, endpoints: [{address: 10.0.0.1}]",
            "only one of workloadSelector, endpoints may be set"
        },
        {
            "ServiceEntry", "hosts: [a.example], addresses: [10.0.0.0/8], resolution: DNS, ports: [{number: 80, name: a, protocol: TCP}]",
            "ranges of addresses need the resolution NONE or STATIC"
        },
        {
            "ServiceEntry", "hosts: [a.example], ports: [{number: 80, name: a, protocol: TCP}], endpoints: [{address: 10.0.0.1}]",
            "endpoints need a resolution other than NONE"
        },
        {
            "ServiceEntry",
            "hosts: [a.example], resolution: DNS_ROUND_ROBIN, ports: [{number: 80, name: a, protocol: TCP}], endpoints: [{address: a.example}, {address: "
                + "b.example}]",
            "DNS_ROUND_ROBIN allows one endpoint"
        },
        {
            "EnvoyFilter", "configPatches: [{applyTo: CLUSTER, match: {context: GATEWAY, waypoint: {portNumber: 80}}, patch: {operation: REMOVE}}]",
            "waypoint goes with the context WAYPOINT"
        },
        {
            "AuthorizationPolicy", "rules: [{from: [{source: {serviceAccounts: [a], namespaces: [b]}}]}]",
            "serviceAccounts and notServiceAccounts cannot be set with principals or namespaces"
        },
        { "PeerAuthentication", "portLevelMtls: {'80': {mode: STRICT}}", "portLevelMtls needs a selector" },
        { "RequestAuthentication", "jwtRules: [{issuer: a, jwksUri: 'https://a.example/keys', jwks: '{}'}]", "only one of jwksUri, jwks_uri, jwks may be set" },
        { "Telemetry", "metrics: [{overrides: [{tagOverrides: {a: {operation: UPSERT}}}]}]", "UPSERT needs a value" },
        { "Telemetry", "metrics: [{overrides: [{tagOverrides: {a: {operation: REMOVE, value: b}}}]}]", "REMOVE has no value" },
        { "TrafficExtension", "phase: AUTHN", "one of wasm and lua must be set" },
        {
            "TrafficExtension", "lua: {inlineCode: a}, selector: {matchLabels: {app: a}}, targetRefs: [{kind: Gateway, name: a}]",
            "only one of selector, targetRefs may be set"
        },
        { "WasmPlugin", "url: 'ftp://a.example/b'", ModuleUrl },
        { "WasmPlugin", "url: 'oci://a.example/b', vmConfig: {env: [{name: a, valueFrom: HOST, value: b}]}", "with valueFrom HOST, there is no value" },
        // At most one field of a group.
        { "VirtualService", "hosts: [web], http: [{match: [{uri: {exact: /a, prefix: /b}}], route: [{destination: {host: web}}]}]", "(oneOf)" },
        { "VirtualService", "hosts: [web], http: [{redirect: {port: 80, derivePort: FROM_REQUEST_PORT}}]", "(oneOf)" },
        { "VirtualService", "hosts: [web], http: [{directResponse: {status: 200, body: {string: a, bytes: YQ==}}}]", "(oneOf)" },
        { "VirtualService", "hosts: [web], http: [{fault: {abort: {httpStatus: 500, grpcStatus: ABORTED}}, route: [{destination: {host: web}}]}]", "(oneOf)" },
        { "DestinationRule", "host: web, trafficPolicy: {loadBalancer: {simple: RANDOM, consistentHash: {useSourceIp: true}}}", "(oneOf)" },
        { "DestinationRule", "host: web, trafficPolicy: {loadBalancer: {consistentHash: {useSourceIp: true, httpHeaderName: a}}}", "(oneOf)" },
        { "DestinationRule", "host: web, trafficPolicy: {loadBalancer: {consistentHash: {useSourceIp: true, ringHash: {}, maglev: {}}}}", "(oneOf)" },
        { "EnvoyFilter", "configPatches: [{applyTo: CLUSTER, match: {listener: {name: a}, cluster: {name: a}}, patch: {operation: REMOVE}}]", "(oneOf)" },
        { "WorkloadGroup", "template: {}, probe: {tcpSocket: {port: 80}, exec: {command: [a]}}", "(oneOf)" },
        { "Telemetry", "tracing: [{customTags: {a: {literal: {value: b}, header: {name: c}}}}]", "(oneOf)" },
        { "Telemetry", "metrics: [{overrides: [{match: {metric: REQUEST_COUNT, customMetric: a}, disabled: true}]}]", "(oneOf)" },
        // Lengths, numbers, patterns, formats.
        { "ServiceEntry", "hosts: [], ports: [{number: 80, name: a, protocol: TCP}]", "should have at least 1 items" },
        {
            "AuthorizationPolicy", $"targetRefs: [{string.Join(", ", Enumerable.Repeat("{kind: Gateway, name: a}", 17))}]",
            "Too many: 17: must have at most 16 items"
        },
        { "AuthorizationPolicy", $"rules: [{string.Join(", ", Enumerable.Repeat("{}", 513))}]", "Too many: 513: must have at most 512 items" },
        {
            "Sidecar", $"workloadSelector: {{labels: {{{string.Join(", ", Enumerable.Range(0, 257).Select(i => $"l{i}: a"))}}}}}",
            "Too many: 257: must have at most 256 items"
        },
        { "Sidecar", $"workloadSelector: {{labels: {{app: {Long[..64]}}}}}", "Too long: may not be more than 63" },
        { "WorkloadEntry", $"address: 10.0.0.1, network: {Long}", "Too long: may not be more than 2048" },
        { "PeerAuthentication", "selector: {matchLabels: {app: a}}, portLevelMtls: {}", "should have at least 1 properties" },
        { "RequestAuthentication", "jwtRules: [{issuer: ''}]", "spec.jwtRules[0].issuer in body should be at least 1 chars long" },
        { "RequestAuthentication", "jwtRules: [{issuer: a, outputClaimToHeaders: [{header: 'x:y', claim: a}]}]", "should match '^[-_A-Za-z0-9]+$'" },
        { "Telemetry", "targetRefs: [{kind: Gateway, name: a, group: 'A b'}]", "in body should match" },
        { "Telemetry", "tracing: [{providers: [{}]}]", "spec.tracing[0].providers[0].name: Required value" },
        { "Telemetry", "tracing: [{randomSamplingPercentage: 101}]", "should be less than or equal to 100" },
        {
            "DestinationRule", "host: web, trafficPolicy: {loadBalancer: {simple: RANDOM, warmup: {duration: 10s, aggression: -1}}}",
            "should be greater than or equal to 0"
        },
        { "DestinationRule", "host: web, trafficPolicy: {connectionPool: {tcp: {maxConnections: 3000000000}}}", "must be of type int32" },
        { "DestinationRule", "host: web, trafficPolicy: {outlierDetection: {outlierDetectionHttpErrorCodes: [600]}}", "should be less than or equal to 599" },
        { "VirtualService", "hosts: [web], http: [{directResponse: {status: 200, body: {bytes: '~'}}}]", "must be of type byte" },
        { "EnvoyFilter", "configPatches: [{applyTo: CLUSTER, patch: {operation: MERGE_ALL}}]", "supported values" },
        { "ServiceEntry", "", "spec: Required value" },
        { "TrafficExtension", "", "spec: Required value" },
    };

    public static TheoryData<string, string> Valid => new()
    {
        { "WasmPlugin", "url: '10.0.0.1:5000/filter'" },
        { "WasmPlugin", "url: 'registry.example/filter:v1'" },
        {
            "VirtualService",
            "hosts: [web], http: [{timeout: 1ms, match: [{uri: {prefix: /b}}, {headers: {a: {}}}], route: [{destination: {host: web}}], corsPolicy: "
                + "{allowCredentials: null}}]"
        },
        {
            "DestinationRule",
            "host: web, trafficPolicy: {connectionPool: {tcp: {idleTimeout: 0s}}, loadBalancer: {consistentHash: {httpCookie: {name: a, ttl: 0s}, maglev: "
                + "{tableSize: 65537}}}}"
        },
        { "ServiceEntry", "hosts: ['*.example'], addresses: [10.0.0.0/8], ports: [{number: 65535, name: a, protocol: TCP, targetPort: 1}]" },
        { "ServiceEntry", "hosts: [a.example], resolution: DNS_ROUND_ROBIN, ports: [{number: 80, name: a, protocol: TCP}], endpoints: [{address: b.example}]" },
        {
            "ServiceEntry",
            "hosts: [a.example], resolution: STATIC, ports: [{number: 80, name: a, protocol: TCP}], endpoints: [{address: 'unix:///run/a.sock'}]"
        },
        { "WorkloadEntry", "address: 10.0.0.1, ports: {http-1: 80}, labels: {app: a}" },
        { "WorkloadEntry", "network: other" },
        { "WorkloadGroup", "template: {}, probe: {httpGet: {port: 80, scheme: HTTPS, httpHeaders: [{name: a-b, value: c}]}, periodSeconds: 3}" },
        { "PeerAuthentication", "selector: {matchLabels: {app: a}}, portLevelMtls: {'80': {mode: STRICT}}" },
        {
            "AuthorizationPolicy",
            "selector: {matchLabels: {app: a}}, rules: [{from: [{source: {serviceAccounts: [a, b/c]}}]}, {from: [{source: {namespaces: [b]}}]}]"
        },
        {
            "RequestAuthentication",
            "jwtRules: [{issuer: a, jwksUri: 'https://a.example/keys', audiences: [b], outputClaimToHeaders: [{header: x-y, claim: a}]}]"
        },
        {
            "Telemetry",
            "metrics: [{reportingInterval: 5s, overrides: [{match: {metric: REQUEST_COUNT}, tagOverrides: {a: {operation: UPSERT, value: \"'b'\"}, c: "
                + "{operation: REMOVE}}}]}]"
        },
        { "Gateway", "servers: [{port: {number: 443, name: a, protocol: HTTPS}, hosts: ['*'], tls: {mode: SIMPLE, credentialNames: [a, b]}}]" },
        { "Sidecar", "egress: [{hosts: ['./*']}]" },
        { "ProxyConfig", "concurrency: 0, selector: {matchLabels: {app: a}}" },
        {
            "WasmPlugin",
            "url: 'oci://a.example/b:1', vmConfig: {env: [{name: a, value: b}, {name: c, valueFrom: HOST}]}, match: [{mode: CLIENT, ports: [{number: 80}]}], "
                + "priority: null"
        },
        { "WasmPlugin", "url: 'a.example/b:1', selector: {matchLabels: {app: a}}, sha256: ''" },
        { "EnvoyFilter", "workloadSelector: {labels: {app: a}}, configPatches: [{applyTo: CLUSTER, match: {cluster: {name: a}}, patch: {operation: REMOVE}}]" },
    };

    /// <summary>Kinds that admission refuses as a whole.</summary>
    public static TheoryData<string, string> Stored => new()
    {
        {
            "TrafficExtension", "lua: {inlineCode: 'function envoy_on_request() end'}, targetRefs: [{kind: Gateway, name: a, group: gateway.networking.k8s.io}]"
        },
        { "TrafficExtension", "wasm: {url: 'file:///a.wasm'}" },
    };

    public async ValueTask InitializeAsync()
    {
        using var client = new KubeClient(server.Access);
        foreach (var item in IstioCrds.All.Append(JsonNode.Parse("""{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"} }""")!.AsObject()))
        {
            var kind = Kinds.Find(item["apiVersion"]!.ToString(), item["kind"]!.ToString())!;
            if (await client.FindAsync(kind, null, item["metadata"]!["name"]!.ToString(), Stop) is null)
                await client.CreateAsync(kind, (JsonObject)item.DeepClone(), Stop);
        }
        foreach (var kind in MeshApi.Istio)
            await Eventually.TrueAsync(async () => (await server.SendAsync("GET", PathOf(kind))).Code != 404);
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    [Theory]
    [MemberData(nameof(Broken))]
    public async Task What_breaks_a_rule_is_refused_by_server_and_admission(string kind, string spec, string said)
    {
        var value = Object(kind, spec);
        var (code, answer) = await CreateAsync(value);
        Assert.Equal(422, code);
        Assert.Contains(said, answer["message"]!.ToString(), StringComparison.Ordinal);
        Assert.Contains(Validation.Check(value), problem => problem.Severity == Severity.Error);
    }

    [Theory]
    [MemberData(nameof(Valid))]
    public async Task What_keeps_the_rules_is_stored(string kind, string spec)
    {
        var value = Object(kind, spec);
        Assert.DoesNotContain(Validation.Check(value), problem => problem.Severity == Severity.Error);
        await AcceptedAsync(value);
    }

    [Theory]
    [MemberData(nameof(Stored))]
    public async Task Extensions_are_stored_for_others_and_refused_by_admission(string kind, string spec)
    {
        var value = Object(kind, spec);
        Assert.Equal("kind", Assert.Single(Validation.Check(value)).Path);
        await AcceptedAsync(value);
    }

    /// <summary>The samples have every field that works.</summary>
    [Fact]
    public async Task Every_field_that_works_passes_the_definitions()
    {
        var count = 0;
        foreach (var kind in MeshApi.Effective)
        {
            var file = Repository.At($"tests/Isthmus.Tests.Effects/samples/{kind.Kind}.yaml");
            foreach (var spec in YamlText.ParseAll(await File.ReadAllTextAsync(file, Stop), file).OfType<JsonObject>())
            {
                var value = Object(kind.Kind, "");
                value["spec"] = spec;
                await AcceptedAsync(value);
                count++;
            }
        }
        Assert.InRange(count, 50, int.MaxValue);
    }

    [Fact]
    public void Each_rule_is_broken_by_a_case()
    {
        var said = Broken.Select(row => row.Data.Item3).ToList();
        var silent = IstioCrds.All.SelectMany(Rules).Distinct().Where(message => !said.Exists(part => part.EndsWith(message, StringComparison.Ordinal)));
        Assert.Empty(silent);

        static IEnumerable<string> Rules(JsonNode? node) => node switch
        {
            JsonObject value => value.SelectMany(field => field is { Key: "x-kubernetes-validations", Value: JsonArray rules }
                ? rules.Select(rule => rule!["message"]!.ToString())
                : Rules(field.Value)),
            JsonArray list => list.SelectMany(Rules),
            _ => [],
        };
    }

    [Fact]
    public void Objects_are_stored_in_the_version_in_which_Istio_stores_them()
    {
        foreach (var definition in IstioCrds.All)
        {
            var group = definition["spec"]!["group"]!.ToString();
            var stored = definition["spec"]!["versions"]!.AsArray().Single(version => (bool)version!["storage"]!)!["name"]!.ToString();
            var kind = definition["spec"]!["names"]!["kind"]!.ToString();
            Assert.Equal(kind switch
            {
                "EnvoyFilter" => "v1alpha3",
                "ProxyConfig" => "v1beta1",
                _ => group is "networking.istio.io" or "security.istio.io" ? "v1" : "v1alpha1"
            },
                stored);
        }
    }

    private async Task AcceptedAsync(JsonObject value)
    {
        var (code, answer) = await CreateAsync(value);
        Assert.True(code == 201, answer["message"]?.ToString());
    }

    private Task<(int Code, JsonObject Body)> CreateAsync(JsonObject value) =>
        server.SendAsync("POST", PathOf(MeshApi.Istio.Single(kind => kind.Kind == value["kind"]!.ToString())) + "?dryRun=All", value.ToJsonString());

    private static string PathOf(KindDescriptor kind) => $"/apis/{kind.Group}/{kind.ReadVersion}/namespaces/shop/{kind.Plural}";

    private static JsonObject Object(string kind, string spec)
    {
        var known = MeshApi.Istio.Single(one => one.Kind == kind);
        var value = new JsonObject
        {
            ["apiVersion"] = $"{known.Group}/{known.ReadVersion}", ["kind"] = kind, ["metadata"] = new JsonObject { ["name"] = "x", ["namespace"] = "shop" }
        };
        if (spec.Length > 0) value["spec"] = YamlText.Parse($"{{{spec}}}", "test");
        return value;
    }
}

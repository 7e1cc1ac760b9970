using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Mesh.Config;
using Isthmus.Operate.Install;
using Isthmus.Operate.Install.Operator;
using Isthmus.Rigs.Servers;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Operate.SideBySide;

/// <summary>Isthmus's definitions over those that Istio installed, with objects that are stored in Istio's versions.</summary>
public sealed class DefinitionJoinTests
{
    /// <summary>A definition of Istio's, in short. Its versions are the same but for their name.</summary>
    private const string Rule = """
        apiVersion: apiextensions.k8s.io/v1
        kind: CustomResourceDefinition
        metadata: {name: destinationrules.networking.istio.io, labels: {app: istio-pilot, chart: istio, heritage: Tiller, release: istio-base},
          annotations: {helm.sh/resource-policy: keep, meta.helm.sh/release-name: istio-base} }
        spec:
          group: networking.istio.io
          names: {kind: DestinationRule, listKind: DestinationRuleList, plural: destinationrules, singular: destinationrule, shortNames: [dr],
            categories: [istio-io]}
          scope: Namespaced
          versions:
          - name: v1alpha3
            served: true
            storage: false
            subresources: {status: {} }
            schema:
              openAPIV3Schema:
                type: object
                properties:
                  spec:
                    type: object
                    required: [host]
                    properties:
                      host: {type: string}
                      fromIstio: {type: object, properties: {kept: {type: string, enum: [A, B]} } }
                      trafficPolicy:
                        type: object
                        properties:
                          loadBalancer: {type: object, oneOf: [{not: {anyOf: [{required: [simple]}]}}, {required: [simple]}],
                            properties: {simple: {type: string, enum: [ROUND_ROBIN, NEWER]} } }
                  status: {type: object, x-kubernetes-preserve-unknown-fields: true}
        """;

    private const string Object = """
        {"metadata": {"name": "rule", "namespace": "default"},
          "spec": {"host": "a.example", "fromIstio": {"kept": "B"}, "trafficPolicy": {"loadBalancer": {"simple": "NEWER"}}}}
        """;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    private static ResourceKind Kind(string version) => new("networking.istio.io", version, "DestinationRule", "destinationrules", true);

    public static TheoryData<string, string> Istios => new()
    {
        { "1.20", "v1beta1" },
        { "1.24", "v1" },
        { "with a version that Isthmus does not know", "v2" },
    };

    [Theory]
    [MemberData(nameof(Istios))]
    public async Task The_storage_version_every_field_and_the_owner_stay(string istio, string stored)
    {
        Assert.NotEmpty(istio);
        await using var cluster = new LoopbackCluster();
        var client = await cluster.StartAsync();
        var definition = Definition(stored);
        await new Applier(client, TimeProvider.System).ApplyAsync([definition], Stop);
        await CreateAsync(client, Kind(stored), Object);

        await InstallAsync(client);
        var live = await client.GetAsync(Kinds.CustomResourceDefinition, null, "destinationrules.networking.istio.io", Stop);
        Assert.Equal([stored], Stored(live));
        Assert.Equal(stored, Assert.Single(Versions(live), version => (bool)version["storage"]!)["name"]!.ToString());
        Assert.Equal(definition["metadata"]!["labels"]!.ToJsonString(), live["metadata"]!["labels"]!.ToJsonString());
        Assert.Equal(definition["metadata"]!["annotations"]!.ToJsonString(), live["metadata"]!["annotations"]!.ToJsonString());
        Assert.Subset(Versions(live).Select(version => version["name"]!.ToString()).ToHashSet(), MeshApi.DestinationRule.Versions.ToHashSet());

        // The object can be read and written in every version, with Istio's fields and ours.
        foreach (var version in MeshApi.DestinationRule.Versions.Append(stored))
        {
            var written = await WriteAsync(client, Kind(version));
            Assert.Equal(("B", "NEWER", "."),
                (written["spec"]!["fromIstio"]!["kept"]!.ToString(), written["spec"]!["trafficPolicy"]!["loadBalancer"]!["simple"]!.ToString(),
                    written["spec"]!["exportTo"]![0]!.ToString()));
        }
        var refused = await Assert.ThrowsAsync<KubeException>(() => CreateAsync(client, Kind("v1"),
            """{"metadata": {"name": "bare", "namespace": "default"}, "spec": {}}"""));
        Assert.Contains("spec.host: Required value", refused.Message, StringComparison.Ordinal);

        // The second installation has nothing to change, and Istio's own comes back over it.
        await InstallAsync(client);
        Assert.Equal(live["metadata"]!["resourceVersion"]!.ToString(),
            (await client.GetAsync(Kinds.CustomResourceDefinition, null, "destinationrules.networking.istio.io",
                Stop))["metadata"]!["resourceVersion"]!.ToString());
        await client.ApplyAsync(Kinds.CustomResourceDefinition, definition, Stop);
        Assert.Equal("B", (await client.GetAsync(Kind(stored), "default", "rule", Stop))["spec"]!["fromIstio"]!["kept"]!.ToString());
    }

    [Fact]
    public async Task Definitions_of_a_later_version_survive_a_downgrade_and_an_uninstall()
    {
        await using var cluster = new LoopbackCluster();
        var client = await cluster.StartAsync();
        await IstioObjects.NamespaceAsync(client, "istio-system");
        var later = IstioCrds.Of(MeshApi.DestinationRule);
        foreach (var version in Versions(later))
            version["schema"]!["openAPIV3Schema"]!["properties"]!["spec"]!["properties"]!["later"] = new JsonObject { ["type"] = "string" };
        await new Applier(client, TimeProvider.System).ApplyAsync([later], Stop);
        await CreateAsync(client, Kind("v1"), """{"metadata": {"name": "rule", "namespace": "default"}, "spec": {"host": "a", "later": "x"}}""");
        var components = await InstallAsync(client);
        await client.PatchAsync(Kind("v1"), "default", "rule", JsonNode.Parse("""{"spec": {"exportTo": ["*"]}}""")!.AsObject(), PatchType.Merge, Stop);
        Assert.Equal("x", (await client.GetAsync(Kind("v1alpha3"), "default", "rule", Stop))["spec"]!["later"]!.ToString());

        foreach (var value in components.SelectMany(component => component.Objects).Where(value => value["kind"]!.ToString() == "Deployment"))
            await client.CreateAsync(Kinds.Deployment, value, Stop);
        var uninstaller = new Uninstaller(client);
        await uninstaller.RunAsync(await uninstaller.PlanRevisionAsync("default", Stop), _ => { }, Stop);
        var left = await client.ListAllAsync<JsonObject>(Kinds.CustomResourceDefinition, null, new ListOptions(), Stop);
        Assert.Subset(left.Select(definition => definition["metadata"]!["name"]!.ToString()).ToHashSet(),
            MeshApi.Istio.Select(kind => kind.CrdName).ToHashSet());
        Assert.NotNull(await client.FindAsync(Kind("v1"), "default", "rule", Stop));
    }

    /// <summary>API servers prune before admission: a policy that loses a field that nobody knows would mean something else.</summary>
    [Fact]
    public async Task Unknown_fields_of_policies_reach_admission_also_with_Istios_definition()
    {
        await using var cluster = new LoopbackCluster();
        var client = await cluster.StartAsync();
        var definition = IstioCrds.Of(MeshApi.AuthorizationPolicy);
        Strict(definition["spec"]!["versions"]!);
        await client.CreateAsync(Kinds.CustomResourceDefinition, definition, Stop);
        await InstallAsync(client);
        var kind = new ResourceKind("security.istio.io", "v1", "AuthorizationPolicy", "authorizationpolicies", true);
        var policy = await CreateAsync(client, kind,
            """
                {"metadata": {"name": "p", "namespace": "default"}, "selectors": {},
                  "spec": {"selectr": {}, "rules": [{"from": [{"source": {"unknown": ["a"]}}]}]}}
                """);
        Assert.True(policy["selectors"] is not null && policy["spec"]!["selectr"] is not null
            && policy["spec"]!["rules"]![0]!["from"]![0]!["source"]!["unknown"] is not null,
            policy.ToJsonString());
    }

    /// <summary>The fields of current Istio that earlier versions of Isthmus dropped.</summary>
    [Theory]
    [InlineData("DestinationRule",
        "{host: a, trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN, warmup: {duration: 30s, minimumPercent: 10, aggression: 1.5}}, proxyProtocol: {version: "
            + "V2}, retryBudget: {percent: 20, minRetryConcurrency: 3}}}")]
    [InlineData("VirtualService",
        "{hosts: [a], http: [{match: [{statPrefix: x}], route: [{destination: {host: a}}], corsPolicy: {unmatchedPreflights: FORWARD}, retries: {attempts: 1, "
            + "backoff: 10ms, retryIgnorePreviousHosts: true}}]}",
        "spec.http[0].match[0].statPrefix")]
    [InlineData("Sidecar",
        "{inboundConnectionPool: {tcp: {maxConnections: 1}}, ingress: [{port: {number: 80, protocol: HTTP, name: http}, connectionPool: {http: "
            + "{http2MaxRequests: 1}}}]}")]
    [InlineData("EnvoyFilter", "{configPatches: [{applyTo: HTTP_FILTER, match: {context: WAYPOINT, waypoint: {}}, patch: {operation: REMOVE}}]}",
        "spec.configPatches[0].match.waypoint")]
    [InlineData("RequestAuthentication", "{jwtRules: [{issuer: a, jwks: '{\"keys\":[]}', spaceDelimitedClaims: [x]}]}")]
    [InlineData("AuthorizationPolicy", "{rules: [{from: [{source: {serviceAccounts: [a/b], trustDomains: [td]}}]}]}")]
    public async Task Fields_of_Istio_are_stored_and_named_where_they_have_no_effect(string kind, string spec, params string[] idle)
    {
        await using var cluster = new LoopbackCluster();
        var client = await cluster.StartAsync();
        await InstallAsync(client);
        var known = MeshApi.Istio.Single(one => one.Kind == kind);
        foreach (var version in known.Versions)
        {
            var value = new JsonObject
            {
                ["apiVersion"] = $"{known.Group}/{version}", ["kind"] = kind, ["metadata"] = new JsonObject { ["name"] = version, ["namespace"] = "default" },
                ["spec"] = YamlText.Parse(spec, kind)
            };
            var created = await CreateAsync(client, Manifests.ResourceOf(known, version), value.ToJsonString());
            Assert.True(JsonNode.DeepEquals(value["spec"], created["spec"]), created.ToJsonString());
            Assert.Subset(Validation.Check(value).Where(problem => problem.Severity is Severity.Warning or Severity.Error).Select(problem => problem.Path)
                .ToHashSet(),
                idle.ToHashSet());
        }
    }

    [Theory]
    [InlineData("ServiceEntry", "{ports: [{number: 80}]}", "spec.hosts: Required value", "spec.ports[0].name: Required value")]
    [InlineData("Gateway", "{servers: [{port: {number: 80}}]}", "spec.servers[0].hosts: Required value", "spec.servers[0].port.protocol: Required value",
        "spec.servers[0].port.name: Required value")]
    [InlineData("VirtualService", "{http: [{route: [{}], mirror: {subset: a}}], tls: [{match: [{}]}]}", "spec.http[0].route[0].destination: Required value",
        "spec.http[0].mirror.host: Required value", "spec.tls[0].match[0].sniHosts: Required value")]
    [InlineData("WorkloadGroup", "{}", "spec.template: Required value")]
    [InlineData("AuthorizationPolicy", "{rules: [{when: [{values: [a]}]}]}", "spec.rules[0].when[0].key: Required value")]
    [InlineData("RequestAuthentication", "{jwtRules: [{fromHeaders: [{prefix: a}]}]}", "spec.jwtRules[0].fromHeaders[0].name: Required value")]
    public async Task Fields_that_Istio_requires_are_required(string kind, string spec, params string[] messages)
    {
        await using var cluster = new LoopbackCluster();
        var client = await cluster.StartAsync();
        await InstallAsync(client);
        var known = MeshApi.Istio.Single(one => one.Kind == kind);
        var value = new JsonObject { ["metadata"] = new JsonObject { ["name"] = "a", ["namespace"] = "default" }, ["spec"] = YamlText.Parse(spec, kind) };
        var refused = await Assert.ThrowsAsync<KubeException>(() => CreateAsync(client, Manifests.ResourceOf(known), value.ToJsonString()));
        Assert.All(messages, message => Assert.Contains(message, refused.Message, StringComparison.Ordinal));
    }

    private static JsonObject Definition(string stored)
    {
        var definition = (JsonObject)YamlText.Parse(Rule, "definition")!;
        var versions = definition["spec"]!["versions"]!.AsArray();
        foreach (var name in ((string[])["v1beta1", stored]).Distinct())
        {
            var next = (JsonObject)versions[0]!.DeepClone();
            (next["name"], next["storage"]) = (name, name == stored);
            versions.Add((JsonNode)next);
        }
        return definition;
    }

    /// <summary>Removes the flags with which our policies keep unknown fields: Istio's definitions lack them.</summary>
    private static void Strict(JsonNode? node)
    {
        if (node is JsonArray list)
        {
            foreach (var item in list) Strict(item);
        }
        if (node is not JsonObject shape) return;
        if (shape["properties"] is JsonObject) shape.Remove("x-kubernetes-preserve-unknown-fields");
        foreach (var (_, value) in shape.ToList()) Strict(value);
    }

    private static async Task<IReadOnlyList<Component>> InstallAsync(KubeClient client)
    {
        var components = Manifests.Render(OperatorSpec.Build([], ["profile=minimal"], null));
        await new Applier(client,
            TimeProvider.System).ApplyAsync([.. components[0].Objects.Where(value => value["kind"]!.ToString() == "CustomResourceDefinition")],
            Stop);
        return components;
    }

    /// <summary>Creates an object. API servers serve a version a moment after its definition is stored.</summary>
    private static Task<JsonObject> CreateAsync(KubeClient client, ResourceKind kind, string json)
    {
        var value = JsonNode.Parse(json)!.AsObject();
        (value["apiVersion"], value["kind"]) = (kind.ApiVersion, kind.Kind);
        return Eventually.ValueAsync(async () =>
        {
            try { return await client.CreateAsync(kind, value, Stop); }
            catch (KubeException e) when (e.IsNotFound) { return null; }
        }, $"{kind.ApiVersion} is served");
    }

    /// <summary>Writes a field of ours.</summary>
    private static Task<JsonObject> WriteAsync(KubeClient client, ResourceKind kind) => Eventually.ValueAsync(async () =>
    {
        var patch = new JsonObject
        {
            ["metadata"] = new JsonObject { ["labels"] = new JsonObject { ["by"] = kind.Version } },
            ["spec"] = new JsonObject { ["exportTo"] = new JsonArray(".") }
        };
        try
        {
            return await client.PatchAsync(kind, "default", "rule", patch, PatchType.Merge, Stop) is var written && written["spec"]!["exportTo"] is not null
                ? written : null;
        }
        catch (KubeException e) when (e.IsNotFound)
        {
            return null; // The version is not served yet.
        }
    }, $"{kind.ApiVersion} is served");

    private static IReadOnlyList<JsonObject> Versions(JsonObject definition) => [.. definition["spec"]!["versions"]!.AsArray().OfType<JsonObject>()];

    private static IEnumerable<string> Stored(JsonObject definition) =>
        definition["status"]!["storedVersions"]!.AsArray().Select(version => version!.ToString());
}

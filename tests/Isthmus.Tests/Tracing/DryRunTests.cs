using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Explain.WhatIf;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Rigs.Servers;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Tracing;

/// <summary>What an API server would store of a file.</summary>
public sealed class DryRunTests
{
    private static readonly ResourceKind Routes = new("gateway.networking.k8s.io", "v1", "HTTPRoute", "httproutes", true);

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_route_of_the_Gateway_API_loses_what_the_file_lacks_and_stays_as_it_is()
    {
        await using var cluster = new LoopbackCluster();
        var client = await cluster.StartAsync();
        await client.CreateAsync(Kinds.Namespace, Read("{apiVersion: v1, kind: Namespace, metadata: {name: shop}}"), Stop);
        await client.CreateAsync(Kinds.CustomResourceDefinition, Read("""
            apiVersion: apiextensions.k8s.io/v1
            kind: CustomResourceDefinition
            metadata: {name: httproutes.gateway.networking.k8s.io, annotations: {api-approved.kubernetes.io: unapproved}}
            spec:
              group: gateway.networking.k8s.io
              scope: Namespaced
              names: {kind: HTTPRoute, plural: httproutes, singular: httproute, listKind: HTTPRouteList}
              versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]
            """), Stop);
        await Eventually.TrueAsync(() => IsServedAsync(client));
        var first = await DryRun.ApplyAsync(client, Route("hostnames: [shop.example], rules: [{name: old}]"), Stop);
        Assert.Equal("shop.example", first?["spec"]?["hostnames"]?[0]?.ToString());
        Assert.Null(await client.FindAsync(Routes, "shop", "front", Stop));

        await client.CreateAsync(Routes, Route("hostnames: [shop.example], rules: [{name: old}]"), Stop);
        var next = await DryRun.ApplyAsync(client, Route("rules: [{name: new}]"), Stop);
        Assert.Equal("new", next?["spec"]?["rules"]?[0]?["name"]?.ToString());
        Assert.Null(next!["spec"]!["hostnames"]);
        Assert.Equal("old", (await client.GetAsync(Routes, "shop", "front", Stop))["spec"]!["rules"]![0]!["name"]!.ToString());
    }

    /// <summary>A moment after its definition is created.</summary>
    private static async Task<bool> IsServedAsync(KubeClient client)
    {
        try
        {
            return await client.RawAsync(HttpMethod.Get, Routes.Path("shop"), null, Stop) is not null;
        }
        catch (KubeException e) when (e.IsNotFound)
        {
            return false;
        }
    }

    private static JsonObject Route(string spec) =>
        Read($"{{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {{name: front, namespace: shop}}, spec: {{{spec}}}}}");

    private static JsonObject Read(string yaml) => (JsonObject)YamlText.Parse(yaml, "test")!;
}

using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Client;
using Isthmus.Mesh.Config;
using Isthmus.Operate.Inventory;
using Isthmus.Testing;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;

namespace Isthmus.Tests.Operate.Inventory;

/// <summary>Kinds that clusters serve in different versions, or not at all.</summary>
public sealed class ServedListsTests
{
    private static readonly KindDescriptor Classes = new("gateway.networking.k8s.io", "GatewayClass", "gatewayclasses", "v1",
        "v1beta1") { IsNamespaced = false };

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("v1", "v1")]
    [InlineData("v1beta1", "v1, v1beta1")]
    [InlineData("v1alpha2", "v1, v1beta1")]
    public async Task The_first_version_that_a_cluster_serves_is_read(string served, string expected)
    {
        var asked = new List<string>();
        await using var server = await OriginServer.StartAsync(HttpProtocols.Http1, async context =>
        {
            var version = context.Request.Path.Value!.Split('/')[3];
            lock (asked) asked.Add(version);
            context.Response.StatusCode = version == served ? 200 : 404;
            context.Response.ContentType = "application/json";
            await context.Response.WriteAsync(version == served
                ? """{"metadata": {"resourceVersion": "1"}, "items": [{"metadata": {"name": "one"} }]}"""
                : """{"kind": "Status", "code": 404, "message": "the server could not find the requested resource"}""", Stop);
        });
        using var client = new KubeClient(new ClusterAccess { Server = new($"http://127.0.0.1:{server.Port}") });
        if (served == "v1alpha2") Assert.True((await Assert.ThrowsAsync<KubeException>(Read)).IsNotFound);
        else
        {
            var item = Assert.Single(await Read());
            Assert.Equal(($"gateway.networking.k8s.io/{served}", "GatewayClass"), (item["apiVersion"]!.ToString(), item["kind"]!.ToString()));
        }
        Assert.Equal(expected, string.Join(", ", asked));

        Task<IReadOnlyList<JsonObject>> Read() => ServedLists.ListAsync<JsonObject>(client, Classes, null, new(), Stop);
    }

    /// <summary>Two Gateways of one name are two objects, and only Istio's has the short name.</summary>
    [Fact]
    public void Kinds_of_one_name_are_told_apart_by_their_group()
    {
        var other = MeshApi.Gateway with { Group = "gateway.networking.k8s.io" };
        Assert.Equal(("Gateway", "Gateway.gateway.networking.k8s.io"), (MeshApi.Gateway.Name, other.Name));
        Assert.True(other.IsCustom);
        Assert.False(MeshApi.Ingress.IsCustom);
        Assert.All(MeshApi.All, kind => Assert.Single(MeshApi.All, known => known.Name == kind.Name));
    }

    [Fact]
    public void A_definition_of_a_cluster_scoped_kind_says_so() =>
        Assert.Equal("Cluster", IstioCrds.Of(MeshApi.Gateway with { IsNamespaced = false })["spec"]!["scope"]!.ToString());

    /// <summary>The table repeats what a client knows of Kubernetes' own kinds.</summary>
    [Fact]
    public void Built_in_kinds_are_those_of_the_client()
    {
        // In which version a cluster has the others, only its discovery tells.
        Assert.All(MeshApi.All.Where(kind => kind is { IsCustom: false, IsDiscovered: false }), kind =>
        {
            var known = Isthmus.Kubernetes.Objects.Kinds.Find(kind.ApiVersion, kind.Kind);
            Assert.Equal((kind.Plural, kind.IsNamespaced), (known?.Plural, known?.Namespaced));
        });
    }
}

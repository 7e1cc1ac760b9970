using System.Collections.Concurrent;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Isthmus.Kubernetes.Client;
using Isthmus.Operate.Diagnose.Analysis;
using Isthmus.Testing;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;

namespace Isthmus.Tests.Operate.Diagnose.Analysis;

public sealed class InventoryVersionsTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task They_cover_each_object_that_an_inventory_is_read_from()
    {
        var asked = new ConcurrentQueue<string>();
        await using var server = await StartAsync(asked, () => "1", mayReadSecrets: true);
        var access = new ClusterAccess { Server = new($"http://127.0.0.1:{server.Port}") };
        var inventory = await new InventoryReader("istio-system", proxies: 0).ReadAsync("c1", access, Stop);
        Assert.Equal("", inventory.Error);
        var read = asked.ToHashSet();
        asked.Clear();
        using var client = new KubeClient(access);
        await new InventoryVersions("istio-system").ReadAsync(client, [], [], Stop);
        var versions = asked.ToHashSet();
        Assert.True(read.Count > 20);
        Assert.DoesNotContain(read, path => !versions.Contains(path) && !versions.Contains(WholeList(path)));
    }

    [Fact]
    public async Task They_differ_when_a_version_does_and_an_object_that_may_not_be_read_is_no_change()
    {
        var version = "1";
        await using var server = await StartAsync([], () => version, mayReadSecrets: false);
        using var client = new KubeClient(new() { Server = new($"http://127.0.0.1:{server.Port}") });
        var versions = new InventoryVersions("istio-system");
        var first = await versions.ReadAsync(client, [], [], Stop);
        Assert.Equal(first, await versions.ReadAsync(client, [], [], Stop));
        Assert.Contains("secrets istio-system/cacerts 403", first, StringComparison.Ordinal);
        version = "2";
        Assert.NotEqual(first, await versions.ReadAsync(client, [], [], Stop));
    }

    /// <summary>The list of all objects of the kind that a path is about.</summary>
    private static string WholeList(string path) =>
        Regex.Replace(Regex.Replace(path, @"\?.*|(?<=/namespaces)/[^/?]+$", ""), "/namespaces/[^/]+(?=/)", "") + "?limit=500";

    /// <summary>A cluster with one object of each kind.</summary>
    private static Task<OriginServer> StartAsync(ConcurrentQueue<string> asked, Func<string> version, bool mayReadSecrets) =>
        OriginServer.StartAsync(HttpProtocols.Http1, async context =>
    {
        var path = context.Request.Path.Value!;
        asked.Enqueue(path + context.Request.QueryString);
        JsonObject item = new()
        {
            ["metadata"] = new JsonObject { ["name"] = "one", ["namespace"] = "istio-system", ["uid"] = path, ["resourceVersion"] = version() }
        };
        context.Response.StatusCode = !mayReadSecrets && path.Contains("/secrets/", StringComparison.Ordinal) ? 403 : 200;
        context.Response.ContentType = "application/json";
        await context.Response.WriteAsync((context.Response.StatusCode == 403
            ? new JsonObject { ["kind"] = "Status", ["code"] = 403, ["message"] = "forbidden" }
            : context.Request.QueryString.Value!.Contains("limit=", StringComparison.Ordinal)
            ? new JsonObject { ["metadata"] = new JsonObject { ["resourceVersion"] = "9" }, ["items"] = new JsonArray(item) }
            : item)
            .ToJsonString(),
            Stop);
    });
}

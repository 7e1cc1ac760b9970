using System.Collections.Concurrent;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Operate.Diagnose;
using Isthmus.Operate.Inventory;
using Isthmus.Testing;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;

namespace Isthmus.Tests.Operate.Inventory;

/// <summary>What the readers of one command ask a cluster for together.</summary>
public sealed class ClusterListsTests
{
    private const string Two = """
        {"metadata": {"resourceVersion": "1"},
          "items": [{"metadata": {"name": "one", "namespace": "there", "labels": {"app": "shop"}}}, {"metadata": {"name": "other"}}]}
        """;

    private readonly ConcurrentQueue<string> _asked = [];

    /// <summary>Answers come when it has a result: their status.</summary>
    private readonly TaskCompletionSource<int> _answer = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_list_is_asked_for_once_and_every_reader_gets_it_in_its_form()
    {
        await using var server = await StartAsync();
        using var client = Client(server);
        var lists = new ClusterLists(client, Stop);
        var (trees, typed) = (lists.ListAsync(MeshApi.Service, Stop), lists.ListAsync<Service>(MeshApi.Service, Stop));
        _answer.SetResult(200);
        Assert.Equal(("v1", "Service"), ((await trees)[0]["apiVersion"]!.ToString(), (await trees)[0]["kind"]!.ToString()));
        Assert.Equal(["one", "other"], (await typed).Select(service => service.Metadata.Name));
        Assert.Same(await trees, await lists.ListAsync(MeshApi.Service, Stop));
        await lists.ListAsync(MeshApi.Pod, Stop);
        Assert.Equal(["/api/v1/services", "/api/v1/pods"], _asked);
    }

    [Fact]
    public async Task What_is_selected_is_a_part_of_what_was_asked_for_whole()
    {
        await using var server = await StartAsync();
        using var client = Client(server);
        var lists = new ClusterLists(client, Stop);
        _answer.SetResult(200);
        await lists.SelectAsync(MeshApi.Service, null, "app", "shop", Stop);
        await lists.SelectAsync(MeshApi.Service, null, "app", "shop", Stop);
        await lists.ListAsync(MeshApi.Service, Stop);
        Assert.Equal("one", Assert.Single(await lists.SelectAsync<Service>(MeshApi.Service, null, "app", "shop", Stop)).Metadata.Name);
        Assert.Empty(await lists.SelectAsync(MeshApi.Service, null, "app", "other", Stop));
        Assert.Single(await lists.SelectAsync(MeshApi.Service, null, "app", null, Stop));
        Assert.Empty(await lists.SelectAsync(MeshApi.Service, "here", "app", "shop", Stop));
        Assert.Equal("one", Assert.Single(await lists.ListAsync<Service>(MeshApi.Service, Stop, "there")).Metadata.Name);
        Assert.Equal(["/api/v1/services app=shop", "/api/v1/services"], _asked);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task What_several_labels_select_is_a_part_of_what_was_asked_for_whole(bool typed)
    {
        await using var server = await StartAsync();
        using var client = Client(server);
        var lists = new ClusterLists(client, Stop);
        _answer.SetResult(200);
        var (one, two) = (new Dictionary<string, string> { ["app"] = "shop" }, new Dictionary<string, string> { ["app"] = "shop", ["tier"] = "web" });
        await lists.SelectAsync<Service>(MeshApi.Service, "there", two, Stop);
        await (typed ? (Task)lists.ListAsync<Service>(MeshApi.Service, Stop) : lists.ListAsync(MeshApi.Service, Stop));
        Assert.Equal("one", Assert.Single(await lists.SelectAsync<Service>(MeshApi.Service, "there", one, Stop)).Metadata.Name);
        Assert.Empty(await lists.SelectAsync<Service>(MeshApi.Service, "there", two, Stop));
        Assert.Empty(await lists.SelectAsync<Service>(MeshApi.Service, "here", one, Stop));
        Assert.Equal(["/api/v1/namespaces/there/services app=shop,tier=web", "/api/v1/services"], _asked);
    }

    [Fact]
    public async Task Control_planes_are_found_in_what_was_read_whole()
    {
        await using var server = await StartAsync();
        using var client = Client(server);
        _answer.SetResult(200);
        var lists = new ClusterLists(client, Stop);
        await lists.ListAsync<Pod>(MeshApi.Pod, Stop);
        await lists.ListAsync<Deployment>(MeshApi.Deployment, Stop);
        Assert.Empty(await ControlPlaneReader.AllAsync(lists, Stop));
        Assert.Equal(["/api/v1/pods", "/apis/apps/v1/deployments"], _asked);

        // Otherwise, they are what is asked for.
        Assert.Equal(["there", ""], (await ControlPlaneReader.AllAsync(new(client, Stop), Stop)).Select(plane => plane.Namespace));
        Assert.Equal(["/api/v1/pods app=istiod", "/apis/apps/v1/deployments app=istiod"], _asked.Skip(2).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Who_may_not_read_all_is_asked_for_one_namespace()
    {
        var status = 403;
        await using var server = await StartAsync(() => Interlocked.Exchange(ref status, 200));
        using var client = Client(server);
        var lists = new ClusterLists(client, Stop);
        await Assert.ThrowsAsync<KubeException>(() => lists.ListAsync(MeshApi.Service, Stop));
        Assert.Single(await lists.SelectAsync(MeshApi.Service, "there", "app", "shop", Stop), service => service["metadata"]!["name"]!.ToString() == "one");
        Assert.Equal(["/api/v1/services", "/api/v1/namespaces/there/services app=shop"], _asked);
    }

    /// <summary>Trees of all Pods take much more memory than their typed form.</summary>
    [Fact]
    public async Task A_typed_list_is_asked_for_once_too()
    {
        await using var server = await StartAsync();
        using var client = Client(server);
        var lists = new ClusterLists(client, Stop);
        _answer.SetResult(200);
        var typed = await lists.ListAsync<Service>(MeshApi.Service, Stop);
        Assert.Equal(["one", "other"], typed.Select(service => service.Metadata.Name));
        Assert.Same(typed, await lists.ListAsync<Service>(MeshApi.Service, Stop));
        Assert.Single(_asked);
    }

    [Fact]
    public async Task What_one_namespace_has_is_a_part_of_a_typed_list_too()
    {
        await using var server = await StartAsync();
        using var client = Client(server);
        var lists = new ClusterLists(client, Stop);
        _answer.SetResult(200);
        await lists.ListAsync<Service>(MeshApi.Service, Stop);
        Assert.Equal("one", Assert.Single(await lists.ListAsync<Service>(MeshApi.Service, Stop, "there")).Metadata.Name);
        Assert.Equal("one", Assert.Single(await lists.SelectAsync<Service>(MeshApi.Service, "there", "app", "shop", Stop)).Metadata.Name);
        Assert.Empty(await lists.SelectAsync<Service>(MeshApi.Service, "there", "app", "other", Stop));
        Assert.Single(await lists.SelectAsync<Service>(MeshApi.Service, null, "app", null, Stop));
        Assert.Single(_asked);
    }

    [Fact]
    public async Task Who_may_not_read_a_typed_list_of_all_is_asked_for_one_namespace()
    {
        var status = 403;
        await using var server = await StartAsync(() => Interlocked.Exchange(ref status, 200));
        using var client = Client(server);
        var lists = new ClusterLists(client, Stop);
        await Assert.ThrowsAsync<KubeException>(() => lists.ListAsync<Service>(MeshApi.Service, Stop));
        await lists.ListAsync<Service>(MeshApi.Service, Stop, "there");
        Assert.Equal(["/api/v1/services", "/api/v1/namespaces/there/services"], _asked);
    }

    [Fact]
    public async Task A_failure_is_kept_and_every_reader_gets_it()
    {
        await using var server = await StartAsync();
        using var client = Client(server);
        var lists = new ClusterLists(client, Stop);
        _answer.SetResult(403);
        foreach (var reader in (ClusterLists[])[lists, lists, lists.Within(TimeSpan.FromMinutes(1))])
            Assert.Equal(403, (await Assert.ThrowsAsync<KubeException>(() => reader.ListAsync(MeshApi.Node, Stop))).Code);
        Assert.Equal(403, (await Assert.ThrowsAsync<KubeException>(() => lists.SelectAsync(MeshApi.Node, null, "app", "shop", Stop))).Code);
        Assert.Single(_asked);
    }

    [Fact]
    public async Task A_reader_with_less_patience_leaves_the_list_to_the_others()
    {
        await using var server = await StartAsync();
        using var client = Client(server);
        var lists = new ClusterLists(client, Stop);
        var late = await Assert.ThrowsAsync<HttpRequestException>(() => lists.Within(TimeSpan.FromMilliseconds(1)).ListAsync(MeshApi.Service, Stop));
        Assert.Equal("no answer in time", Unreachable.Describe(late));
        var patient = lists.ListAsync(MeshApi.Service, Stop);
        _answer.SetResult(200);
        Assert.Equal(2, (await patient).Count);
        Assert.Equal(2, (await lists.Within(TimeSpan.FromMilliseconds(1)).ListAsync(MeshApi.Service, Stop)).Count);
        Assert.Single(_asked);
    }

    [Fact]
    public async Task A_reader_that_is_stopped_stops_no_other_and_the_end_stops_all()
    {
        await using var server = await StartAsync();
        using var client = Client(server);
        using var end = CancellationTokenSource.CreateLinkedTokenSource(Stop);
        var lists = new ClusterLists(client, end.Token);
        foreach (var reader in (ClusterLists[])[lists, lists.Within(TimeSpan.FromMinutes(1))])
        {
            using var own = CancellationTokenSource.CreateLinkedTokenSource(Stop);
            var stopped = reader.ListAsync(MeshApi.Service, own.Token);
            await own.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => stopped);
        }
        var (waiting, hasty) = (lists.ListAsync(MeshApi.Service, Stop), lists.Within(TimeSpan.FromMinutes(1)).ListAsync(MeshApi.Service, Stop));
        Assert.False(waiting.IsCompleted);
        await end.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => hasty);
        _answer.SetResult(200);
    }

    [Fact]
    public async Task What_failed_is_asked_for_again_and_nothing_else_is()
    {
        var status = 200;
        await using var server = await StartAsync(() => Interlocked.Exchange(ref status, 500));
        using var client = Client(server);
        var lists = new ClusterLists(client, Stop);
        await lists.ListAsync(MeshApi.Service, Stop);
        await Assert.ThrowsAsync<KubeException>(() => lists.ListAsync(MeshApi.Pod, Stop));
        status = 200;
        var again = lists.Again(TimeSpan.FromMinutes(1));
        Assert.Same(await lists.ListAsync(MeshApi.Service, Stop), await again.ListAsync(MeshApi.Service, Stop));
        Assert.Equal(2, (await again.ListAsync(MeshApi.Pod, Stop)).Count);
        await Assert.ThrowsAsync<KubeException>(() => lists.ListAsync(MeshApi.Pod, Stop));
        Assert.Equal(["/api/v1/services", "/api/v1/pods", "/api/v1/pods"], _asked);
    }

    private Task<OriginServer> StartAsync(Func<int>? answer = null) => OriginServer.StartAsync(HttpProtocols.Http1, async context =>
    {
        _asked.Enqueue($"{context.Request.Path} {context.Request.Query["labelSelector"]}".TrimEnd());
        context.Response.StatusCode = answer?.Invoke() ?? await _answer.Task.WaitAsync(context.RequestAborted);
        context.Response.ContentType = "application/json";
        await context.Response.WriteAsync(context.Response.StatusCode == 200 ? Two : """{"kind": "Status", "message": "refused by test"}""", Stop);
    });

    private static KubeClient Client(OriginServer server) => new(new ClusterAccess { Server = new($"http://127.0.0.1:{server.Port}") });
}

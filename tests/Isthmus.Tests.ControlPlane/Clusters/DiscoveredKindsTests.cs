using System.Text.Json.Nodes;
using Isthmus.ControlPlane.Clusters;
using Isthmus.Graph.Intake;
using Isthmus.ControlPlane.Running;
using Isthmus.Graph.Settings;
using Isthmus.Core.Live;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Watch;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;
using Isthmus.Rigs.Servers;
using Isthmus.Testing;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Clusters;

/// <summary>Kinds that API servers have without a definition, but not all of them.</summary>
public sealed class DiscoveredKindsTests
{
    private static readonly KindDescriptor Bundles = MeshApi.ClusterTrustBundle;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_server_tells_which_version_it_has()
    {
        await using var cluster = new LoopbackCluster();
        var kinds = new DiscoveredKinds(await cluster.StartAsync(), TimeProvider.System);
        Assert.Equal("v1beta1", (await kinds.FindAsync(Bundles.Resource, ["v1", "v1beta1", "v1alpha1"], Stop)).Version);
        Assert.Null((await kinds.FindAsync(Bundles.Resource, ["v1", "v1alpha1"], Stop)).Version);
        Assert.Null(kinds.LastError);
    }

    [Theory]
    [InlineData(200, "v1")]
    [InlineData(404, null)]
    [InlineData(403, "v1")]
    public async Task Whoever_may_not_ask_tries(int status, string? version)
    {
        await using var server = await OriginServer.StartAsync(HttpProtocols.Http1, async context =>
        {
            (context.Response.StatusCode, context.Response.ContentType) = (status, "application/json");
            await context.Response.WriteAsync("{}", Stop);
        });
        using var client = new KubeClient(new ClusterAccess { Server = new($"http://127.0.0.1:{server.Port}") });
        Assert.Equal(version, (await new DiscoveredKinds(client, TimeProvider.System).FindAsync(Bundles.Resource, ["v1"], Stop)).Version);
    }

    [Fact]
    public async Task A_server_is_asked_again_and_until_it_answers()
    {
        var (status, clock) = (503, new ManualClock());
        await using var server = await OriginServer.StartAsync(HttpProtocols.Http1, async context =>
        {
            (context.Response.StatusCode, context.Response.ContentType) = (status, "application/json");
            await context.Response.WriteAsync("{}", Stop);
        });
        using var client = new KubeClient(new ClusterAccess { Server = new($"http://127.0.0.1:{server.Port}") });
        var kinds = new DiscoveredKinds(client, clock);
        var asking = kinds.FindAsync(Bundles.Resource, ["v1"], Stop);
        await Eventually.TrueAsync(() => kinds.LastError is not null && clock.NextDue is not null);
        status = 404;
        await Eventually.TrueAsync(() =>
        {
            clock.Advance(TimeSpan.FromSeconds(10));
            return asking.IsCompleted;
        });
        var (version, changed) = await asking;
        Assert.Null(version);
        Assert.Null(kinds.LastError);
        status = 200;
        clock.Advance(DiscoveredKinds.AskAgain);
        await changed.WaitAsync(TimeSpan.FromMinutes(1), Stop);
        Assert.Equal("v1", (await kinds.FindAsync(Bundles.Resource, ["v1"], Stop)).Version);
    }

    /// <summary>Servers behind one address differ while they are upgraded, and have trouble: neither is an answer.</summary>
    [Fact]
    public async Task A_version_is_kept_until_several_answers_in_a_row_lack_it()
    {
        var (status, clock) = (200, new ManualClock());
        await using var server = await OriginServer.StartAsync(HttpProtocols.Http1, async context =>
        {
            var isOld = context.Request.Path.Value!.Contains("/v1beta1/", StringComparison.Ordinal);
            (context.Response.StatusCode, context.Response.ContentType) = (status == 200 && !isOld ? 404 : status, "application/json");
            await context.Response.WriteAsync("{}", Stop);
        });
        using var client = new KubeClient(new ClusterAccess { Server = new($"http://127.0.0.1:{server.Port}") });
        var kinds = new DiscoveredKinds(client, clock);
        async Task<string?> AskAsync() => (await kinds.FindAsync(Bundles.Resource, ["v1", "v1beta1"], Stop)).Version;
        Assert.Equal("v1beta1", await AskAsync());
        foreach (var trouble in (int[])[500, 504, 401])
        {
            status = trouble;
            var asking = AskAsync();
            await Eventually.TrueAsync(() => kinds.LastError is not null && clock.NextDue is not null);
            Assert.False(asking.IsCompleted);
            status = 200;
            await Eventually.TrueAsync(() =>
            {
                clock.Advance(TimeSpan.FromSeconds(10));
                return asking.IsCompleted;
            });
            Assert.Equal("v1beta1", await asking);
        }
        status = 404;
        for (var doubt = 1; doubt < DiscoveredKinds.Doubts; doubt++) Assert.Equal("v1beta1", await AskAsync());
        status = 200;
        Assert.Equal("v1beta1", await AskAsync());
        status = 404;
        for (var doubt = 1; doubt < DiscoveredKinds.Doubts; doubt++) Assert.Equal("v1beta1", await AskAsync());
        Assert.Null(await AskAsync());
        Assert.Null(await AskAsync());
    }

    /// <summary>From the API server of the lab to the mesh.</summary>
    [Fact]
    public async Task ClusterTrustBundles_of_a_cluster_are_in_the_mesh_while_they_are_there()
    {
        using var ca = new TestCa("platform");
        await using var cluster = new LoopbackCluster();
        var client = await cluster.StartAsync();
        var resource = Bundles.In("v1beta1");
        JsonObject Bundle(string name) => new()
        {
            ["apiVersion"] = resource.ApiVersion, ["kind"] = resource.Kind, ["metadata"] = new JsonObject { ["name"] = name },
            ["spec"] = new JsonObject { ["trustBundle"] = ca.Pem },
        };
        await client.CreateAsync(resource, Bundle("platform"), Stop);
        var mesh = new MeshWriter(new(), new(), new(MultiClusterSettings.Default, "", "default", NullLogger<MeshKinds>.Instance));
        var guard = new Lock();
        var objects = new MeshObjects(run =>
        {
            lock (guard)
            {
                run(mesh);
                mesh.Commit();
            }
            return ValueTask.CompletedTask;
        });
        await using var tasks = new Supervisor(TimeProvider.System, new Random(1), NullLogger<Supervisor>.Instance);
        var watch = mesh.Kinds.TrustBundles.Watch(new("c1", 1), isOptional: true, new DiscoveredKinds(client, TimeProvider.System), client, objects, new(),
            TimeProvider.System);
        tasks.Keep("bundles", watch.RunAsync);
        bool Has(string name)
        {
            lock (guard) return mesh.Mesh.Sources.CaBundles.Items.TryGetValue(new("c1", "", name), out var found) && found is { HasCa: true, CaProblem: "" };
        }
        await Eventually.TrueAsync(() => Has("platform"));
        await client.CreateAsync(resource, Bundle("more"), Stop);
        await Eventually.TrueAsync(() => Has("more"));
        await client.DeleteAsync(resource, null, "platform", Stop);
        await Eventually.TrueAsync(() => !Has("platform"));
        Assert.Empty(tasks.Failures);
    }
}

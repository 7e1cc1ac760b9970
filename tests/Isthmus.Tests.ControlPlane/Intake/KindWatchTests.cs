using System.Collections.Concurrent;
using System.Text.Json.Nodes;
using Isthmus.Graph.History;
using Isthmus.Graph.Intake;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Watch;
using Isthmus.Mesh.Model;
using Isthmus.Testing;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Intake;

/// <summary>The watch of one kind in one cluster.</summary>
public sealed class KindWatchTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    /// <summary>Another change is passed on between the two attempts.</summary>
    [Fact]
    public async Task A_change_that_is_passed_on_again_still_says_who_wrote_it()
    {
        using var end = CancellationTokenSource.CreateLinkedTokenSource(Stop);
        await using var server = await OriginServer.StartAsync(HttpProtocols.Http1, async context =>
        {
            context.Response.ContentType = "application/json";
            if (!context.Request.Query.ContainsKey("watch"))
            {
                await context.Response.WriteAsync("""{"metadata": {"resourceVersion": "1"}, "items": []}""", Stop);
                return;
            }
            await context.Response.WriteAsync(Added("one", 2, "alice") + Added("two", 3, "bob"), Stop);
            await context.Response.Body.FlushAsync(Stop);
            await Task.Delay(Timeout.Infinite, context.RequestAborted).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        });
        using var client = new KubeClient(new ClusterAccess { Server = new($"http://127.0.0.1:{server.Port}") });
        var objects = new FailingOnce("shop/one");
        var watch = new SidecarKind { Revision = "default" }.Watch(
            new("c1", 1), isOptional: false, served: null, client, objects, new() { FirstBackoff = TimeSpan.FromMilliseconds(10) }, TimeProvider.System);
        var running = watch.RunAsync(end.Token);
        await Eventually.TrueAsync(() => objects.Writers.Count == 2);
        Assert.True(objects.HasFailed);
        Assert.Equal(["shop/one alice", "shop/two bob"], objects.Writers.Order());
        await end.CancelAsync();
        await running;
    }

    private static string Added(string name, int version, string manager) => new JsonObject
    {
        ["type"] = "ADDED",
        ["object"] = new JsonObject
        {
            ["apiVersion"] = "networking.istio.io/v1", ["kind"] = "Sidecar",
            ["metadata"] = new JsonObject
            {
                ["name"] = name, ["namespace"] = "shop", ["resourceVersion"] = $"{version}",
                ["managedFields"] = new JsonArray(new JsonObject { ["manager"] = manager, ["operation"] = "Update", ["time"] = "2026-01-01T00:00:00Z" }),
            },
            ["spec"] = new JsonObject { ["egress"] = new JsonArray(new JsonObject { ["hosts"] = new JsonArray("./*") }) },
        },
    }.ToJsonString() + "\n";

    /// <summary>A writer of the mesh that fails on an object at first.</summary>
    private sealed class FailingOnce(string key) : IClusterObjects
    {
        internal bool HasFailed { get; private set; }

        /// <summary>The objects that were passed on, each with who wrote it.</summary>
        internal ConcurrentQueue<string> Writers { get; } = [];

        public ValueTask Replace<TFacts>(WatchId watch, MeshKind<TFacts> kind, IReadOnlyList<KeyValuePair<string, TFacts>> items) where TFacts : class =>
            ValueTask.CompletedTask;

        public ValueTask Apply<TFacts>(WatchId watch, MeshKind<TFacts> kind, IReadOnlyList<Change<TFacts>> changes,
            IReadOnlyDictionary<string, ObjectWrite>? writes)
            where TFacts : class
        {
            if (!HasFailed && changes.Any(change => change.Key == key))
            {
                HasFailed = true;
                throw new InvalidOperationException("scripted");
            }
            foreach (var change in changes) Writers.Enqueue($"{change.Key} {writes?.GetValueOrDefault(change.Key)?.Manager}");
            return ValueTask.CompletedTask;
        }

        public ValueTask Remove(WatchId watch) => ValueTask.CompletedTask;

        public ValueTask Contact(ClusterContact contact) => ValueTask.CompletedTask;
    }
}

using System.Text.Json.Nodes;
using Isthmus.ControlPlane.Clusters;
using Isthmus.Graph.History;
using Isthmus.Graph.Intake;
using Isthmus.ControlPlane.Running;
using Isthmus.Graph.Settings;
using Isthmus.Core.Live;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Watch;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;
using Isthmus.Rigs.Servers;
using Isthmus.Testing;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;
using ObjectKey = Isthmus.Mesh.Model.ObjectKey;

namespace Isthmus.Tests.ControlPlane.Clusters;

/// <summary>Kinds of other groups, whose definitions come, are upgraded and go while a watch runs, against an API server.</summary>
public sealed class ServedKindsTests : IAsyncDisposable
{
    private static readonly KindDescriptor Classes = new("gateway.networking.k8s.io", "GatewayClass", "gatewayclasses", "v1", "v1beta1")
    {
        IsNamespaced = false, Place = KindPlace.EveryCluster, Need = KindNeed.Nowhere,
    };

    private readonly LoopbackCluster _cluster = new();
    private readonly Supervisor _tasks = new(TimeProvider.System, new Random(1), NullLogger<Supervisor>.Instance);
    private readonly SeenObjects _seen = new();

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public async ValueTask DisposeAsync()
    {
        await _tasks.DisposeAsync();
        await _cluster.DisposeAsync();
    }

    [Fact]
    public async Task A_watch_starts_when_its_definition_is_served_and_ends_without_an_error_when_it_goes()
    {
        var client = await _cluster.StartAsync();
        var watch = Start(client);
        await watch.Synced.WaitAsync(TimeSpan.FromMinutes(1), Stop);
        Assert.Empty(_seen.Names);

        await client.CreateAsync(Kinds.CustomResourceDefinition, Definition("v1"), Stop);
        await CreateAsync(client, "v1", "first");
        await Eventually.TrueAsync(() => _seen.Names is ["first"]);
        Assert.Null(watch.LastError);

        await client.DeleteAsync(Kinds.CustomResourceDefinition, null, Classes.CrdName, Stop);
        await Eventually.TrueAsync(() => _seen.Names.Count == 0);

        await Eventually.TrueAsync(async () => await client.FindAsync(Kinds.CustomResourceDefinition, null, Classes.CrdName, Stop) is null);
        await client.CreateAsync(Kinds.CustomResourceDefinition, Definition("v1"), Stop);
        await CreateAsync(client, "v1", "again");
        await Eventually.TrueAsync(() => _seen.Names is ["again"]);
        Assert.Null(watch.LastError);
        Assert.Empty(_tasks.Failures);
    }

    [Fact]
    public async Task A_definition_that_is_upgraded_is_read_in_the_version_that_it_serves_then()
    {
        var client = await _cluster.StartAsync();
        await client.CreateAsync(Kinds.CustomResourceDefinition, Definition("v1beta1"), Stop);
        await CreateAsync(client, "v1beta1", "old");
        Start(client);
        await Eventually.TrueAsync(() => _seen.Versions is ["gateway.networking.k8s.io/v1beta1"]);

        await ServeAsync(client, "v1", "v1beta1");
        await Eventually.TrueAsync(() => _seen.Versions is ["gateway.networking.k8s.io/v1"]);
        Assert.Equal(["old"], _seen.Names);

        await ServeAsync(client, "v1alpha9", "v1beta1", "v1");
        await CreateAsync(client, "v1", "new");
        await Eventually.TrueAsync(() => _seen.Names is ["new", "old"]);
        Assert.Empty(_tasks.Failures);
    }

    [Fact]
    public async Task A_definition_without_a_known_version_is_as_good_as_none()
    {
        var client = await _cluster.StartAsync();
        await client.CreateAsync(Kinds.CustomResourceDefinition, Definition("v2"), Stop);
        await CreateAsync(client, "v2", "later");
        var watch = Start(client);
        await watch.Synced.WaitAsync(TimeSpan.FromMinutes(1), Stop);
        Assert.Empty(_seen.Names);
        Assert.Null(watch.LastError);
    }

    /// <summary>Roles of others need not include definitions: then the kind is tried.</summary>
    [Fact]
    public async Task Whoever_may_not_read_definitions_reads_the_kind_all_the_same()
    {
        await using var server = await OriginServer.StartAsync(HttpProtocols.Http1, async context =>
        {
            var isDenied = context.Request.Path.Value!.Contains("customresourcedefinitions", StringComparison.Ordinal);
            context.Response.StatusCode = isDenied ? 403 : 200;
            context.Response.ContentType = "application/json";
            // The watch has nothing to say.
            if (context.Request.Query.ContainsKey("watch")) await context.Response.Body.FlushAsync(Stop);
            else await context.Response.WriteAsync(isDenied ? """{"kind": "Status", "code": 403, "message": "not you"}"""
                : """
                    {"metadata": {"resourceVersion": "1"},
                      "items": [{"apiVersion": "gateway.networking.k8s.io/v1", "metadata": {"name": "one", "resourceVersion": "1"} }]}
                    """,
                Stop);
        });
        using var client = new KubeClient(new ClusterAccess { Server = new($"http://127.0.0.1:{server.Port}") });
        await Start(client).Synced.WaitAsync(TimeSpan.FromMinutes(1), Stop);
        Assert.Equal(["one"], _seen.Names);
        // Before the client: its watches end first.
        await _tasks.DisposeAsync();
    }

    /// <summary>As a watch of a cluster runs it: the watch of the kind, and that of definitions.</summary>
    private KindWatch Start(KubeClient client)
    {
        var served = new ServedKinds(client, new(), TimeProvider.System);
        var watch = new SeenKind().Watch(new("c1", 1), isOptional: true, served, client, _seen, new(), TimeProvider.System);
        _tasks.Keep("definitions", served.RunAsync);
        _tasks.Keep("classes", watch.RunAsync);
        return watch;
    }

    private static Task ServeAsync(KubeClient client, params string[] versions)
    {
        var change = new JsonObject { ["spec"] = new JsonObject { ["versions"] = Versions(versions) } };
        return client.PatchAsync(Kinds.CustomResourceDefinition, null, Classes.CrdName, change, PatchType.Merge, Stop);
    }

    /// <summary>Established a moment after it is created.</summary>
    private static Task CreateAsync(KubeClient client, string version, string name) => Eventually.TrueAsync(async () =>
    {
        try
        {
            await client.CreateAsync(Classes.In(version), null, new JsonObject
            {
                ["apiVersion"] = $"{Classes.Group}/{version}",
                ["kind"] = Classes.Kind,
                ["metadata"] = new JsonObject { ["name"] = name },
                ["spec"] = new JsonObject { ["controllerName"] = "a/b" },
            }, Stop);
            return true;
        }
        catch (KubeException e) when (e.IsNotFound)
        {
            return false;
        }
    });

    private static JsonObject Definition(params string[] versions) => new()
    {
        ["apiVersion"] = "apiextensions.k8s.io/v1",
        ["kind"] = "CustomResourceDefinition",
        ["metadata"] = new JsonObject
        {
            ["name"] = Classes.CrdName,
            ["annotations"] = new JsonObject { ["api-approved.kubernetes.io"] = "https://github.com/kubernetes-sigs/gateway-api/pull/2466" },
        },
        ["spec"] = new JsonObject
        {
            ["group"] = Classes.Group,
            ["names"] = new JsonObject
            {
                ["kind"] = Classes.Kind, ["listKind"] = Classes.Kind + "List", ["plural"] = Classes.Plural, ["singular"] = "gatewayclass",
            },
            ["scope"] = "Cluster",
            ["versions"] = Versions(versions),
        },
    };

    /// <summary>The last one is stored.</summary>
    private static JsonArray Versions(params string[] names) => new([.. names.Select(name => (JsonNode)new JsonObject
    {
        ["name"] = name,
        ["served"] = true,
        ["storage"] = name == names[^1],
        ["schema"] = new JsonObject
        {
            ["openAPIV3Schema"] = new JsonObject
            {
                ["type"] = "object",
                ["properties"] = new JsonObject
                {
                    ["spec"] = new JsonObject
                    {
                        ["type"] = "object", ["properties"] = new JsonObject { ["controllerName"] = new JsonObject { ["type"] = "string" } }
                    },
                },
            },
        },
    })]);

    private sealed record Seen(ObjectRef Source, string ApiVersion);

    private sealed class SeenKind() : MeshKind<JsonObject, Seen>(Classes)
    {
        internal override Seen Read(string cluster, JsonObject item) =>
            new(new(cluster, Classes.Kind, "", item["metadata"]!["name"]!.ToString()), item["apiVersion"]!.ToString());

        internal override ObjectRef SourceOf(Seen facts) => facts.Source;

        internal override void Put(Isthmus.Graph.Derive.MeshSources sources, Seen facts) => throw new NotSupportedException();

        internal override void Remove(Isthmus.Graph.Derive.MeshSources sources, ObjectKey key) => throw new NotSupportedException();

        internal override void RemoveCluster(Isthmus.Graph.Derive.MeshSources sources, string cluster) => throw new NotSupportedException();
    }

    /// <summary>What a mesh would know.</summary>
    private sealed class SeenObjects : IClusterObjects
    {
        private readonly Lock _guard = new();
        private readonly SortedDictionary<string, Seen> _objects = new(StringComparer.Ordinal);

        internal IReadOnlyList<string> Names
        {
            get { lock (_guard) return [.. _objects.Keys]; }
        }

        internal IReadOnlyList<string> Versions
        {
            get { lock (_guard) return [.. _objects.Values.Select(one => one.ApiVersion)]; }
        }

        public ValueTask Replace<TFacts>(WatchId watch, MeshKind<TFacts> kind, IReadOnlyList<KeyValuePair<string, TFacts>> items) where TFacts : class
        {
            lock (_guard)
            {
                _objects.Clear();
                foreach (var (key, facts) in items) _objects[key] = (Seen)(object)facts;
            }
            return ValueTask.CompletedTask;
        }

        public ValueTask Apply<TFacts>(WatchId watch, MeshKind<TFacts> kind, IReadOnlyList<Change<TFacts>> changes,
            IReadOnlyDictionary<string, ObjectWrite>? writes)
            where TFacts : class
        {
            lock (_guard)
            {
                foreach (var change in changes)
                    if (change.Object is { } facts) _objects[change.Key] = (Seen)(object)facts;
                    else _objects.Remove(change.Key);
            }
            return ValueTask.CompletedTask;
        }

        public ValueTask Remove(WatchId watch) => ValueTask.CompletedTask;

        public ValueTask Contact(ClusterContact contact) => ValueTask.CompletedTask;
    }
}

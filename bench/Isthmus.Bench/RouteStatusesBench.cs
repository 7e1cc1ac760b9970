using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Config.GatewayApi;
using Isthmus.Rigs.Mesh;

namespace Isthmus.Bench;

/// <summary>HTTPRoutes that attach to one Gateway, at a real API server and with the real control plane: how often each status is written, and how soon
/// all of them are there.</summary>
internal static class RouteStatusesBench
{
    private const int Writers = 8;

    private static readonly ResourceKind Gateways = Of(MeshApi.ApiGateway), Routes = Of(MeshApi.HttpRoute);

    internal static async Task RunAsync(string root)
    {
        Console.WriteLine("routes   created in s   last created → last status: s   writes of a route: most   writes of the Gateway   CPU of the control "
            + "plane: s");
        var (few, many) = (await MeasureAsync(root, 100), await MeasureAsync(root, 1000));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"route-statuses: from creation to the last status, 1,000 to 100 routes: {many / few:0.0}"));
    }

    /// <returns>The seconds from the first creation to the last status.</returns>
    private static async Task<double> MeasureAsync(string root, int routes)
    {
        await using var plane = await LoadedControlPlane.StartAsync(ControlPlaneBench.Program(root), new(1, 1), heapMegabytes: 0, CancellationToken.None);
        var client = plane.Client;
        foreach (var definition in GatewayApiCrds.All) await client.CreateAsync(Kinds.CustomResourceDefinition, definition, CancellationToken.None);
        await RetryAsync(() => client.CreateAsync(Gateways, Item("Gateway", "front", new()
        {
            ["gatewayClassName"] = "istio",
            ["listeners"] = new JsonArray(new JsonObject { ["name"] = "http", ["port"] = 80, ["protocol"] = "HTTP" }),
        }), CancellationToken.None));
        await RetryAsync(async () => await AttachedAsync(client) is 0 ? new JsonObject() : throw new InvalidOperationException("the Gateway has no status"));
        using var stop = new CancellationTokenSource();
        var (writes, last) = (new ConcurrentDictionary<string, int>(StringComparer.Ordinal), 0L);
        var watching = ((ResourceKind[])[Gateways, Routes]).Select(kind => WatchAsync(kind)).ToList();
        var (cpu, begun) = (ControlPlaneBench.Cpu(plane), Stopwatch.GetTimestamp());
        await Parallel.ForAsync(0, routes, new ParallelOptions { MaxDegreeOfParallelism = Writers }, async (route, _) =>
            await client.CreateAsync(Routes, Item("HTTPRoute", $"r{route}", new()
            {
                ["parentRefs"] = new JsonArray(new JsonObject { ["name"] = "front" }), ["hostnames"] = new JsonArray($"r{route}.example.com"),
                ["rules"] = new JsonArray(new JsonObject { ["backendRefs"] = new JsonArray(new JsonObject { ["name"] = "app0", ["port"] = 80 }) }),
            }), CancellationToken.None));
        var created = Stopwatch.GetTimestamp();
        await RetryAsync(async () => await AttachedAsync(client) == routes && writes.Count > routes ? new JsonObject()
            : throw new InvalidOperationException("not all routes have a status"));
        var done = Math.Max(created, Volatile.Read(ref last));
        await stop.CancelAsync();
        foreach (var watch in watching) await watch.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{routes,6}   {Stopwatch.GetElapsedTime(begun, created).TotalSeconds,12:0.0}   {Stopwatch.GetElapsedTime(created, done).TotalSeconds,29:0.00}   "
                + $"{writes.Where(item => item.Key != "front").Max(item => item.Value),23}   {writes["front"],21}   "
                + $"{ControlPlaneBench.Cpu(plane) - cpu,27:0.0}"));
        return Stopwatch.GetElapsedTime(begun, done).TotalSeconds;

        async Task WatchAsync(ResourceKind kind)
        {
            var known = await client.ListAsync<JsonObject>(kind, LoadedControlPlane.Namespace, new(), stop.Token);
            await foreach (var change in client.WatchAsync<JsonObject>(kind, LoadedControlPlane.Namespace, new() { ResourceVersion = known.ResourceVersion },
                stop.Token))
            {
                if (change.Type != WatchEventType.Modified) continue;
                writes.AddOrUpdate(change.Object["metadata"]!["name"]!.ToString(), 1, (_, before) => before + 1);
                Volatile.Write(ref last, Stopwatch.GetTimestamp());
            }
        }
    }

    private static async Task<int?> AttachedAsync(KubeClient client) => (int?)(await client.GetAsync(Gateways, LoadedControlPlane.Namespace, "front",
        CancellationToken.None))["status"]?["listeners"]?[0]?["attachedRoutes"];

    /// <summary>A kind is served a moment after its definition, and a status is written a moment after its object.</summary>
    private static async Task RetryAsync(Func<Task<JsonObject>> act)
    {
        for (var begun = Stopwatch.GetTimestamp(); ; await Task.Delay(20))
        {
            try
            {
                await act();
                return;
            }
            catch (Exception e) when (e is KubeException or InvalidOperationException && Stopwatch.GetElapsedTime(begun) < TimeSpan.FromMinutes(1))
            {
            }
        }
    }

    private static ResourceKind Of(KindDescriptor kind) => new(kind.Group, "v1", kind.Kind, kind.Plural, true);

    private static JsonObject Item(string kind, string name, JsonObject spec) => new()
    {
        ["apiVersion"] = "gateway.networking.k8s.io/v1", ["kind"] = kind,
        ["metadata"] = new JsonObject { ["name"] = name, ["namespace"] = LoadedControlPlane.Namespace }, ["spec"] = spec,
    };
}

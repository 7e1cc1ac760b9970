using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using Isthmus.Wire.Istio;
using static Isthmus.Rigs.Mesh.TestResources;

namespace Isthmus.Bench.Proxies;

/// <summary>What a scrape of a sidecar that knows many services costs.</summary>
internal static class ScrapeBench
{
    private const int Services = 1_000, Scrapes = 200;

    internal static async Task RunAsync(string root)
    {
        await using var rig = new ProxyRig(root);
        await using var discovery = await DiscoveryServer.StartAsync();
        var server = await Nginx.StartServerAsync(rig, new(""));
        Console.WriteLine($"a scrape (port 15020) of a sidecar that knows {Services} services; median of {Scrapes}");
        await MeasureAsync(rig, discovery, server, "as it is by default", []);
        await MeasureAsync(rig, discovery, server, "with all statistics of clusters",
            new() { ["proxyStatsMatcher"] = new JsonObject { ["inclusionPrefixes"] = new JsonArray("cluster.") } });
    }

    private static async Task MeasureAsync(ProxyRig rig, DiscoveryServer discovery, string server, string what, JsonObject config)
    {
        static string NameOf(int number) => $"outbound|8080||app{number}.bench.svc.cluster.local";
        var port = rig.NextPort();
        var resources = OwnResources.ForHttp(new(server), port, rig.File("isthmus.log"));
        discovery.Publish(resources with
        {
            Clusters = [.. resources.Clusters,
                .. Enumerable.Range(0, Services)
                    .Select(i => MeshCluster(NameOf(i), $"outbound_.8080_._.app{i}.bench.svc.cluster.local", Credentials.Identity))],
            Assignments = [.. resources.Assignments,
                .. Enumerable.Range(0, Services).Select(i => Endpoints(NameOf(i), $"+10.244.{i / 250}.{i % 250 + 1}:8080"))],
        }, new NameTable());
        var own = await OwnProxy.StartWithAgentAsync(rig, port, config: config);
        await WebLoad.Http1Async(own.Port, "/", 4, TimeSpan.FromSeconds(2));
        using var client = new HttpClient();
        var times = new List<double>();
        var size = 0;
        for (var i = 0; i < Scrapes; i++)
        {
            var begun = Stopwatch.GetTimestamp();
            size = (await client.GetByteArrayAsync(new Uri("http://127.0.0.1:15020/stats/prometheus"))).Length;
            times.Add(Stopwatch.GetElapsedTime(begun).TotalMilliseconds);
        }
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{what,-40} {size / 1024.0,8:0.0} KiB {Quantiles.Of(times, 0.5),8:0.0} ms, 99th percentile {Quantiles.Of(times, 0.99):0.0} ms"));
        await rig.StopAsync(own);
    }
}

using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Text.Json.Nodes;
using Isthmus.Rigs.Mesh;

namespace Isthmus.Bench.Proxies;

/// <summary>A gateway proxy with few and with many HTTPRoutes: its memory, its CPU for a changed route, and how soon it has that.</summary>
internal static class GatewayRoutesBench
{
    private const int RoutesOfSet = RoutesBench.RoutesOfSet, Changes = 60, WarmUp = 20, PerSecond = 400, ChangesOfLoad = 20;

    private const string Loaded = "front.example.com";

    private static readonly TimeSpan Rest = TimeSpan.FromSeconds(5), Turn = TimeSpan.FromSeconds(10);

    internal static async Task RunAsync(string root)
    {
        await using var rig = new ProxyRig(root);
        await using var discovery = await DiscoveryServer.StartAsync();
        Console.WriteLine($"a gateway with routes of ListenerSets; {Changes} changes of one route, from the object to the first answer that it makes, "
            + $"asked for every millisecond");
        Console.WriteLine("routes   own memory (RssAnon) MiB   later MiB   p50 ms   slowest ms   CPU of the proxy for a change, questions included: ms");
        foreach (var routes in (int[])[1000, 10_000, 40_000]) await MeasureAsync(rig, discovery, routes);
        await BesideLoadAsync(rig, discovery);
    }

    /// <summary>A request without its whole answer ends the bench.</summary>
    private static async Task BesideLoadAsync(ProxyRig rig, DiscoveryServer discovery)
    {
        const int Routes = 1000;
        var (port, server) = (rig.NextPort(), int.Parse((await Nginx.StartServerAsync(rig, new(""))).Split(':')[1], CultureInfo.InvariantCulture));
        var mesh = RoutesBench.Mesh((Routes + RoutesOfSet - 1) / RoutesOfSet, port);
        mesh.Settings("{enableAutoMtls: false}");
        mesh.Service("c1", "server", "10.96.1.2", target: server);
        mesh.Pod("c1", "server", "server-0", "127.0.0.1", mtls: false);
        mesh.Slice("c1", "server", server, "http", ("server-0", "127.0.0.1"));
        mesh.Config($"{{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {{name: loaded, namespace: shop}}, spec: {{parentRefs: "
            + $"[{{name: front}}], hostnames: [{Loaded}], rules: [{{backendRefs: [{{name: server, port: 80}}]}}]}}}}");
        for (var route = 0; route < Routes; route++) Route(mesh, route, "a");
        mesh.Push();
        var feed = mesh.Router("c1", "front", labels: new() { ["gateway.networking.k8s.io/gateway-name"] = "front" });
        discovery.Publish(feed.Snapshot!.Types);
        var own = await OwnProxy.StartWithAgentAsync(rig, port, "loaded-gateway", kind: "router");
        using var client = new HttpClient(new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false });
        await AnswersAsync(client, port, Routes - 1, "a");
        var quiet = await PacedLoad.RunAsync("127.0.0.1", port, Turn, PerSecond, Loaded);
        var load = PacedLoad.RunAsync("127.0.0.1", port, Turn, PerSecond, Loaded);
        var times = new List<double>();
        for (var change = 0; change < ChangesOfLoad; change++)
        {
            await Task.Delay(Turn / ChangesOfLoad / 2);
            var begun = Stopwatch.GetTimestamp();
            Route(mesh, change * 37 % Routes, $"l{change}");
            mesh.Push();
            discovery.Publish(feed.Snapshot!.Types);
            await AnswersAsync(client, port, change * 37 % Routes, $"l{change}");
            times.Add(Stopwatch.GetElapsedTime(begun).TotalMilliseconds);
        }
        var busy = await load;
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{Routes} routes, {PerSecond} requests/s, {ChangesOfLoad} changes, no request lost of {busy.Count}: change → answer p50 "
                + $"{Quantiles.Of(times, 0.5):0.0} ms, slowest {times.Max():0.0} ms; requests without changes p50 {Quantiles.Of(quiet, 0.5):0.00} ms, "
                + $"p99 {Quantiles.Of(quiet, 0.99):0.0} ms, with changes p50 {Quantiles.Of(busy, 0.5):0.00} ms, p99 {Quantiles.Of(busy, 0.99):0.0} ms"));
        await rig.StopAsync(own);
    }

    private static async Task MeasureAsync(ProxyRig rig, DiscoveryServer discovery, int routes)
    {
        var port = rig.NextPort();
        var mesh = RoutesBench.Mesh((routes + RoutesOfSet - 1) / RoutesOfSet, port);
        for (var route = 0; route < routes; route++) Route(mesh, route, "a");
        mesh.Push();
        var feed = mesh.Router("c1", "front", labels: new() { ["gateway.networking.k8s.io/gateway-name"] = "front" });
        discovery.Publish(feed.Snapshot!.Types);
        var own = await OwnProxy.StartWithAgentAsync(rig, port, $"gateway{routes}", kind: "router");
        using var client = new HttpClient(new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false });
        await AnswersAsync(client, port, routes - 1, "a");
        await Task.Delay(Rest);
        var memory = own.AnonymousKib / 1024;
        var times = new List<double>();
        var cpu = 0.0;
        for (var change = -WarmUp; change < Changes; change++)
        {
            if (change == 0) cpu = own.CpuSeconds;
            var (route, mark) = ((change + WarmUp) * 37 % routes, $"m{change + WarmUp}");
            var begun = Stopwatch.GetTimestamp();
            Route(mesh, route, mark);
            mesh.Push();
            discovery.Publish(feed.Snapshot!.Types);
            await AnswersAsync(client, port, route, mark);
            if (change >= 0) times.Add(Stopwatch.GetElapsedTime(begun).TotalMilliseconds);
        }
        cpu = (own.CpuSeconds - cpu) / Changes * 1000;
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{routes,6}   {memory,25:0.0}   {own.AnonymousKib / 1024,9:0.0}   {Quantiles.Of(times, 0.5),6:0.0}   {times.Max(),10:0.0}   {cpu,10:0.0}"));
        await rig.StopAsync(own);
    }

    /// <summary>A route that answers by itself: nothing of the time is that of a server behind the gateway.</summary>
    private static void Route(MeshRig mesh, int route, string mark) => RoutesBench.Route(mesh, route, mark, filter: new()
    {
        ["type"] = "RequestRedirect", ["requestRedirect"] = new JsonObject { ["hostname"] = "elsewhere.example.com" },
    });

    /// <summary>Waits until the gateway has the route.</summary>
    private static async Task AnswersAsync(HttpClient client, int port, int route, string mark)
    {
        for (var attempt = 0; attempt < 60_000; attempt++)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, $"http://127.0.0.1:{port}/{mark}");
            request.Headers.Host = $"r{route}.s{route / RoutesOfSet}.example.com";
            using var answer = await client.SendAsync(request);
            if (answer.StatusCode != HttpStatusCode.NotFound) return;
            await Task.Delay(1);
        }
        throw new InvalidOperationException($"the gateway does not get route {route}");
    }
}

using System.Diagnostics;
using System.Globalization;
using Isthmus.ControlPlane.Push;
using Isthmus.Mesh.Model;
using Isthmus.Rigs.Mesh;
using Isthmus.Wire.Xds;

namespace Isthmus.Bench.Proxies;

/// <summary>A gateway with 1,000 hosts, each with a VirtualService of four routes: how soon it has a changed one, what that costs it, and how long
/// requests wait while routes change.</summary>
internal static class ChangedRoutesBench
{
    private const int Hosts = 1000, PerSecond = 400, Rounds = 4, Changes = 40, WarmUp = 20, EnvoyDiscovery = 15011;

    private static readonly TimeSpan Turn = TimeSpan.FromSeconds(10), Pause = TimeSpan.FromMilliseconds(500);

    /// <summary>A gateway, and the control plane that it has to itself.</summary>
    private sealed record Gateway(Contender Contender, DiscoveryServer Discovery, ProxyFeed Feed, DeltaStream Stream)
    {
        public List<double> Quiet { get; } = [];

        public List<double> Busy { get; } = [];
    }

    internal static async Task RunAsync(string root)
    {
        await using var rig = new ProxyRig(root);
        await using var discovery = await DiscoveryServer.StartAsync();
        await using var discoveryOfEnvoy = await DiscoveryServer.StartAsync(EnvoyDiscovery);
        var server = int.Parse((await Nginx.StartServerAsync(rig, new(""))).Split(':')[1], CultureInfo.InvariantCulture);
        Console.WriteLine($"a gateway with {Hosts} hosts, a VirtualService with four routes each; {Changes} changes of one of them, from the object to the "
            + $"first answer that it makes, asked for every millisecond; then {PerSecond} requests/s, without changes and with two a second, "
            + $"{Rounds} turns of {Turn.TotalSeconds} s each");
        var mesh = new MeshRig("c1");
        // Envoy would get its certificate from an agent, which is not there.
        mesh.Settings("{enableAutoMtls: false}");
        mesh.Service("c1", "app", "10.96.1.1", target: server);
        mesh.Pod("c1", "app", "app-0", "127.0.0.1", mtls: false);
        mesh.Slice("c1", "app", server, "http", ("app-0", "127.0.0.1"));
        var (port, portOfEnvoy) = (rig.NextPort(), rig.NextPort());
        Serve(mesh, "isthmus", port);
        Serve(mesh, "envoy", portOfEnvoy);
        for (var host = 0; host < Hosts; host++) Route(mesh, host, "first");
        mesh.Push();
        var feed = mesh.Router("c1", "isthmus");
        discovery.Publish(feed.Snapshot!.Types);
        var gateways = new List<Gateway>
        {
            new(await OwnProxy.StartWithAgentAsync(rig, port, kind: "router"), discovery, feed, ScopesBench.Subscribe(feed.Snapshot)),
        };
        feed = mesh.Router("c1", "envoy", software: new(true, true, IstioFilters.None) { IsRecent = true });
        discoveryOfEnvoy.Publish(feed.Snapshot!.Types);
        if (await Envoy.StartDiscoveredAsync(rig, portOfEnvoy, EnvoyDiscovery) is { } envoy)
            gateways.Add(new(envoy, discoveryOfEnvoy, feed, ScopesBench.Subscribe(feed.Snapshot, takesHosts: false)));
        using var client = new HttpClient(new SocketsHttpHandler { UseProxy = false });
        Console.WriteLine("gateway   change → answer: p50 ms   slowest ms   CPU of the gateway for a change, questions included: ms   bytes of a change");
        foreach (var gateway in gateways) await ChangeAsync(mesh, gateway, client);
        for (var round = 0; round < Rounds; round++)
        {
            foreach (var gateway in gateways)
            {
                gateway.Quiet.AddRange(await LoadAsync(gateway, () => Task.Delay(Pause)));
                var change = 0;
                gateway.Busy.AddRange(await LoadAsync(gateway, async () =>
                {
                    Publish(mesh, gateway, ++change * 37 % Hosts, $"{gateway.Contender.Name}{round}-{change}");
                    await Task.Delay(Pause);
                }));
                await AnswersAsync(client, gateway, change * 37 % Hosts, $"{gateway.Contender.Name}{round}-{change}");
            }
        }
        Console.WriteLine("gateway   without changes: p50 ms   p99 ms   slowest ms   with changes: p50 ms   p99 ms   slowest ms");
        foreach (var gateway in gateways)
            Console.WriteLine($"{gateway.Contender.Name,-8}   {Words(gateway.Quiet)}   {Words(gateway.Busy)}");
        if (gateways is not [var own, var other]) return;
        Console.WriteLine("the ratio is p99 with changes to that of Envoy, and less is better");
        Comparison.Conclude(Quantiles.Of(own.Busy, 0.99) / Quantiles.Of(other.Busy, 0.99));
    }

    private static string Words(List<double> times) => string.Create(CultureInfo.InvariantCulture,
        $"{Quantiles.Of(times, 0.5),23:0.00}   {Quantiles.Of(times, 0.99),6:0.00}   {times.Max(),10:0.0}");

    private static async Task<IReadOnlyList<double>> LoadAsync(Gateway gateway, Func<Task> beside)
    {
        var load = PacedLoad.RunAsync("127.0.0.1", gateway.Contender.Port, Turn, PerSecond, HostOf(1));
        while (!load.IsCompleted) await beside();
        return await load;
    }

    private static async Task ChangeAsync(MeshRig mesh, Gateway gateway, HttpClient client)
    {
        await AnswersAsync(client, gateway, Hosts - 1, "first");
        var (times, cpu, bytes) = (new List<double>(), 0.0, 0);
        for (var change = -WarmUp; change < Changes; change++)
        {
            if (change == 0) cpu = gateway.Contender.CpuSeconds;
            var (host, mark) = ((change + WarmUp) * 37 % Hosts, $"{gateway.Contender.Name}{change}");
            var begun = Stopwatch.GetTimestamp();
            bytes = Publish(mesh, gateway, host, mark);
            await AnswersAsync(client, gateway, host, mark);
            if (change >= 0) times.Add(Stopwatch.GetElapsedTime(begun).TotalMilliseconds);
        }
        cpu = (gateway.Contender.CpuSeconds - cpu) / Changes * 1000;
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{gateway.Contender.Name,-8}   {Quantiles.Of(times, 0.5),23:0.0}   {times.Max(),10:0.0}   {cpu,57:0.0}   {bytes,17}"));
    }

    /// <returns>The bytes that the gateway is sent.</returns>
    private static int Publish(MeshRig mesh, Gateway gateway, int host, string mark)
    {
        Route(mesh, host, mark);
        mesh.Push();
        gateway.Discovery.Publish(gateway.Feed.Snapshot!.Types);
        var bytes = 0;
        foreach (var answer in gateway.Stream.Update(gateway.Feed.Snapshot))
        {
            bytes += answer.CalculateSize();
            gateway.Stream.Receive(new() { TypeUrl = answer.TypeUrl, ResponseNonce = answer.Nonce });
        }
        return bytes;
    }

    /// <summary>Waits until the gateway has the route.</summary>
    private static async Task AnswersAsync(HttpClient client, Gateway gateway, int host, string mark)
    {
        for (var attempt = 0; attempt < 60_000; attempt++)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, $"http://127.0.0.1:{gateway.Contender.Port}/");
            request.Headers.Host = HostOf(host);
            using var answer = await client.SendAsync(request);
            if (answer.Headers.TryGetValues("x-mark", out var marks) && marks.Contains(mark)) return;
            await Task.Delay(1);
        }
        throw new InvalidOperationException($"{gateway.Contender.Name} does not get the route of {HostOf(host)}");
    }

    private static string HostOf(int host) => $"h{host}.example.com";

    /// <summary>A Gateway, and the Service by which its proxy listens on a port of this machine.</summary>
    private static void Serve(MeshRig mesh, string name, int port)
    {
        mesh.Service("c1", name, port % 2 == 0 ? "10.96.0.20" : "10.96.0.21", target: port);
        mesh.Config($"{{apiVersion: networking.istio.io/v1, kind: Gateway, metadata: {{name: {name}, namespace: shop}}, spec: {{selector: {{app: {name}}}, "
            + "servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]}}");
    }

    private static void Route(MeshRig mesh, int host, string mark)
    {
        static string To(string match, string mark) =>
            $"{{{match}headers: {{response: {{set: {{x-mark: {mark}}}}}}}, route: [{{destination: {{host: app}}}}]}}";
        var others = ((string[])["a", "b", "c"]).Select(path => To($"match: [{{uri: {{prefix: /{path}}}}}], ", path));
        mesh.Config($"{{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {{name: h{host}, namespace: shop}}, spec: "
            + $"{{hosts: [{HostOf(host)}], gateways: [isthmus, envoy], http: [{string.Join(", ", others)}, {To("", mark)}]}}}}");
    }
}

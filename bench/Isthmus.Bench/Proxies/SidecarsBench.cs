using System.Globalization;

namespace Isthmus.Bench.Proxies;

/// <summary>A caller's and a server's sidecar in a row, each in a network of its own, with TLS between them.</summary>
internal static class SidecarsBench
{
    private const int Connections = 32, LatencyRounds = 3;

    private static readonly TimeSpan First = TimeSpan.FromSeconds(10), Turn = TimeSpan.FromSeconds(3);

    internal static async Task RunAsync(string root)
    {
        Console.WriteLine(
            "two sidecars in a row with TLS 1.3 and certificates of both sides between them, HTTP/1.1 kept alive, small answers, no traffic capture");
        await using var network = await OtherNetwork.CreateAsync();
        await using var rig = new ProxyRig(root);
        var server = await Nginx.StartServerAsync(rig, new("") { Host = OtherNetwork.Address, NetworkOf = network.Holder });

        // New sidecars for each: what the runtime has compiled for one load also serves the other.
        var young = await StartPairAsync(rig, "isthmus", OwnProxy.StartAsync, server, network);
        var before = young.Whole.CpuSeconds;
        var firstRequests = await WebLoad.Http1Async(young.Whole.Port, "/", Connections, First);
        var firstPerCpu = firstRequests.Work / (young.Whole.CpuSeconds - before);
        await rig.StopAsync(young.Caller);
        await rig.StopAsync(young.Callee);

        var own = await StartPairAsync(rig, "isthmus", OwnProxy.StartAsync, server, network);
        var firstTimes = await PacedLoad.RunAsync("127.0.0.1", own.Whole.Port, First);
        var peer = await StartPairAsync(rig, "nginx", Nginx.StartAsync, server, network);

        List<Contender> pairs = [own.Whole, peer.Whole];
        if (Envoy.IsThere())
            pairs.Add((await StartPairAsync(rig, "envoy", StartEnvoyAsync, server, network)).Whole);

        Console.WriteLine($"requests/s at {Connections} connections");
        var ratio = await new Comparison("requests") { Rounds = 3 }.RunAsync(pairs,
            (pair, duration) => WebLoad.Http1Async(pair.Port, "/", Connections, duration));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"isthmus in the first ten seconds: {firstRequests.Work / firstRequests.Duration.TotalSeconds:0} requests/s, {firstPerCpu:0} requests/CPU s, p99 "
                + $"{firstRequests.P99:0.00} ms"));

        var (direct, ours, theirs) = (new List<double>(), new List<double>(), new List<double>());
        for (var round = 0; round < LatencyRounds; round++)
        {
            direct.AddRange(await PacedLoad.RunAsync(OtherNetwork.Address, int.Parse(server.Split(':')[1], CultureInfo.InvariantCulture), Turn));
            ours.AddRange(await PacedLoad.RunAsync("127.0.0.1", own.Whole.Port, Turn));
            theirs.AddRange(await PacedLoad.RunAsync("127.0.0.1", peer.Whole.Port, Turn));
        }
        Console.WriteLine($"{"latency at 1,000 requests/s",-34} {"p50 ms",8} {"p99 ms",8} {"p50 added",10} {"p99 added",10}");
        Line("no sidecar", direct, direct);
        Line("isthmus, in the first ten seconds", firstTimes, direct);
        Line("isthmus", ours, direct);
        Line("nginx", theirs, direct);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"added by isthmus / by nginx: p50 {Added(ours, direct, 0.5) / Added(theirs, direct, 0.5):0.00}, p99 "
                + $"{Added(ours, direct, 0.99) / Added(theirs, direct, 0.99):0.00}"));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"added in the first ten seconds / later: p50 {Added(firstTimes, direct, 0.5) / Added(ours, direct, 0.5):0.00}, p99 "
                + $"{Added(firstTimes, direct, 0.99) / Added(ours, direct, 0.99):0.00}"));
        Comparison.Conclude(ratio);
    }

    /// <summary>The same through tunnels (HBONE), beside Envoys, and beside sidecars of this program without tunnels.</summary>
    internal static async Task RunTunnelledAsync(string root)
    {
        Console.WriteLine("two sidecars in a row with a tunnel (HBONE) between them, HTTP/1.1 kept alive, small answers, no traffic capture");
        await using var network = await OtherNetwork.CreateAsync();
        await using var rig = new ProxyRig(root);
        var server = await Nginx.StartServerAsync(rig, new("") { Host = OtherNetwork.Address, NetworkOf = network.Holder });
        var tunnelled = (await StartPairAsync(rig, "hbone", OwnProxy.StartAsync, server, network, tunnels: true)).Whole;
        var plain = (await StartPairAsync(rig, "tls", OwnProxy.StartAsync, server, network)).Whole;
        List<Contender> all = [tunnelled, plain];
        if (Envoy.IsThere()) all.Add((await StartPairAsync(rig, "envoy", StartEnvoyAsync, server, network, tunnels: true)).Whole);
        var ratio = await new Comparison("requests").RunAsync(all, (pair, duration) => WebLoad.Http1Async(pair.Port, "/", Connections, duration));
        Console.WriteLine("hbone and tls are this program, with and without tunnels; the ratio compares the first to the better of the others");
        Comparison.Conclude(ratio);
    }

    private static async Task<Contender> StartEnvoyAsync(ProxyRig rig, Wiring wiring) => (await Envoy.StartAsync(rig, wiring))[0];

    private sealed record Pair(Contender Caller, Contender Callee, Contender Whole);

    private static async Task<Pair> StartPairAsync(ProxyRig rig, string name, Func<ProxyRig, Wiring, Task<Contender>> start, string server,
        OtherNetwork network, bool tunnels = false)
    {
        var end = tunnels ? server : null;
        var place = tunnels ? "-hbone" : "";
        var callee = await start(rig,
            new(server)
            {
                Place = $"{place}-callee", Host = OtherNetwork.Address, NetworkOf = network.Holder, TlsFromClients = true, Tickets = true, Inbound = true,
                TunnelTo = end,
            });
        var caller = await start(rig, new($"{OtherNetwork.Address}:{callee.Port}") { Place = $"{place}-caller", TlsToServer = true, TunnelTo = end });
        return new(caller, callee, caller.Before(name, callee));
    }

    private static double Added(IReadOnlyList<double> times, IReadOnlyList<double> direct,
        double part) => Quantiles.Of(times, part) - Quantiles.Of(direct, part);

    private static void Line(string name, IReadOnlyList<double> times, IReadOnlyList<double> direct) =>
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
        $"{name,-34} {Quantiles.Of(times, 0.5),8:0.00} {Quantiles.Of(times, 0.99),8:0.00} {Added(times, direct, 0.5),10:0.00} "
            + $"{Added(times, direct, 0.99),10:0.00}"));
}

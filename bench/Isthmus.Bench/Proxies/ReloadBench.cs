using System.Diagnostics;
using System.Globalization;
using Isthmus.Core.Names;
using Isthmus.Wire.Istio;
using static Isthmus.Rigs.Mesh.TestResources;

namespace Isthmus.Bench.Proxies;

/// <summary>The time of requests while endpoints of other Services change.</summary>
internal static class ReloadBench
{
    private const int Clusters = 500, PerCluster = 10, Rounds = 4;

    private static readonly TimeSpan Turn = TimeSpan.FromSeconds(6), Pause = TimeSpan.FromSeconds(1);

    private sealed record Sample(double P50, double P99, double Cpu);

    internal static async Task RunAsync(string root)
    {
        await using var rig = new ProxyRig(root);
        await using var discovery = await DiscoveryServer.StartAsync();
        Console.WriteLine(
            $"1,000 requests/s through a sidecar, without changes and while {Clusters * PerCluster} endpoints of {Clusters} other Services change each second");
        var port = rig.NextPort();
        var resources = OwnResources.ForHttp(new(await Nginx.StartServerAsync(rig, new(""))), port, rig.File("isthmus.log"));
        var states = Enumerable.Range(0, 2).Select(state => DiscoveryServer.Encode(
            [.. resources.Assignments.Select(text => (text, "always")),
                .. Enumerable.Range(0, Clusters).Select(number => (EndpointsOf(number, state), $"{state}"))]))
            .ToArray();
        discovery.Publish(resources with { Clusters = [.. resources.Clusters, .. Enumerable.Range(0, Clusters).Select(number => RawCluster(NameOf(number)))] },
            new NameTable());
        discovery.PublishEndpoints(states[0]);
        var own = await OwnProxy.StartWithAgentAsync(rig, port);
        await AwaitAnswerAsync(port);

        var (changes, quiet, busy) = (0, new List<Sample>(), new List<Sample>());
        async Task ChangeAsync()
        {
            discovery.PublishEndpoints(states[++changes % 2]);
            await Task.Delay(Pause);
        }
        // The runtime compiles both kinds of work.
        var warm = PacedLoad.RunAsync("127.0.0.1", port, Turn);
        while (!warm.IsCompleted) await ChangeAsync();
        await warm;
        for (var round = 0; round < Rounds; round++)
        {
            quiet.Add(await MeasureAsync(own, () => Task.Delay(Pause)));
            busy.Add(await MeasureAsync(own, ChangeAsync));
        }
        await CheckAsync(changes % 2);
        Console.WriteLine($"{changes} changes published, {discovery.AcceptedEndpoints} responses with endpoints accepted");
        Console.WriteLine($"{"",-18} {"p50 ms",8} {"p99 ms",8} {"p99 spread",14} {"CPU ms/s",10}");
        Print("without changes", quiet);
        Print("with changes", busy);
        Console.WriteLine("the ratio is p99 with changes to p99 without, and less is better");
        Comparison.Conclude(Quantiles.Of([.. busy.Select(s => s.P99)], 0.5) / Quantiles.Of([.. quiet.Select(s => s.P99)], 0.5));
    }

    private static async Task<Sample> MeasureAsync(Contender own, Func<Task> beside)
    {
        var (before, begun) = (own.CpuSeconds, Stopwatch.GetTimestamp());
        var load = PacedLoad.RunAsync("127.0.0.1", own.Port, Turn);
        while (!load.IsCompleted) await beside();
        var times = await load;
        return new(Quantiles.Of(times, 0.5), Quantiles.Of(times, 0.99), (own.CpuSeconds - before) / Stopwatch.GetElapsedTime(begun).TotalMilliseconds * 1e6);
    }

    /// <summary>The port opens before the sidecar knows the cluster behind it.</summary>
    private static async Task AwaitAnswerAsync(int port)
    {
        using var client = new HttpClient { DefaultRequestHeaders = { Host = "app.bench.svc.cluster.local" } };
        for (var attempt = 0; attempt < 100; attempt++)
        {
            using var answer = await client.GetAsync(new Uri($"http://127.0.0.1:{port}/"));
            if (answer.IsSuccessStatusCode) return;
            await Task.Delay(100);
        }
        throw new InvalidOperationException("the sidecar does not serve requests");
    }

    /// <summary>Waits until the sidecar has the endpoints that were published last.</summary>
    private static async Task CheckAsync(int state)
    {
        using var client = new HttpClient();
        var expected = $"{NameOf(Clusters - 1)}::{AddressOf(Clusters - 1, state, PerCluster - 1)}::";
        for (var attempt = 0; attempt < 50; attempt++)
        {
            if ((await client.GetStringAsync($"http://127.0.0.1:{Ports.ProxyAdmin}/clusters")).Contains(expected, StringComparison.Ordinal)) return;
            await Task.Delay(100);
        }
        throw new InvalidOperationException($"the sidecar does not know {expected}");
    }

    private static string NameOf(int number) => $"outbound|8080||app{number}.bench.svc.cluster.local";

    private static string EndpointsOf(int number, int state) =>
        Endpoints(NameOf(number), [.. Enumerable.Range(0, PerCluster).Select(i => AddressOf(number, state, i))]);

    private static string AddressOf(int number, int state, int endpoint) => $"10.{244 + state}.{number / 25}.{number % 25 * PerCluster + endpoint + 1}:8080";

    private static void Print(string what, List<Sample> samples) => Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
        $"{what,-18} {Quantiles.Of([.. samples.Select(s => s.P50)], 0.5),8:0.00} {Quantiles.Of([.. samples.Select(s => s.P99)], 0.5),8:0.00} "
            + $"{$"{samples.Min(s => s.P99):0.00}-{samples.Max(s => s.P99):0.00}",14} {Quantiles.Of([.. samples.Select(s => s.Cpu)], 0.5),10:0}"));
}

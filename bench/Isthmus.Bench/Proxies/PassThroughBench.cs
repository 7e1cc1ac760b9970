using System.Globalization;

namespace Isthmus.Bench.Proxies;

/// <summary>Connections that are passed through by their server name.</summary>
internal static class PassThroughBench
{
    internal static async Task RunBytesAsync(string root)
    {
        using var stop = new CancellationTokenSource();
        await using var rig = new ProxyRig(root);
        Console.WriteLine("TLS passed through by server name, bulk from the server");
        var hello = await TcpLoad.HelloAsync(OwnResources.PassedName, "istio");
        var contenders = await StartAsync(rig, TcpLoad.StartByteServer(stop.Token));
        var ratios = new List<double>();
        foreach (var streams in (int[])[1, 8])
        {
            Console.WriteLine($"{streams} {(streams == 1 ? "stream" : "streams")}");
            ratios.Add(await new Comparison("MiB") { Scale = 1 << 20 }.RunAsync(contenders,
                (contender, duration) => TcpLoad.BytesAsync(contender.Port, hello, streams, duration)));
        }
        await stop.CancelAsync();
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"1 stream {ratios[0]:0.00}, 8 streams {ratios[1]:0.00}; the ratio is the smaller one"));
        Comparison.Conclude(ratios.Min());
    }

    /// <param name="before">The repository of another build to compare with. Null: other programs.</param>
    internal static async Task RunConnectionsAsync(string root, string? before)
    {
        const int atATime = 32;
        using var stop = new CancellationTokenSource();
        await using var rig = new ProxyRig(root);
        Console.WriteLine($"new connections passed through by server name, {atATime} at a time, each with a hello and an answer of 100 bytes");
        var hello = await TcpLoad.HelloAsync(OwnResources.PassedName, "istio");
        var server = TcpLoad.StartAnswerServer(stop.Token);
        var contenders = before is null ? await StartAsync(rig, server)
            : await OwnProxy.StartBuildsAsync(rig, new(server), before, OwnProxy.StartPassThroughAsync);
        var ratio = await new Comparison("connections") { Rounds = Comparison.RoundsBeside(before) }.RunAsync(contenders,
            (contender, duration) => TcpLoad.ConnectionsAsync(contender.Port, hello, atATime, duration));
        await stop.CancelAsync();
        Comparison.Conclude(ratio);
    }

    private static async Task<Contender[]> StartAsync(ProxyRig rig, string server) =>
        [await OwnProxy.StartPassThroughAsync(rig, new(server)), await Haproxy.StartPassThroughAsync(rig, server, OwnResources.PassedName),
            .. await Envoy.StartPassThroughAsync(rig, server)];
}

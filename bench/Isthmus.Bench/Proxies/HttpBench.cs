namespace Isthmus.Bench.Proxies;

/// <summary>Requests through the proxy.</summary>
internal static class HttpBench
{
    private const int Connections = 32;

    internal static Task RunHttp1Async(string root) => RunHttp1Async(root, "/", "small answers");

    internal static Task RunLargeAsync(string root) => RunHttp1Async(root, "/64k", "answers of 64 KiB");

    internal static async Task RunHttp2Async(string root)
    {
        await using var rig = new ProxyRig(root);
        var server = await rig.StartServerAsync(http2: true);
        Console.WriteLine("HTTP/2 by prior knowledge on both sides, 8 connections of 8 streams, small answers");
        await Comparison.RunAsync("requests", 1, [await rig.StartOwnAsync(server, http2: true), await rig.StartNghttpxAsync(server), await rig.StartHaproxyAsync(server, http2: true)],
            (port, duration) => WebLoad.Http2Async(ProxyRig.OtherCores, port, "/", 8, 8, duration));
    }

    private static async Task RunHttp1Async(string root, string path, string what)
    {
        await using var rig = new ProxyRig(root);
        var server = await rig.StartServerAsync(http2: false);
        Console.WriteLine($"HTTP/1.1 kept alive, {Connections} connections, {what}");
        await Comparison.RunAsync("requests", 1, [await rig.StartOwnAsync(server, http2: false), await rig.StartNginxAsync(server), await rig.StartHaproxyAsync(server, http2: false)],
            (port, duration) => WebLoad.Http1Async(ProxyRig.OtherCores, port, path, Connections, duration));
    }
}

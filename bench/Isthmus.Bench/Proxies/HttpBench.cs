namespace Isthmus.Bench.Proxies;

/// <summary>Requests through the proxy.</summary>
internal static class HttpBench
{
    private const int Connections = 32;

    /// <param name="before">The repository of another build to compare with. Null: other programs. So below.</param>
    internal static Task RunHttp1Async(string root, string? before) => RunHttp1Async(root, before, "/", "small answers");

    internal static Task RunLargeAsync(string root) => RunHttp1Async(root, null, "/64k", "answers of 64 KiB");

    internal static async Task RunTlsAsync(string root, string? before)
    {
        await using var rig = new ProxyRig(root);
        Console.WriteLine(
            $"HTTP/1.1 kept alive, {Connections} connections, small answers, TLS 1.3 with certificates of both sides (ECDSA P-256) on both connections");
        var wiring = new Wiring(await Nginx.StartServerAsync(rig, new("") { TlsFromClients = true })) { TlsFromClients = true, TlsToServer = true };
        var contenders = await StartHttp1Async(rig, wiring, before);
        // wrk presents no certificate: an nginx between it and the contender does.
        var clients = new Dictionary<Contender, int>();
        foreach (var contender in contenders) clients[contender] = await Nginx.StartClientAsync(rig, contender);
        Comparison.Conclude(await new Comparison("requests") { Rounds = Comparison.RoundsBeside(before) }.RunAsync(contenders,
            (contender, duration) => WebLoad.Http1Async(clients[contender], "/", Connections, duration)));
    }

    internal static async Task RunHttp2Async(string root, string? before)
    {
        await using var rig = new ProxyRig(root);
        Console.WriteLine("HTTP/2 by prior knowledge on both sides, 8 connections of 8 streams, small answers");
        var wiring = new Wiring(await Nginx.StartServerAsync(rig, new("") { Http2 = true })) { Http2 = true };
        Contender[] contenders = before is null
            ? [await OwnProxy.StartAsync(rig, wiring), await Nghttpx.StartAsync(rig, wiring), await Haproxy.StartAsync(rig, wiring),
                .. await Envoy.StartAsync(rig, wiring)]
            : await OwnProxy.StartBuildsAsync(rig, wiring, before, OwnProxy.StartAsync);
        Comparison.Conclude(await new Comparison("requests") { Rounds = Comparison.RoundsBeside(before) }.RunAsync(contenders,
            (contender, duration) => WebLoad.Http2Async(contender.Port, "/", 8, 8, duration)));
    }

    /// <summary>The proxy with tracing beside itself without.</summary>
    internal static async Task RunTracingAsync(string root)
    {
        await using var rig = new ProxyRig(root);
        Console.WriteLine($"HTTP/1.1 kept alive, {Connections} connections, small answers; the share of requests that are traced (Zipkin)");
        var wiring = new Wiring(await Nginx.StartServerAsync(rig, new("")));
        var contenders = new List<Contender>();
        foreach (var sampling in (double?[])[0, null, 1, 100]) contenders.Add(await OwnProxy.StartAsync(rig, wiring with { Sampling = sampling }));
        Comparison.Conclude(await new Comparison("requests") { Rounds = 10 }.RunAsync(contenders,
            (contender, duration) => WebLoad.Http1Async(contender.Port, "/", Connections, duration)));
    }

    /// <summary>The same requests, compared between the native executable and the program that needs .NET, which runs twice.</summary>
    internal static async Task RunNativeAsync(string root)
    {
        await using var rig = new ProxyRig(root);
        Console.WriteLine($"HTTP/1.1 kept alive, {Connections} connections, small answers; the native executable, and twice the program on .NET");
        var wiring = new Wiring(await Nginx.StartServerAsync(rig, new("")));
        Contender[] contenders = [await OwnProxy.StartAsync(rig, wiring with { Place = "-native", Program = ProxyRig.NativeOf(root) }),
            await OwnProxy.StartAsync(rig, wiring), await OwnProxy.StartAsync(rig, wiring with { Place = "-again" })];
        Comparison.Conclude(await new Comparison("requests") { Rounds = 10 }.RunAsync(contenders,
            (contender, duration) => WebLoad.Http1Async(contender.Port, "/", Connections, duration)));
    }

    private static async Task RunHttp1Async(string root, string? before, string path, string what)
    {
        await using var rig = new ProxyRig(root);
        Console.WriteLine($"HTTP/1.1 kept alive, {Connections} connections, {what}");
        var wiring = new Wiring(await Nginx.StartServerAsync(rig, new("")));
        var contenders = await StartHttp1Async(rig, wiring, before);
        Comparison.Conclude(await new Comparison("requests") { Rounds = Comparison.RoundsBeside(before) }.RunAsync(contenders,
            (contender, duration) => WebLoad.Http1Async(contender.Port, path, Connections, duration)));
    }

    private static async Task<Contender[]> StartHttp1Async(ProxyRig rig, Wiring wiring, string? before) => before is null
        ? [await OwnProxy.StartAsync(rig, wiring), await Nginx.StartAsync(rig, wiring), await Haproxy.StartAsync(rig, wiring),
            .. await Envoy.StartAsync(rig, wiring)]
        : await OwnProxy.StartBuildsAsync(rig, wiring, before, OwnProxy.StartAsync);
}

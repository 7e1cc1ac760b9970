using System.Globalization;

namespace Isthmus.Bench.Proxies;

/// <summary>Records what the code of the proxy does under the loads of other rows: how often each block runs, and which types and methods calls meet.</summary>
internal static class ProfileRecording
{
    private static readonly TimeSpan s_duration = TimeSpan.FromSeconds(10);

    /// <param name="folder">Gets a trace of the runtime for each load.</param>
    internal static async Task RunAsync(string root, string folder)
    {
        using var stop = new CancellationTokenSource();
        await using var rig = new ProxyRig(root);
        var server = await Nginx.StartServerAsync(rig, new(""));
        var tls = await Nginx.StartServerAsync(rig, new("") { Place = "-tls", TlsFromClients = true });
        var http2 = await Nginx.StartServerAsync(rig, new("") { Place = "-http2", Http2 = true });
        var grpc = rig.NextPort();
        await rig.StartServerAsync(new("grpc-server", grpc, "dotnet", rig.Bench, "grpc-server", grpc.ToString(CultureInfo.InvariantCulture)));
        var hello = await TcpLoad.HelloAsync(OwnResources.PassedName, "istio");

        async Task RecordAsync(string name, Wiring wiring, Func<ProxyRig, Wiring, Task<Contender>> startAsync, params Func<Contender, Task>[] loads)
        {
            Console.WriteLine(name);
            var proxy = await startAsync(rig, wiring with { Place = $"-{name}", Settings = Recording(Path.Combine(folder, $"{name}.nettrace")) });
            foreach (var load in loads) await load(proxy);
            await rig.EndAsync(proxy);
        }

        await RecordAsync("http1", new(server), OwnProxy.StartAsync, proxy => WebLoad.Http1Async(proxy.Port, "/", 32, s_duration),
            proxy => WebLoad.Http1Async(proxy.Port, "/64k", 32, s_duration));
        await RecordAsync("http1-mtls", new(tls) { TlsFromClients = true, TlsToServer = true }, OwnProxy.StartAsync,
            async proxy => await WebLoad.Http1Async(await Nginx.StartClientAsync(rig, proxy), "/", 32, s_duration));
        await RecordAsync("http2", new(http2) { Http2 = true }, OwnProxy.StartAsync, proxy => WebLoad.Http2Async(proxy.Port, "/", 8, 8, s_duration));
        await RecordAsync("grpc", new($"127.0.0.1:{grpc}") { Http2 = true }, OwnProxy.StartAsync, proxy => GrpcBench.CallAsync(rig, proxy, "One", s_duration),
            proxy => GrpcBench.CallAsync(rig, proxy, "Many", s_duration));
        await RecordAsync("handshake", new(server) { TlsFromClients = true, Tickets = true }, OwnProxy.StartAsync,
            proxy => WebLoad.HandshakesAsync(proxy.Port, rig.Credentials, resume: false, s_duration),
            proxy => WebLoad.HandshakesAsync(proxy.Port, rig.Credentials, resume: true, s_duration));
        await RecordAsync("connect", new(TcpLoad.StartAnswerServer(stop.Token)), OwnProxy.StartPassThroughAsync,
            proxy => TcpLoad.ConnectionsAsync(proxy.Port, hello, 32, s_duration));
        await stop.CancelAsync();
    }

    // All code begins as code that counts, that of .NET too, and counts some thousand calls of each method (hexadecimal). The runtime tells of it when it ends.
    private static Dictionary<string, string> Recording(string trace) => new()
    {
        ["DOTNET_ReadyToRun"] = "0",
        ["DOTNET_TieredPGO_InstrumentOnlyHotCode"] = "0",
        ["DOTNET_TC_CallCountThreshold"] = "2000",
        ["DOTNET_EnableEventPipe"] = "1",
        ["DOTNET_EventPipeConfig"] = "Microsoft-Windows-DotNETRuntime:0x1F000080018:5",
        ["DOTNET_EventPipeOutputPath"] = trace,
    };
}

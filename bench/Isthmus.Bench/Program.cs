using System.Globalization;
using Isthmus.Bench.Proxies;

namespace Isthmus.Bench;

internal static class Program
{
    private static async Task<int> Main(string[] args)
    {
        if (args.Length is not (2 or 3))
        {
            await Console.Error.WriteLineAsync("Start this with bench/run.");
            return 2;
        }
        // Rows that compare two builds get the directory of the other one.
        var before = args.ElementAtOrDefault(2);
        switch (args[0])
        {
            case "graph": GraphBench.Run(); return 0;
            case "scopes": ScopesBench.Run(); return 0;
            case "routes": RoutesBench.Run(); return 0;
            case "gateway-routes": await GatewayRoutesBench.RunAsync(args[1]); return 0;
            case "routes-1000": await ChangedRoutesBench.RunAsync(args[1]); return 0;
            case "virtual-services-1000": await VirtualServicesBench.RunAsync(args[1], before); return 0;
            case "http1": await HttpBench.RunHttp1Async(args[1], before); return 0;
            case "http1-native": await HttpBench.RunNativeAsync(args[1]); return 0;
            case "http1-64k": await HttpBench.RunLargeAsync(args[1]); return 0;
            case "http1-mtls": await HttpBench.RunTlsAsync(args[1], before); return 0;
            case "http1-tracing": await HttpBench.RunTracingAsync(args[1]); return 0;
            case "http2": await HttpBench.RunHttp2Async(args[1], before); return 0;
            case "grpc": await GrpcBench.RunAsync(args[1], before); return 0;
            case "grpc-server": await GrpcBench.ServeAsync(int.Parse(args[1], CultureInfo.InvariantCulture)); return 0;
            case "handshake": await HandshakeBench.RunFullAsync(args[1], before); return 0;
            case "handshake-resumed": await HandshakeBench.RunResumedAsync(args[1]); return 0;
            case "passthrough": await PassThroughBench.RunBytesAsync(args[1]); return 0;
            case "connect": await PassThroughBench.RunConnectionsAsync(args[1], before); return 0;
            case "two-sidecars": await SidecarsBench.RunAsync(args[1]); return 0;
            case "two-sidecars-hbone": await SidecarsBench.RunTunnelledAsync(args[1]); return 0;
            case "dns": await DnsBench.RunAsync(args[1]); return 0;
            case "profile": await ProfileRecording.RunAsync(args[1], args[2]); return 0;
            case "memory": await MemoryBench.RunAsync(args[1]); return 0;
            case "scrape": await ScrapeBench.RunAsync(args[1]); return 0;
            case "reload": await ReloadBench.RunAsync(args[1]); return 0;
            case "control-plane" when args is [_, _, "remotes"]: await ControlPlaneBench.RunRemotesAsync(args[1]); return 0;
            case "control-plane": await ControlPlaneBench.RunAsync(args[1], args.ElementAtOrDefault(2) ?? "100,500,1000"); return 0;
            case "route-statuses": await RouteStatusesBench.RunAsync(args[1]); return 0;
            case "cold-start": await ControlPlaneBench.RunColdAsync(args[1]); return 0;
            case "control-plane-clients": await ControlPlaneBench.RunClientsAsync(args[1]); return 0;
            case "quickstart": return await QuickstartBench.RunAsync(args[1]);
            default: await Console.Error.WriteLineAsync($"unknown benchmark '{args[0]}': see bench/run --help"); return 2;
        }
    }
}

using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using static Isthmus.Tests.Mesh.Proxy.TestResources;

namespace Isthmus.Bench;

/// <summary>The proxy as a process, configured from files, between clients and servers of this process. Next to it haproxy
/// with the same task.</summary>
internal static class ProxyBench
{
    private const string Name = "outbound_.8443_._.bench.shop.svc.cluster.local";
    private const int HttpPort = 18001;
    private const int SniPort = 18002;
    private const int OtherHttpPort = 18011;
    private const int OtherSniPort = 18012;

    private static readonly TimeSpan WarmUp = TimeSpan.FromSeconds(4);
    private static readonly TimeSpan Duration = TimeSpan.FromSeconds(6);

    internal static async Task RunAsync(string root)
    {
        var folder = Directory.CreateTempSubdirectory("isthmus-bench-").FullName;
        using var stop = new CancellationTokenSource();
        var (http, bytes) = (await Traffic.HttpServer(stop.Token), await Traffic.ByteServer(stop.Token));
        var processes = new List<Process>();
        try
        {
            WriteResources(folder, http, bytes);
            processes.Add(await StartAsync(HttpPort, "dotnet", Path.Combine(root, "artifacts/bin/isthmus/release/isthmus.dll"), "proxy", "router", "--xds-dir", folder));
            var haproxy = Find("haproxy");
            if (haproxy is null)
            {
                Console.WriteLine("haproxy is not installed, so there is no comparison (apt-get install haproxy)");
            }
            else
            {
                await File.WriteAllTextAsync(Path.Combine(folder, "haproxy.cfg"), Haproxy(http, bytes));
                processes.Add(await StartAsync(OtherHttpPort, haproxy, "-f", Path.Combine(folder, "haproxy.cfg")));
            }
            Console.WriteLine("proxy: client, proxy and server share this machine's cores");
            await CompareAsync("HTTP/1.1 kept alive, 32 connections, requests/s", 1, port => Traffic.RequestsPerSecond(port, 32, WarmUp, Duration), http, HttpPort, haproxy is null ? null : OtherHttpPort);
            await CompareAsync("pass-through by SNI, 8 connections, MiB/s", 1 << 20, port => Traffic.BytesPerSecond(port, 8, Name, "istio", WarmUp, Duration), bytes, SniPort, haproxy is null ? null : OtherSniPort);
        }
        finally
        {
            foreach (var process in processes)
            {
                process.Kill();
                await process.WaitForExitAsync();
                process.Dispose();
            }
            await stop.CancelAsync();
            Directory.Delete(folder, recursive: true);
        }
    }

    private static async Task CompareAsync(string what, double unit, Func<int, Task<double>> measure, int direct, int ours, int? other)
    {
        Console.WriteLine(what);
        Line("no proxy", await measure(direct) / unit, null);
        var otherRate = other is { } port ? await measure(port) / unit : (double?)null;
        if (otherRate is { } rate) Line("haproxy", rate, null);
        Line("isthmus", await measure(ours) / unit, otherRate);
    }

    private static void Line(string who, double rate, double? reference) => Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
        $"  {who,-10} {rate,10:0}{(reference is { } other ? $"   {rate / other:0.00} of haproxy" : "")}"));

    private static void WriteResources(string folder, int http, int bytes)
    {
        void Write(string file, params string[] resources) =>
            File.WriteAllText(Path.Combine(folder, file), Array(resources).ToJsonString().Replace("\"path\":\"log\"", "\"path\":\"/dev/null\"", StringComparison.Ordinal));
        Write("cds.json", RawCluster("app"), RawCluster("tls"));
        Write("eds.json", Endpoints("app", $"127.0.0.1:{http}"), Endpoints("tls", $"127.0.0.1:{bytes}"));
        Write("rds.json");
        Write("lds.json",
            $$$"""
            {"name": "http", "address": {"socket_address": {"address": "127.0.0.1", "port_value": {{{HttpPort}}}}}, "traffic_direction": "OUTBOUND",
             "filter_chains": [{"filters": [{{{Http(InlineRoute("app"), "\"use_remote_address\": false")}}}]}]}
            """,
            $$$"""
            {"name": "sni", "address": {"socket_address": {"address": "127.0.0.1", "port_value": {{{SniPort}}}}}, "traffic_direction": "OUTBOUND", "listener_filters": [{{{TlsInspector}}}],
             "filter_chains": [{"filter_chain_match": {"server_names": ["{{{Name}}}"], "application_protocols": {{{MeshProtocols}}} }, "filters": [{{{Tcp("tls")}}}]}]}
            """);
    }

    private static string Haproxy(int http, int bytes) => string.Create(CultureInfo.InvariantCulture, $$"""
        global
          nbthread {{Environment.ProcessorCount}}
        defaults
          timeout connect 5s
          timeout client 60s
          timeout server 60s
        frontend http
          mode http
          bind 127.0.0.1:{{OtherHttpPort}}
          default_backend app
        backend app
          mode http
          http-reuse always
          server app 127.0.0.1:{{http}}
        frontend sni
          mode tcp
          bind 127.0.0.1:{{OtherSniPort}}
          tcp-request inspect-delay 5s
          tcp-request content accept if { req.ssl_hello_type 1 }
          use_backend tls if { req.ssl_sni -i {{Name}} }
        backend tls
          mode tcp
          server tls 127.0.0.1:{{bytes}}

        """);

    /// <summary>Starts a program and waits until it listens.</summary>
    private static async Task<Process> StartAsync(int port, string program, params string[] arguments)
    {
        var process = Process.Start(new ProcessStartInfo(program, arguments)) ?? throw new InvalidOperationException($"{program} did not start");
        for (var i = 0; i < 300; i++)
        {
            if (process.HasExited) throw new InvalidOperationException($"{program} ended with {process.ExitCode}");
            try
            {
                using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
                await socket.ConnectAsync(IPAddress.Loopback, port);
                return process;
            }
            catch (SocketException)
            {
                await Task.Delay(100);
            }
        }
        process.Kill();
        throw new InvalidOperationException($"{program} does not listen on {port}");
    }

    private static string? Find(string program) =>
        $"{Environment.GetEnvironmentVariable("PATH")}:/usr/sbin:/sbin".Split(':').Select(folder => Path.Combine(folder, program)).FirstOrDefault(File.Exists);
}

using System.Globalization;
using Isthmus.Core.Names;
using Isthmus.Wire.Istio;
using static Isthmus.Rigs.Mesh.TestResources;

namespace Isthmus.Bench.Proxies;

/// <summary>A sidecar's own memory (RssAnon): without files, which processes share, and without sockets, which belong to the kernel.</summary>
internal static class MemoryBench
{
    private const int Idle = 10_000, Clusters = 10_000;

    private static readonly TimeSpan Rest = TimeSpan.FromSeconds(3), Load = TimeSpan.FromSeconds(6);

    internal static async Task RunAsync(string root)
    {
        await using var rig = new ProxyRig(root);
        await using var discovery = await DiscoveryServer.StartAsync();
        Console.WriteLine("own memory of the process (RssAnon); idle connections have carried one request each");
        var server = await Nginx.StartServerAsync(rig, new(""));
        await SidecarAsync(rig, discovery, server);
        await ClustersAsync(rig, discovery, server);
        var plain = await CompareAsync(rig, discovery, new(server), "plain");
        var tls = await CompareAsync(rig, discovery, new(server) { TlsFromClients = true }, "with TLS and client certificates");
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"plain {plain:0.00} of nginx, with TLS {tls:0.00}; the ratio is that with TLS, and less is better"));
        Comparison.Conclude(tls);
    }

    private static async Task SidecarAsync(ProxyRig rig, DiscoveryServer discovery, string server)
    {
        var own = await StartAsync(rig, discovery, new(server));
        await Task.Delay(Rest);
        Print("an idle sidecar", own);
        await WebLoad.Http1Async(own.Port, "/", 32, Load);
        Print($"at the end of a load of {Load.TotalSeconds:0} s on 32 connections", own);
        await Task.Delay(Rest);
        Print($"{Rest.TotalSeconds:0} s later", own);
        await rig.StopAsync(own);
    }

    private static async Task ClustersAsync(ProxyRig rig, DiscoveryServer discovery, string server)
    {
        static string NameOf(int number) => $"outbound|8080||app{number}.bench.svc.cluster.local";
        var port = rig.NextPort();
        var resources = OwnResources.ForHttp(new(server), port, rig.File("isthmus.log"));
        discovery.Publish(resources with
        {
            Clusters = [.. resources.Clusters,
                .. Enumerable.Range(0, Clusters)
                    .Select(i => MeshCluster(NameOf(i), $"outbound_.8080_._.app{i}.bench.svc.cluster.local", Credentials.Identity))],
            Assignments = [.. resources.Assignments,
                .. Enumerable.Range(0, Clusters).Select(i => Endpoints(NameOf(i), $"+10.244.{i / 250}.{i % 250 + 1}:8080"))],
        }, new NameTable());
        var own = await OwnProxy.StartWithAgentAsync(rig, port);
        await AwaitClustersAsync();
        await Task.Delay(Rest);
        Print($"with {Clusters} clusters of mesh services, one endpoint each", own);
        await rig.StopAsync(own);
    }

    /// <summary>Waits until all clusters are in use: those that wait for something cost less, or more.</summary>
    private static async Task AwaitClustersAsync()
    {
        using var client = new HttpClient();
        for (var attempt = 0; attempt < 100; attempt++)
        {
            try
            {
                var stats = await client.GetStringAsync($"http://127.0.0.1:{Ports.ProxyAdmin}/stats?filter=cluster_manager.active_clusters");
                if (stats.Split(' ') is [_, var count] && int.Parse(count, CultureInfo.InvariantCulture) >= Clusters) return;
            }
            catch (HttpRequestException)
            {
                // Its admin port opens first of all, but not at once.
            }
            await Task.Delay(100);
        }
        throw new InvalidOperationException("the sidecar does not use its clusters");
    }

    /// <summary>Prints what an idle connection costs; returns the ratio to nginx.</summary>
    private static async Task<double> CompareAsync(ProxyRig rig, DiscoveryServer discovery, Wiring wiring, string kind)
    {
        var own = await MeasureAsync(rig, await StartAsync(rig, discovery, wiring), wiring);
        var peer = await MeasureAsync(rig, await Nginx.StartAsync(rig, wiring), wiring);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{$"each of {Idle} idle connections, {kind}",-64} isthmus {own,6:0.0} KiB, nginx {peer,6:0.0} KiB"));
        return own / peer;
    }

    private static async Task<double> MeasureAsync(ProxyRig rig, Contender contender, Wiring wiring)
    {
        // What is allocated once for the first connections is not theirs.
        using (await IdleConnections.OpenAsync(contender.Port, 100, wiring.TlsFromClients ? rig.Credentials : null)) { }
        var before = contender.AnonymousKib;
        using var connections = await IdleConnections.OpenAsync(contender.Port, Idle, wiring.TlsFromClients ? rig.Credentials : null);
        await Task.Delay(Rest);
        var each = (contender.AnonymousKib - before) / Idle;
        await rig.StopAsync(contender);
        return each;
    }

    private static Task<Contender> StartAsync(ProxyRig rig, DiscoveryServer discovery, Wiring wiring)
    {
        var port = rig.NextPort();
        var resources = OwnResources.ForHttp(wiring, port, rig.File("isthmus.log"));
        // Certificates in files need no certificate authority.
        discovery.Publish(resources with { Listeners = [.. resources.Listeners.Select(listener => WithFiles(listener, rig.Credentials))] }, new NameTable());
        return OwnProxy.StartWithAgentAsync(rig, port);
    }

    private static string WithFiles(string listener, Credentials credentials) => listener
        .Replace("\"name\": \"default\", \"sds_config\"", $"\"name\": \"file-cert:{credentials.Chain}~{credentials.Key}\", \"sds_config\"",
            StringComparison.Ordinal)
        .Replace("\"name\": \"ROOTCA\", \"sds_config\"", $"\"name\": \"file-root:{credentials.Root}\", \"sds_config\"", StringComparison.Ordinal);

    private static void Print(string what, Contender contender) =>
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{what,-64} {contender.AnonymousKib / 1024,6:0.0} MiB"));
}

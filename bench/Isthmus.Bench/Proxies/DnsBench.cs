using Isthmus.Core.Names;
using Isthmus.Wire.Istio;

namespace Isthmus.Bench.Proxies;

/// <summary>Answers of a sidecar's DNS proxy to queries for names of the mesh.</summary>
internal static class DnsBench
{
    private const int Names = 1000;

    internal static async Task RunAsync(string root)
    {
        await using var rig = new ProxyRig(root);
        await using var discovery = await DiscoveryServer.StartAsync();
        Console.WriteLine($"DNS queries over UDP for the addresses of {Names} Services, 64 at a time on 8 sockets");
        var (listener, names) = (rig.NextPort(), new NameTable());
        for (var i = 0; i < Names; i++)
        {
            var entry = new NameTable.Types.NameInfo { Registry = "Kubernetes", Shortname = $"app{i}", Namespace = "bench" };
            entry.Ips.Add(AddressOf(i));
            names.Table[HostOf(i)] = entry;
        }
        discovery.Publish(OwnResources.ForHttp(new("127.0.0.1:9"), listener, rig.File("isthmus.log")), names);
        await File.WriteAllLinesAsync(rig.File("queries"), Enumerable.Range(0, Names).Select(i => $"{HostOf(i)} A"));
        Contender[] contenders = [await OwnProxy.StartWithAgentAsync(rig, Ports.SidecarDns), await StartUnboundAsync(rig)];
        Comparison.Conclude(await new Comparison("answers").RunAsync(contenders, async (contender, duration) =>
        {
            // Right after its start, a sidecar has no names.
            for (var attempt = 0; attempt < 10; attempt++)
            {
                var (result, complete) = await WebLoad.QueriesAsync(contender.Port, rig.File("queries"), duration);
                if (complete) return result;
            }
            throw new InvalidOperationException($"{contender.Name} does not answer all queries");
        }));
    }

    private static string HostOf(int number) => $"app{number}.bench.svc.cluster.local";

    private static string AddressOf(int number) => $"10.96.{number / 250}.{number % 250 + 1}";

    private static async Task<Contender> StartUnboundAsync(ProxyRig rig)
    {
        await rig.DescribeAsync("unbound", "-V", "1 thread, the names as local data of a static zone");
        var port = rig.NextPort();
        await File.WriteAllTextAsync(rig.File("unbound.conf"), $"""
            server:
              interface: 127.0.0.1@{port}
              num-threads: {ProxyRig.Workers}
              directory: "{rig.File("")}"
              chroot: ""
              username: ""
              pidfile: ""
              use-syslog: no
              logfile: ""
              verbosity: 0
              do-daemonize: no
              do-ip6: no
              module-config: "iterator"
              access-control: 127.0.0.0/8 allow
              local-zone: "cluster.local." static
            {string.Join('\n', Enumerable.Range(0, Names).Select(i => $"  local-data: \"{HostOf(i)}. 30 IN A {AddressOf(i)}\""))}
            remote-control:
              control-enable: no

            """);
        return await rig.StartContenderAsync(new("unbound", port, "unbound", "-d", "-c", rig.File("unbound.conf")));
    }
}

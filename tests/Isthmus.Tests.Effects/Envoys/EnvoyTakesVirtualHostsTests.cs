using System.Text.Json.Nodes;
using Isthmus.Rigs.Mesh;
using Isthmus.Testing;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Xds;
using Xunit;

namespace Isthmus.Tests.Effects.Envoys;

/// <summary>Envoy, as its project builds it, takes virtual hosts as resources of their own (VHDS) if its node says so, and has the same tables.</summary>
public sealed class EnvoyTakesVirtualHostsTests
{
    [Fact]
    public async Task Envoy_has_the_same_tables_by_their_hosts_as_whole()
    {
        _ = EnvoyProcess.Program;
        var folder = Directory.CreateTempSubdirectory("envoy").FullName;
        try
        {
            var socket = Path.Combine(folder, "discovery");
            var mesh = new MeshRig("c1");
            for (var i = 0; i < 5; i++) mesh.AppOn("c1", $"app{i}", $"10.96.0.{10 + i}", "http", 80, $"10.244.0.{10 + i}");
            mesh.Config(Route("app1", 1));
            mesh.Push();
            await using var discovery = await DiscoveryForEnvoys.StartAsync(mesh, socket);
            Node byHost = EnvoyTakesTests.Node("sidecar", "hosts", "10.244.0.7"), whole = EnvoyTakesTests.Node("sidecar", "whole", "10.244.0.8");
            byHost.ClientFeatures.Add(VirtualHosts.Feature);
            using var with = new EnvoyProcess(byHost, socket, folder);
            using var without = new EnvoyProcess(whole, socket, folder);
            var followed = new FollowedMesh(discovery, with, without);
            await followed.BeginAsync();
            await SameAsync(with, without, hosts => hosts.Contains("app1.shop.svc.cluster.local:80 1s", StringComparison.Ordinal));
            await followed.ChangeAsync("another route", rig => rig.Config(Route("app1", 2)));
            await SameAsync(with, without, hosts => hosts.Contains("app1.shop.svc.cluster.local:80 2s", StringComparison.Ordinal));
            await followed.ChangeAsync("another Service", rig => rig.AppOn("c1", "late", "10.96.0.99", "http", 80, "10.244.0.99"));
            await SameAsync(with, without, hosts => hosts.Contains("late.shop.svc.cluster.local:80", StringComparison.Ordinal));
            await followed.ChangeAsync("another table", rig => rig.AppOn("c1", "other", "10.96.0.98", "http", 81, "10.244.0.98"));
            await SameAsync(with, without, hosts => hosts.Contains("81: other.shop.svc.cluster.local:81", StringComparison.Ordinal));
            await followed.ChangeAsync("a Service less", rig => rig.Writer.RemoveConfig("c1", "Service", "shop", "app3"));
            await SameAsync(with, without, hosts => !hosts.Contains("app3", StringComparison.Ordinal));
            await followed.FoundNothingAsync();
            Assert.Contains("\"name\": \"80/app1.shop.svc.cluster.local:80\"", await with.AskAsync("/config_dump"), StringComparison.Ordinal);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>Waits until both have the table, and it is as wanted.</summary>
    private static async Task SameAsync(EnvoyProcess with, EnvoyProcess without, Predicate<string> isWanted)
    {
        await Eventually.TrueAsync(async () => await HostsAsync(without) is var hosts && isWanted(hosts) && await HostsAsync(with) == hosts);
    }

    /// <summary>The virtual hosts of all tables, with the timeouts of their routes, in the order of names.</summary>
    private static async Task<string> HostsAsync(EnvoyProcess envoy)
    {
        var dump = JsonNode.Parse(await envoy.AskAsync("/config_dump?resource=dynamic_route_configs"))!;
        var lines = from config in dump["configs"]?.AsArray() ?? []
                    let table = config["route_config"]!
                    from host in table["virtual_hosts"]?.AsArray() ?? []
                    let name = (string)host["name"]!
                    select $"{table["name"]}: {name[(name.IndexOf('/') + 1)..]} {host["routes"]![0]!["route"]?["timeout"]}";
        return string.Join('\n', lines.Order(StringComparer.Ordinal));
    }

    private static string Route(string host, int seconds) => $$"""
        {apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: {{host}}, namespace: shop},
         spec: {hosts: [{{host}}], http: [{timeout: {{seconds}}s, route: [{destination: {host: {{host}} } }]}]} }
        """;
}

using Isthmus.Rigs.Mesh;
using Isthmus.Wire.Xds;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Discovery;

/// <summary>Egress listeners of a Sidecar with a port, and those for all other ports.</summary>
public sealed class SidecarPortsTests
{
    [Theory]
    [InlineData("{hosts: ['*/*']}", "orders:80 orders:81 stock:80 stock:81")]
    [InlineData("{port: {number: 80, protocol: HTTP, name: http}, hosts: ['./orders.shop.svc.cluster.local']}", "orders:80")]
    [InlineData("{port: {number: 80, protocol: HTTP, name: http}, hosts: ['./orders.shop.svc.cluster.local']}, {hosts: ['*/*']}",
        "orders:80 orders:81 stock:81")]
    [InlineData(
        "{port: {number: 80, protocol: HTTP, name: http}, hosts: ['*/*']}, {port: {number: 81, protocol: HTTP, name: more}, hosts: "
            + "['*/stock.shop.svc.cluster.local']}",
        "orders:80 stock:80 stock:81")]
    [InlineData("{port: {number: 82, protocol: HTTP, name: http}, hosts: ['*/*']}, {hosts: ['~/*']}", "")]
    [InlineData("{hosts: ['*/*', '~shop/stock.shop.svc.cluster.local']}", "orders:80 orders:81")]
    [InlineData("{hosts: ['~/stock.shop.svc.cluster.local', '*/*']}", "orders:80 orders:81")]
    [InlineData("{hosts: ['./*', '~*/stock.shop.svc.cluster.local']}", "orders:80 orders:81")]
    [InlineData("{hosts: ['*/*', '~./orders.shop.svc.cluster.local', '~other/*']}", "stock:80 stock:81")]
    [InlineData("{hosts: ['*/*', '~shop/*']}", "")]
    [InlineData("{hosts: ['~other/*']}", "")]
    [InlineData("{hosts: ['*/*', '~other/*', '~/*.example']}", "orders:80 orders:81 stock:80 stock:81")]
    [InlineData("{port: {number: 80, protocol: HTTP, name: http}, hosts: ['*/*', '~/stock.shop.svc.cluster.local']}, {hosts: ['*/*']}",
        "orders:80 orders:81 stock:81")]
    public void A_host_is_seen_on_the_ports_of_the_listeners_that_name_it(string egress, string seen)
    {
        var rig = new MeshRig("c1");
        foreach (var (name, address) in (ReadOnlySpan<(string, string)>)[("orders", "10.96.0.10"), ("stock", "10.96.0.11")])
        {
            rig.Config($$"""
                apiVersion: networking.istio.io/v1
                kind: ServiceEntry
                metadata: {name: {{name}}, namespace: shop}
                spec:
                  hosts: [{{name}}.shop.svc.cluster.local]
                  addresses: [{{address}}]
                  resolution: STATIC
                  ports: [{number: 80, name: http, protocol: HTTP}, {number: 81, name: more, protocol: HTTP}]
                  endpoints: [{address: 10.244.0.1}]
                """);
        }
        rig.Config($$"""
            apiVersion: networking.istio.io/v1
            kind: Sidecar
            metadata: {name: own, namespace: shop}
            spec: {egress: [{{egress}}]}
            """);
        var feed = rig.Sidecar("c1");
        rig.Push();
        var names = feed.Snapshot!.Types[TypeUrls.Cluster].All.Select(cluster => cluster.Name.Split('|'))
            .Where(parts => parts.Length == 4 && parts[0] == "outbound");
        Assert.Equal(seen, string.Join(' ', names.Select(parts => $"{parts[3].Split('.')[0]}:{parts[1]}").Order(StringComparer.Ordinal)));
        // Routes lead to the same.
        var hosts = feed.Snapshot!.Types[TypeUrls.Route].All.Where(table => table.Name is "80" or "81").SelectMany(table =>
            Isthmus.Wire.Envoy.Routes.RouteConfiguration.Parser.ParseFrom(table.Body.Value).VirtualHosts.Where(host => host.Name.Contains(".local:",
                StringComparison.Ordinal))
                .Select(host => $"{host.Name.Split('.')[0]}:{table.Name}"));
        Assert.Equal(seen, string.Join(' ', hosts.Order(StringComparer.Ordinal)));
    }
}

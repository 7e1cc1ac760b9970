using Isthmus.ControlPlane.Push;
using Isthmus.Kubernetes.Objects;
using Isthmus.Rigs.Mesh;
using Isthmus.Testing;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.Clusters;
using Isthmus.Wire.Envoy.Endpoints;
using Isthmus.Wire.Envoy.Listeners;
using Isthmus.Wire.Xds;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Discovery;

/// <summary>
/// The topologies in which a real istiod was recorded (bench/compare-xds), as small meshes of our own: what proxies in each
/// place reach, at which addresses, with which weights and under which SNI.
/// </summary>
public sealed class TopologyGoldenTests
{
    private const string Subsets = """
        apiVersion: networking.istio.io/v1
        kind: DestinationRule
        metadata: {name: orders, namespace: shop}
        spec:
          host: orders
          subsets: [{name: here, labels: {topology.istio.io/cluster: c1}}, {name: there, labels: {topology.istio.io/network: net-c2}}]
        """;

    private const string CrossNetwork = """
        apiVersion: networking.istio.io/v1
        kind: Gateway
        metadata: {name: cross, namespace: shop}
        spec: {selector: {app: eastwest}, servers: [{port: {number: 15443, name: tls, protocol: TLS}, hosts: ['*.local'], tls: {mode: AUTO_PASSTHROUGH}}]}
        """;

    [Fact]
    public void One_network()
    {
        var rig = new MeshRig("c1", "c2");
        foreach (var cluster in (string[])["c1", "c2"]) rig.Writer.Put(cluster, new Namespace { Metadata = new() { Name = "istio-system" } });
        rig.App("c1", "orders", "10.96.0.10", "10.1.0.1");
        rig.App("c2", "orders", "10.97.0.10", "10.2.0.1", "10.2.0.2");
        rig.AppOn("c2", "stock", "10.97.0.11", "tcp", 9000, "10.2.0.3");
        var (here, there) = (rig.Sidecar("c1", dnsCapture: false), rig.Sidecar("c2", dnsCapture: false));
        rig.Push();
        Golden.Verify(View(here), "c1");
        Golden.Verify(View(there), "c2");
    }

    [Fact]
    public void Several_networks()
    {
        var rig = Networks();
        rig.Config(Subsets);
        rig.Config(CrossNetwork);
        rig.Config("""
            apiVersion: security.istio.io/v1
            kind: PeerAuthentication
            metadata: {name: open, namespace: shop}
            spec: {selector: {matchLabels: {app: open}}, mtls: {mode: DISABLE}}
            """);
        var (here, there, gateway) = (rig.Sidecar("c1"), rig.Sidecar("c2"), rig.Router("c1", "eastwest"));
        rig.Push();
        Golden.Verify(View(here), "c1");
        Golden.Verify(View(there), "c2");
        Golden.Verify(View(gateway), "eastwest-c1");
    }

    [Fact]
    public void A_remote_cluster_of_a_primary()
    {
        var rig = Networks();
        rig.Config(CrossNetwork);
        // The control plane's Service there has no Pods, only the address at which it is reachable.
        rig.Writer.Put("c1",
            new Service
            {
                Metadata = new() { Name = "istiod", Namespace = "istio-system" },
                Spec = new() { ClusterIP = "10.96.0.2", Ports = { new() { Name = "https-dns", Port = 15012 } } }
            });
        rig.Writer.Put("c2",
            new Service
            {
                Metadata = new() { Name = "istiod", Namespace = "istio-system" },
                Spec = new() { ClusterIP = "None", ClusterIPs = { "None" }, Ports = { new() { Name = "tcp-istiod", Port = 15012 } } }
            });
        var (remote, gateway) = (rig.Sidecar("c2"), rig.Router("c2", "eastwest"));
        rig.Push();
        Golden.Verify(View(remote), "c2");
        Golden.Verify(View(gateway), "eastwest-c2");
        Assert.DoesNotContain("istiod.istio-system.svc.cluster.local", MeshRig.Names(remote).Table.Keys);
    }

    [Fact]
    public void Replicated_control_planes_that_know_nothing_of_each_other()
    {
        var rig = new MeshRig("c1");
        rig.App("c1", "orders", "10.96.0.10", "10.1.0.1");
        rig.Config("""
            apiVersion: networking.istio.io/v1
            kind: ServiceEntry
            metadata: {name: stock, namespace: shop}
            spec:
              hosts: [stock.bar.global]
              location: MESH_INTERNAL
              resolution: DNS
              addresses: [240.0.0.2]
              ports: [{name: http, number: 8000, protocol: HTTP}]
              endpoints: [{address: 172.18.202.1, ports: {http: 15443}}]
            ---
            apiVersion: networking.istio.io/v1
            kind: ServiceEntry
            metadata: {name: both, namespace: shop}
            spec:
              hosts: [both.bar.global]
              location: MESH_INTERNAL
              resolution: STATIC
              addresses: [240.0.0.3]
              ports: [{name: tcp, number: 9000, protocol: TCP}]
              endpoints: [{address: 172.18.202.1, locality: c2/z1, ports: {tcp: 15443}}, {address: 172.18.203.1, locality: c1/z1, ports: {tcp: 15443}}]
            ---
            apiVersion: networking.istio.io/v1
            kind: DestinationRule
            metadata: {name: global, namespace: istio-system}
            spec: {host: '*.global', trafficPolicy: {tls: {mode: ISTIO_MUTUAL}, outlierDetection: {consecutive5xxErrors: 1}}}
            """);
        var client = rig.Sidecar("c1");
        rig.Push();
        Golden.Verify(View(client), "c1");
    }

    private static MeshRig Networks()
    {
        var rig = new MeshRig("c1", "c2");
        rig.App("c1", "orders", "10.96.0.10", "10.244.0.1");
        rig.App("c2", "orders", "10.96.0.10", "10.244.0.1", "10.244.0.2", "10.244.0.3");
        foreach (var cluster in (string[])["c1", "c2"])
        {
            rig.App(cluster, "open", "10.96.0.12", "10.244.0.20");
            rig.Service(cluster, "plain", "10.96.0.11");
            rig.Pod(cluster, "plain", "plain-0", "10.244.0.9", mtls: false);
            rig.Slice(cluster, "plain", 8080, "http", ("plain-0", "10.244.0.9"));
        }
        rig.EastWest("c1", "172.18.201.1");
        rig.EastWest("c2", "172.18.202.1");
        return rig;
    }

    /// <summary>Clusters with their endpoints and SNI, listeners with their names, and the addresses of hosts.</summary>
    private static string View(ProxyFeed proxy)
    {
        var lines = new List<string>();
        foreach (var cluster in All(proxy, TypeUrls.Cluster, Cluster.Parser.ParseFrom)
            .Where(cluster => cluster.Name.StartsWith("outbound", StringComparison.Ordinal)))
        {
            lines.Add($"{cluster.Name} {cluster.Type}{Sni(cluster)}");
            var assignment = cluster.LoadAssignment
                ?? All(proxy, TypeUrls.Endpoints, ClusterLoadAssignment.Parser.ParseFrom).FirstOrDefault(candidate => candidate.ClusterName == cluster.Name);
            foreach (var group in assignment?.Endpoints ?? [])
                lines.AddRange(
                    group.LbEndpoints.Select(
                        endpoint =>
                            $"  {group.Locality.Region}/{group.Locality.Zone} priority {group.Priority} of {group.LoadBalancingWeight}: {Describe(endpoint)}"));
        }
        foreach (var listener in All(proxy, TypeUrls.Listener, Listener.Parser.ParseFrom))
            lines.Add($"{listener.Name} {string.Join(' ', listener.FilterChains.SelectMany(chain => chain.FilterChainMatch?.ServerNames ?? []))}".TrimEnd());
        if (proxy.Snapshot!.Types.ContainsKey(TypeUrls.NameTable))
            lines.AddRange(MeshRig.Names(proxy).Table.OrderBy(entry => entry.Key, StringComparer.Ordinal)
                .Select(entry => $"{entry.Key} = {string.Join(' ', entry.Value.Ips)}"));
        return string.Join("\n", lines);
    }

    private static string Describe(LbEndpoint endpoint)
    {
        var address = endpoint.Endpoint.Address.SocketAddress;
        var isMtls = endpoint.Metadata.FilterMetadata.ContainsKey("envoy.transport_socket_match");
        return $"{address.Address}:{address.PortValue} weight {endpoint.LoadBalancingWeight}{(isMtls ? " mTLS" : "")}";
    }

    private static string Sni(Cluster cluster)
    {
        var socket = cluster.TransportSocket ?? cluster.TransportSocketMatches.FirstOrDefault(match => match.Name == "tlsMode-istio")?.TransportSocket;
        return socket is null || !socket.TypedConfig.TryUnpack(out UpstreamTlsContext tls)
            ? ""
            : $", SNI {tls.Sni}{(cluster.TransportSocket is null ? "" : " always")}";
    }

    private static IEnumerable<T> All<T>(ProxyFeed proxy, string type, Func<Google.Protobuf.ByteString, T> parse) =>
        proxy.Snapshot!.Types[type].All.OrderBy(resource => resource.Name, StringComparer.Ordinal).Select(resource => parse(resource.Body.Value));
}

using Google.Protobuf;
using Isthmus.ControlPlane.Push;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Mesh.Model;
using Isthmus.Rigs.Mesh;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Push;

/// <summary>An object of one of 200 namespaces that is made, changed and removed costs the proxies that it concerns, and no others: neither is their
/// scope resolved, nor are they offered anything. Afterwards, all have what they would get from the final state alone.</summary>
public sealed class ChangeReachTests
{
    private const int Teams = 200;
    private const string Own = "team-7";

    private readonly MeshRig _rig = new("c1") { Software = ProxySoftware.Unknown with { RunsWasm = true } };
    private readonly List<ProxyFeed> _proxies = [];

    public ChangeReachTests()
    {
        Fill(_rig);
        for (var team = 0; team < Teams; team++)
            _proxies.Add(_rig.Sidecar("c1", "client", $"10.{245 + team / 250}.{team % 250}.1", ns: $"team-{team}"));
        _proxies.Add(_rig.Sidecar("c1", "orders-10.244.0.1", "10.244.0.1"));
        _proxies.Add(Front(_rig));
        _proxies.Add(_rig.Router("c1", "back"));
        _rig.Push();
    }

    /// <summary>The hosts that the objects name.</summary>
    internal static void Fill(MeshRig rig)
    {
        rig.App("c1", "orders", "10.96.0.10", "10.244.0.1");
        rig.AppOn("c1", "store", "10.96.0.11", "tcp", 9000, "10.244.0.2");
        rig.Config("""
            apiVersion: networking.istio.io/v1
            kind: ServiceEntry
            metadata: {name: machines, namespace: team-7}
            spec: {hosts: [machines.example], exportTo: [.], location: MESH_INTERNAL, resolution: STATIC, ports: [{number: 80, name: http, protocol: HTTP}],
              workloadSelector: {labels: {app: machine} } }
            ---
            apiVersion: gateway.networking.k8s.io/v1
            kind: Gateway
            metadata: {name: door, namespace: shop}
            spec: {gatewayClassName: istio, listeners: [{name: dns, port: 5300, protocol: UDP}, {name: http, port: 81, protocol: HTTP}]}
            """);
        Put(rig, "front", "10.96.0.20", ("http", "TCP", 80), ("more", "TCP", 81), ("https", "TCP", 443), ("dns", "UDP", 5300));
        Put(rig, "names", "10.96.0.21", ("dns", "UDP", 53), ("more", "UDP", 54));
        rig.Writer.Kinds.IngressClasses.StageTree(rig.Writer, "c1", YamlText.Parse("{metadata: {name: web}, spec: {controller: istio.io/ingress-controller}}",
            "test")!.AsObject());
    }

    private static void Put(MeshRig rig, string name, string ip, params (string Name, string Protocol, int Number)[] ports) => rig.Writer.Put("c1", new Service
    {
        Metadata = new() { Name = name, Namespace = MeshRig.Namespace },
        Spec = new()
        {
            Type = "ClusterIP", ClusterIP = ip, ClusterIPs = [ip], Selector = { ["app"] = name },
            Ports = [.. ports.Select(port => new Kubernetes.Objects.ServicePort { Name = port.Name, Port = port.Number, Protocol = port.Protocol })],
        },
    });

    /// <summary>The gateway for Ingress objects, and for a Gateway of the Gateway API.</summary>
    internal static ProxyFeed Front(MeshRig rig) =>
        rig.Router("c1", "front", labels: new() { ["istio"] = "ingressgateway", ["gateway.networking.k8s.io/gateway-name"] = "door" });

    public static TheoryData<string, string, string, int, string> Changes => new()
    {
        // The kind, what of it changes, its namespace, how many scopes are resolved at most, and who is offered something.
        { "DestinationRule", "host: orders.shop.svc.cluster.local, trafficPolicy: {connectionPool: {tcp: {maxConnections: @}}}", Own, 0, Own },
        { "DestinationRule", "host: store.shop.svc.cluster.local, trafficPolicy: {connectionPool: {tcp: {idleTimeout: @s}}}", Own, 0, Own },
        { "DestinationRule", "host: '*.shop.svc.cluster.local', trafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: x-@}}}", Own, 0, Own },
        { "DestinationRule", "host: orders, exportTo: [.], trafficPolicy: {connectionPool: {tcp: {maxConnections: @}}}", "shop", 1, "shop" },
        { "DestinationRule", "host: orders, trafficPolicy: {connectionPool: {tcp: {maxConnections: @}}}", "shop", 1, "all" },
        { "DestinationRule", "host: '*.shop.svc.cluster.local', trafficPolicy: {connectionPool: {tcp: {maxConnections: @}}}", "shop", 1, "all" },
        { "DestinationRule", "host: store, trafficPolicy: {connectionPool: {tcp: {maxConnections: @}}}", "shop", 0, "all" },
        { "VirtualService", "hosts: [orders.shop.svc.cluster.local], exportTo: [.], http: [{timeout: @s, route: [{destination: {host: "
            + "orders.shop.svc.cluster.local}}]}]", Own, 0, Own },
        { "VirtualService", "hosts: [orders], http: [{timeout: @s, route: [{destination: {host: orders}}]}]", "shop", 0, "sidecars" },
        { "VirtualService", "hosts: ['*.shop.svc.cluster.local'], http: [{timeout: @s, route: [{destination: {host: orders}}]}]", "shop", 0, "sidecars" },
        { "VirtualService", "hosts: [only.example], http: [{timeout: @s, route: [{destination: {host: orders}}]}]", "shop", 0, "sidecars" },
        // One of them has the label that it asks for.
        { "VirtualService", "hosts: [orders], http: [{timeout: @s, match: [{sourceLabels: {security.istio.io/tlsMode: istio}}], "
            + "route: [{destination: {host: orders}}]}]", "shop", 1, "sidecars" },
        { "HTTPRoute", "parentRefs: [{group: '', kind: Service, name: orders}], rules: [{timeouts: {request: @s}, "
            + "backendRefs: [{name: orders, port: 80}]}]", "shop", 0, "sidecars" },
        { "GRPCRoute", "parentRefs: [{group: '', kind: Service, name: orders}], rules: [{matches: [{method: {service: s@}}], "
            + "backendRefs: [{name: orders, port: 80}]}]", "shop", 0, "sidecars" },
        { "TCPRoute", "parentRefs: [{group: '', kind: Service, name: store}], rules: [{backendRefs: [{name: store, port: 9000, weight: @}, "
            + "{name: orders, port: 80}]}]", "shop", 0, "sidecars" },
        { "TLSRoute", "parentRefs: [{group: '', kind: Service, name: store}], hostnames: [h@.example], rules: [{backendRefs: [{name: store, port: 9000}]}]",
            "shop", 0, "sidecars" },
        { "HTTPRoute", "parentRefs: [{name: door, sectionName: http}], rules: [{timeouts: {request: @s}, backendRefs: [{name: orders, port: 80}]}]",
            "shop", 0, "front" },
        { "UDPRoute", "parentRefs: [{name: door, sectionName: dns}], rules: [{backendRefs: [{name: names, port: 53, weight: @}, {name: names, port: 54}]}]",
            "shop", 0, "front" },
        { "Ingress", "ingressClassName: web, rules: [{host: h@.example, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: orders, "
            + "port: {number: 80}}}}]}}]", "shop", 1, "front" },
        { "Ingress", "ingressClassName: web, tls: [{hosts: [h@.example], secretName: pair}], rules: [{host: h@.example, http: {paths: [{path: /, "
            + "pathType: Prefix, backend: {service: {name: orders, port: {number: 80}}}}]}}]", "shop", 1, "front" },
        { "XBackendTrafficPolicy", "targetRefs: [{group: '', kind: Service, name: orders}], retryConstraint: {budget: {percent: @}}", "shop", 1, "all" },
        { "BackendTLSPolicy", "targetRefs: [{group: '', kind: Service, name: orders}], validation: {hostname: h@.example, "
            + "wellKnownCACertificates: System}", "shop", 1, "all" },
        { "Sidecar", "egress: [{hosts: ['shop/orders.shop.svc.cluster.local']}], inboundConnectionPool: {tcp: {maxConnections: @}}",
            Own, 1, Own },
        { "ServiceEntry", "hosts: [ext.example], exportTo: [.], resolution: DNS, ports: [{number: 8@, name: http, protocol: HTTP}]", Own, 0, Own },
        { "WorkloadEntry", "address: 192.0.2.@, labels: {app: machine}, serviceAccount: machine", Own, 0, Own },
        { "WorkloadEntry", "address: 192.0.2.9, labels: {app: machine}, serviceAccount: machine-@", Own, 0, Own },
        { "PeerAuthentication", "portLevelMtls: {'8@': {mode: DISABLE}}, selector: {matchLabels: {app: client}}", Own, 1, "" },
        { "PeerAuthentication", "mtls: {mode: STRICT}", Own, 1, Own },
        { "AuthorizationPolicy", "rules: [{to: [{operation: {paths: [/@]}}]}]", Own, 1, Own },
        { "RequestAuthentication", "jwtRules: [{issuer: issuer-@, jwks: '{\"keys\": []}'}]", Own, 1, Own },
        { "RequestAuthentication", "jwtRules: [{issuer: me, jwksUri: 'http://orders.shop:80/@'}]", Own, 1, Own },
        { "Telemetry", "metrics: [{providers: [{name: prometheus}], overrides: [{match: {metric: REQUEST_COUNT}, tagOverrides: {x: {value: \"'@'\"}}}]}]",
            Own, 1, Own },
        { "EnvoyFilter", "configPatches: [{applyTo: CLUSTER, match: {context: SIDECAR_OUTBOUND}, patch: {operation: MERGE, value: {connect_timeout: @s}}}]",
            Own, 1, Own },
        { "WasmPlugin", "url: 'https://modules.example/@.wasm'", Own, 1, Own },
        { "Gateway", "selector: {app: front}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['h@.example']}]", Own, 1, "front" },
        { "ProxyConfig", "concurrency: @", Own, 0, "" },
    };

    [Theory]
    [MemberData(nameof(Changes))]
    public void An_object_concerns_the_proxies_of_its_namespace_alone(string kind, string spec, string ns, int resolved, string offered)
    {
        var wanted = _proxies.Where(proxy => offered == "all" || (offered == "sidecars" && proxy.Proxy.Kind == ProxyKind.Sidecar)
            || Name(proxy) == offered || proxy.Proxy.Namespace == offered).ToHashSet();
        // What removes it takes back what making it gave; an object that means the same as before need not be sent.
        foreach (var value in (int?[])[3, 4, null])
        {
            var (before, resolutions) = (_proxies.ToDictionary(proxy => proxy, proxy => proxy.Snapshot), _rig.Publisher.Resolved);
            if (value is { } number) Put(_rig, kind, ns, spec.Replace("@", $"{number}", StringComparison.Ordinal));
            else _rig.Writer.RemoveConfig("c1", kind, ns, "x");
            _rig.Push();
            Assert.InRange(_rig.Publisher.Resolved - resolutions, 0, resolved);
            var got = _proxies.Where(proxy => !ReferenceEquals(before[proxy], proxy.Snapshot)).ToList();
            Assert.Empty(got.Where(proxy => !wanted.Contains(proxy)).Select(Name));
            if (value == 3) Assert.Equal(wanted.Count, got.Count);
            AssertFresh();
        }
    }

    [Fact]
    public void A_Service_of_one_namespace_resolves_the_proxies_there()
    {
        var before = _rig.Publisher.Resolved;
        _rig.Writer.Put("c1", new Service
        {
            Metadata = new() { Name = "new", Namespace = Own },
            Spec = new() { Type = "ClusterIP", ClusterIP = "10.96.0.12", ClusterIPs = ["10.96.0.12"], Ports = { new() { Name = "http", Port = 80 } } },
        });
        _rig.Push();
        Assert.Equal(1, _rig.Publisher.Resolved - before);
        AssertFresh();
    }

    [Fact]
    public void Settings_concern_everybody()
    {
        var before = _rig.Publisher.Resolved;
        _rig.Settings("{accessLogFile: /dev/stdout}");
        _rig.Push();
        Assert.Equal(_proxies.Count, _rig.Publisher.Resolved - before);
        AssertFresh();
    }

    [Fact]
    public void A_Secret_concerns_the_gateways_of_its_namespace()
    {
        var before = _rig.Publisher.Resolved;
        _rig.Writer.Put("c1", new Secret { Metadata = new() { Name = "front", Namespace = MeshRig.Namespace }, Type = "kubernetes.io/tls" });
        _rig.Push();
        Assert.InRange(_rig.Publisher.Resolved - before, 0, 2);
        AssertFresh();
    }

    [Fact]
    public void A_changed_account_of_a_WorkloadEntry_reaches_the_callers_of_its_hosts()
    {
        foreach (var account in (string[])["machine", "other"])
        {
            Put(_rig, "WorkloadEntry", Own, $"address: 192.0.2.9, labels: {{app: machine}}, serviceAccount: {account}");
            _rig.Push();
            var cluster = MeshRig.Cluster(_proxies.Single(proxy => Name(proxy) == Own), "outbound|80||machines.example")!;
            var names = cluster.ToByteString().ToStringUtf8();
            Assert.Contains($"spiffe://cluster.local/ns/{Own}/sa/{account}", names, StringComparison.Ordinal);
            Assert.Equal(account == "machine", names.Contains("/sa/machine", StringComparison.Ordinal));
        }
    }

    private static string Name(ProxyFeed proxy) => proxy.Proxy.Kind == ProxyKind.Router ? proxy.Proxy.ServiceAccount : proxy.Proxy.Namespace;

    internal static void Put(MeshRig rig, string kind, string ns, string spec)
    {
        var group = kind switch
        {
            "PeerAuthentication" or "AuthorizationPolicy" or "RequestAuthentication" => "security.istio.io/v1",
            "HTTPRoute" or "GRPCRoute" or "BackendTLSPolicy" or "TLSRoute" => "gateway.networking.k8s.io/v1",
            "TCPRoute" or "UDPRoute" => "gateway.networking.k8s.io/v1alpha2",
            "XBackendTrafficPolicy" => "gateway.networking.x-k8s.io/v1alpha1",
            "Ingress" => "networking.k8s.io/v1",
            "Telemetry" => "telemetry.istio.io/v1",
            "WasmPlugin" => "extensions.istio.io/v1alpha1",
            "EnvoyFilter" => "networking.istio.io/v1alpha3",
            "ProxyConfig" => "networking.istio.io/v1beta1",
            _ => "networking.istio.io/v1",
        };
        var text = $"{{apiVersion: {group}, kind: {kind}, metadata: {{name: x, namespace: {ns}}}, spec: {{{spec}}}}}";
        if (kind == "Ingress") rig.Writer.Kinds.Ingresses.StageTree(rig.Writer, "c1", YamlText.Parse(text, "test")!.AsObject());
        else rig.Config(text);
    }

    private void AssertFresh()
    {
        Assert.Empty(_rig.Mesh.Graph.Verify());
        // Each alone: proxies that come later take over what others have.
        foreach (var proxy in _proxies) Assert.Equal(MeshRig.Versions(MeshRig.Alone(proxy, _rig.Mesh.View())), MeshRig.Versions(proxy));
    }
}

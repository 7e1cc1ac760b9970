using FsCheck;
using FsCheck.Fluent;
using Isthmus.ControlPlane.Push;
using Isthmus.Rigs.Mesh;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Push;

/// <summary>The law: whatever happened in whatever batches, every proxy ends with what it would get from the final state
/// alone.</summary>
public sealed class IncrementalPushTests
{
    private static readonly string[] Clusters = ["c1", "c2", "c3"];
    private static readonly string[] Names = ["a", "b", "c"];

    private static readonly string[] Configs =
    [
        "{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: x, namespace: shop}, spec: {host: a, subsets: [{name: v1, labels: "
            + "{version: v1}}], trafficPolicy: {outlierDetection: {consecutive5xxErrors: 2}}}}",
        "{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: x, namespace: shop}, spec: {host: '*.shop.svc.cluster.local', "
            + "trafficPolicy: {tls: {mode: DISABLE}}}}",
        "{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: x, namespace: shop}, spec: {hosts: [a], http: [{match: [{sourceLabels: "
            + "{app: a}}], route: [{destination: {host: b}}]}, {route: [{destination: {host: c}}]}]}}",
        "{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: x, namespace: shop}, spec: {hosts: [b], http: [{delegate: {name: y}}]}}",
        "{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: y, namespace: shop}, spec: {http: [{route: [{destination: {host: c}}], "
            + "timeout: 3s}]}}",
        "{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: x, namespace: shop}, spec: {hosts: ['*.shop.svc.cluster.local'], http: "
            + "[{route: [{destination: {host: b}}], timeout: 4s}]}}",
        "{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: z, namespace: shop}, spec: {hosts: [only.example, other.example, c], "
            + "http: [{route: [{destination: {host: a}}], timeout: 5s}]}}",
        "{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: z, namespace: shop}, spec: {hosts: ['*.example'], exportTo: [.], http: "
            + "[{route: [{destination: {host: a}}]}]}}",
        "{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: z, namespace: shop}, spec: {hosts: [b], tcp: [{route: [{destination: "
            + "{host: a}}]}], http: [{route: [{destination: {host: c}}], timeout: 6s}]}}",
        "{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: w, namespace: other}, spec: {hosts: [a.shop.svc.cluster.local], exportTo: "
            + "[.], http: [{route: [{destination: {host: b.shop.svc.cluster.local}}], timeout: 7s}]}}",
        "{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {name: x, namespace: shop}, spec: {hosts: [ext.example, other.example], ports: "
            + "[{number: 80, name: http, protocol: HTTP}], resolution: DNS}}",
        "{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {name: y, namespace: shop}, spec: {hosts: [ext.example], addresses: [192.0.2.1], "
            + "ports: [{number: 443, name: tls, protocol: TLS}], resolution: STATIC, endpoints: [{address: 192.0.2.9}]}}",
        "{apiVersion: networking.istio.io/v1, kind: Sidecar, metadata: {name: x, namespace: shop}, spec: {egress: [{hosts: ['*/a.shop.svc.cluster.local']}]}}",
        "{apiVersion: networking.istio.io/v1, kind: Sidecar, metadata: {name: x, namespace: other}, spec: {egress: [{hosts: ['./*', 'shop/*']}]}}",
        "{apiVersion: networking.istio.io/v1, kind: Sidecar, metadata: {name: x, namespace: istio-system}, spec: {egress: [{hosts: ['./*', 'shop/*']}]}}",
        "{apiVersion: networking.istio.io/v1, kind: Sidecar, metadata: {name: x, namespace: other}, spec: {egress: [{port: {number: 80, name: http, protocol: "
            + "HTTP}, hosts: ['shop/*']}]}}",
        "{apiVersion: security.istio.io/v1, kind: PeerAuthentication, metadata: {name: x, namespace: shop}, spec: {selector: {matchLabels: {app: a}}, mtls: "
            + "{mode: DISABLE}}}",
        "{apiVersion: security.istio.io/v1, kind: PeerAuthentication, metadata: {name: x, namespace: istio-system}, spec: {mtls: {mode: STRICT}}}",
        "{apiVersion: networking.istio.io/v1, kind: Gateway, metadata: {name: x, namespace: shop}, spec: {selector: {app: eastwest}, servers: [{port: {number: "
            + "15443, name: tls, protocol: TLS}, tls: {mode: AUTO_PASSTHROUGH}, hosts: ['*.local']}]}}",
        "{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: w, namespace: other}, spec: {host: b.shop.svc.cluster.local, "
            + "trafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: x-user}}, connectionPool: {tcp: {idleTimeout: 9s}}}}}",
        "{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: z, namespace: istio-system}, spec: {host: '*', "
            + "trafficPolicy: {connectionPool: {tcp: {idleTimeout: 8s, maxConnections: 7}}}}}",
        "{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {name: z, namespace: other}, spec: {hosts: [only.example], exportTo: [.], ports: "
            + "[{number: 80, name: http, protocol: HTTP}, {number: 9000, name: tcp, protocol: TCP}], resolution: DNS}}",
        "{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: y, namespace: other}, spec: {hosts: [b.shop.svc.cluster.local], http: "
            + "[{route: [{destination: {host: ext.example}}]}]}}",
        "{apiVersion: networking.istio.io/v1, kind: WorkloadEntry, metadata: {name: x, namespace: shop}, spec: {address: 192.0.2.7, serviceAccount: vm, "
            + "labels: {app: a}}}",
        "{apiVersion: networking.istio.io/v1, kind: WorkloadEntry, metadata: {name: x, namespace: shop}, spec: {address: 192.0.2.7, serviceAccount: eastwest, "
            + "labels: {app: a}}}",
        "{apiVersion: networking.istio.io/v1alpha3, kind: EnvoyFilter, metadata: {name: x, namespace: other}, spec: {configPatches: [{applyTo: CLUSTER, "
            + "match: {context: SIDECAR_OUTBOUND}, patch: {operation: MERGE, value: {connect_timeout: 3s}}}]}}",
        "{apiVersion: telemetry.istio.io/v1, kind: Telemetry, metadata: {name: x, namespace: istio-system}, spec: {metrics: [{providers: [{name: prometheus}], "
            + "overrides: [{match: {metric: REQUEST_COUNT}, disabled: true}]}]}}",
        "{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: x, namespace: shop}, spec: {selector: {matchLabels: {app: a}}, rules: "
            + "[{to: [{operation: {methods: [GET]}}]}]}}",
        "{apiVersion: security.istio.io/v1, kind: RequestAuthentication, metadata: {name: x, namespace: shop}, spec: {jwtRules: [{issuer: me, jwksUri: "
            + "'http://b:80/keys'}]}}",
        "{apiVersion: networking.istio.io/v1, kind: Sidecar, metadata: {name: x, namespace: istio-system}, spec: {egress: [{port: {number: 80, name: http, "
            + "protocol: HTTP}, hosts: ['*/*']}, {hosts: ['./*']}]}}",
        "{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: w, namespace: shop}, spec: {hosts: [b], tcp: [{match: [{sourceNamespace: "
            + "other}], route: [{destination: {host: a}}]}]}}",
    ];

    private const string Hosts = """
        {apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {name: x, namespace: a}, spec: {hosts: [a.example], addresses: [192.0.2.1],
         ports: [{number: 80, name: http, protocol: HTTP}, {number: 9090, name: more, protocol: TCP}], resolution: STATIC, endpoints: [{address: 192.0.2.8}]} }
        ---
        {apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {name: x, namespace: b}, spec: {hosts: [b.example], addresses: [192.0.2.2],
         ports: [{number: 80, name: http, protocol: HTTP}, {number: 9090, name: more, protocol: TCP}], resolution: STATIC, endpoints: [{address: 192.0.2.9}]} }
        ---

        """;

    private abstract record Step
    {
        public sealed record Put(string Cluster, string Name, int Variant) : Step;
        public sealed record Drop(string Cluster, string Kind, string Name) : Step;
        public sealed record Config(int Index) : Step;
        public sealed record DropConfig(string Kind, string Namespace, string Name) : Step;
        public sealed record Settings(int Variant) : Step;
        public sealed record Leave(string Cluster) : Step;
        public sealed record Enter(string Cluster) : Step;
        public sealed record Gateway(string Cluster, bool Ready, bool HasAddress) : Step;
        public sealed record Commit(bool EndpointsFirst) : Step;
    }

    private static readonly Gen<Step> Steps = Gen.Frequency<Step>(
        (8, (from a in Gen.Elements(Clusters) from b in Gen.Elements(Names) from c in Gen.Choose(0, 7) select (Step)new Step.Put(a, b, c))),
        (3, (
            from a in Gen.Elements(Clusters)
            from b in Gen.Elements("Service", "Pod", "EndpointSlice", "Node", "Namespace")
            from c in Gen.Elements(Names)
            select (Step)new Step.Drop(a, b, c))),
        (7, Gen.Choose(0, Configs.Length - 1).Select(i => (Step)new Step.Config(i))),
        (2, (
            from a in Gen.Elements("DestinationRule", "VirtualService", "ServiceEntry", "Sidecar", "PeerAuthentication", "Gateway", "WorkloadEntry",
                "EnvoyFilter", "Telemetry", "AuthorizationPolicy", "RequestAuthentication")
            from b in Gen.Elements("shop", "istio-system", "other")
            from c in Gen.Elements("x", "y", "z", "w")
            select (Step)new Step.DropConfig(a, b, c))),
        (1, Gen.Choose(0, 3).Select(i => (Step)new Step.Settings(i))),
        (1, Gen.Elements("c2", "c3").Select(cluster => (Step)new Step.Leave(cluster))),
        (1, Gen.Elements(Clusters).Select(cluster => (Step)new Step.Enter(cluster))),
        (3, (from a in Gen.Elements(Clusters) from b in Gen.Elements(true, false) from c in Gen.Elements(true, false) select (Step)new Step.Gateway(a, b, c))),
        (5, Gen.Elements(true, false).Select(x => (Step)new Step.Commit(x))));

    [Fact]
    public void Increments_end_where_a_fresh_start_would()
    {
        Prop.ForAll(Arb.From(Steps.ListOf(40)), AssertEndsAlike).MustHold();
    }

    [Fact]
    public void A_host_that_goes_in_an_update_of_endpoints_leaves_routes_too() => AssertEndsAlike(
    [
        new Step.Config(Array.FindIndex(Configs, config => config.Contains("only.example], exportTo", StringComparison.Ordinal))), new Step.Commit(false),
        new Step.DropConfig("ServiceEntry", "other", "z"), new Step.Commit(true),
    ]);

    private static void AssertEndsAlike(IReadOnlyList<Step> history)
    {
        var live = new MeshRig();
        var proxies = Connect(live);
        foreach (var step in history) Apply(live, step, publish: true);
        Stand(live);
        live.Push();

        var fresh = new MeshRig();
        foreach (var step in history) Apply(fresh, step, publish: false);
        fresh.Writer.Allocator.Import(live.Writer.Allocator.Export()); // Allocated addresses depend on history by design.
        Stand(fresh);
        fresh.Push();
        var again = Connect(fresh);

        Assert.Empty(live.Mesh.Graph.Verify());
        Assert.Equal(0, live.Mesh.Graph.Failures);
        foreach (var (one, other) in proxies.Zip(again)) Assert.Equal(MeshRig.Versions(other), MeshRig.Versions(one));
        // Who comes late takes over what others have, and gets what it would get alone.
        foreach (var ns in (string[])["third", "shop", "other", "istio-system"]) AssertAlone(live.Sidecar("c1", "late", "10.1.0.9", ns: ns), fresh);
    }

    /// <summary>What is for callers of one namespace is not taken over by those of another.</summary>
    [Theory]
    [InlineData("{apiVersion: networking.istio.io/v1, kind: Sidecar, metadata: {name: x, namespace: istio-system}, spec: {egress: "
        + "[{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*/*']}, {hosts: ['./*']}]}}")]
    [InlineData("{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: x, namespace: a}, spec: {hosts: [a.example], tcp: "
        + "[{match: [{sourceNamespace: a}], route: [{destination: {host: b.example, port: {number: 9090}}}]}]}}")]
    public void A_proxy_of_another_namespace_gets_what_it_would_get_alone(string config)
    {
        var rig = new MeshRig("c1");
        rig.Config(Hosts + config);
        rig.Push();
        var proxies = ((string[])["a", "b", "c"]).Select(ns => rig.Sidecar("c1", "late", "10.1.0.9", ns: ns)).ToList();
        foreach (var proxy in proxies) AssertAlone(proxy, rig);
        Assert.NotEqual(MeshRig.Versions(proxies[0]), MeshRig.Versions(proxies[1]));
        // Nor in an update of both.
        rig.Config("{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {name: y, namespace: c}, spec: {hosts: [c.example], ports: "
            + "[{number: 9091, name: tcp, protocol: TCP}], resolution: DNS}}");
        rig.Push();
        foreach (var proxy in proxies) AssertAlone(proxy, rig);
    }

    private static void AssertAlone(ProxyFeed proxy, MeshRig rig) =>
        Assert.Equal(MeshRig.Versions(MeshRig.Alone(proxy, rig.Mesh.View())), MeshRig.Versions(proxy));

    private static List<ProxyFeed> Connect(MeshRig rig) =>
        [rig.Sidecar("c1"), rig.Sidecar("c1", "a-0", "10.1.0.1"), rig.Sidecar("c2", dnsCapture: false), rig.Sidecar("c1", "guest", "10.1.0.9", ns: "other"),
            rig.Router("c1", "eastwest"), rig.Router("c3", "eastwest")];

    /// <summary>Gateways have a Pod in the end: without one, they keep what they had.</summary>
    private static void Stand(MeshRig rig)
    {
        foreach (var cluster in (string[])["c1", "c3"]) rig.GatewayPod(cluster, "eastwest");
    }

    private static void Apply(MeshRig rig, Step step, bool publish)
    {
        switch (step)
        {
            case Step.Put put: Put(rig, put.Cluster, put.Name, put.Variant); break;
            case Step.Drop { Kind: "Node" } drop: rig.Writer.Remove(drop.Cluster, Kubernetes.Objects.Kinds.Node, "", "node"); break;
            case Step.Drop { Kind: "Namespace" } drop: rig.Writer.Remove(drop.Cluster, Kubernetes.Objects.Kinds.Namespace, "", "istio-system"); break;
            case Step.Drop { Kind: "Service" } drop: rig.Writer.Remove(drop.Cluster, Kubernetes.Objects.Kinds.Service, "shop", drop.Name); break;
            case Step.Drop { Kind: "Pod" } drop: rig.Writer.Remove(drop.Cluster, Kubernetes.Objects.Kinds.Pod, "shop", drop.Name + "-0"); break;
            case Step.Drop drop: rig.Writer.Remove(drop.Cluster, Kubernetes.Objects.Kinds.EndpointSlice, "shop", drop.Name + "-1"); break;
            case Step.Config config: rig.Config(Configs[config.Index]); break;
            case Step.DropConfig drop: rig.Writer.RemoveConfig("c1", drop.Kind, drop.Namespace, drop.Name); break;
            case Step.Settings settings: rig.Writer.PutSettings("c1", Kubernetes.Yaml.YamlText.Parse(MeshSettings(settings.Variant), "mesh"), null); break;
            case Step.Leave leave: rig.Writer.RemoveCluster(leave.Cluster); break;
            case Step.Enter enter: rig.Join(enter.Cluster); break;
            case Step.Gateway gateway: rig.EastWest(gateway.Cluster, gateway.HasAddress ? $"172.18.20{gateway.Cluster[1]}.1" : "", gateway.Ready); break;
            case Step.Commit { EndpointsFirst: true } when publish:
                var changes = rig.Writer.Commit();
                rig.Publisher.PublishEndpoints(rig.Mesh.View(), changes.Endpoints);
                rig.Publisher.PublishAll(rig.Mesh.View(), changes);
                break;
            case Step.Commit when publish: rig.Push(); break;
            default: break;
        }
    }

    private static string MeshSettings(int variant) => variant switch
    {
        0 => "{accessLogFile: /dev/stdout}",
        1 => "{outboundTrafficPolicy: {mode: REGISTRY_ONLY}, trustDomain: example.org}",
        2 => "{serviceSettings: [{settings: {clusterLocal: true}, hosts: ['a.shop.svc.cluster.local']}]}",
        _ => "{localityLbSetting: {distribute: [{from: 'c1/*', to: {'c1/*': 80, 'c2/*': 20}}]}}",
    };

    private static void Put(MeshRig rig, string cluster, string name, int variant)
    {
        var ip = $"10.{cluster[1]}.{name[0] - 'a'}.{variant % 3 + 1}";
        switch (variant)
        {
            case 0: rig.Service(cluster, name, $"10.96.0.{name[0]}"); break;
            case 1: rig.Service(cluster, name, $"10.96.0.{name[0]}", "tcp", 9000); break;
            case 2: rig.Service(cluster, name, "None", "tcp", 9000); break;
            case 3: rig.Service(cluster, name, $"10.96.0.{name[0]}", "", 9000); break;
            case 4: rig.Pod(cluster, name, name + "-0", ip, labels: new() { ["version"] = "v1" }); break;
            case 5: rig.Pod(cluster, name, name + "-0", ip, mtls: false); break;
            case 6: rig.Slice(cluster, name, 8080, "http", (name + "-0", ip)); break;
            default: rig.Slice(cluster, name, 8080, "tcp", (name + "-0", ip), ("!" + name + "-0", ip + "0")); break;
        }
    }
}

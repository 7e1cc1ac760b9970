using Isthmus.Core.Collections;
using Isthmus.Core.Net;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Resolve;
using Isthmus.Rigs.Mesh;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Discovery;

/// <summary>What a proxy says of itself, held against its Pod.</summary>
public sealed class ClaimedWorkloadTests
{
    private static readonly AccountKey Own = new("c1", "shop", "front");

    [Theory]
    [InlineData("its Pod", "c1", "front", "front-0", "")]
    [InlineData("its Pod", "c1", "front", "", "")]
    [InlineData("no account", null, "", "", "it has not proven who it is")]
    [InlineData("another cluster", "c2", "front", "", "its token is of cluster 'c2'")]
    [InlineData("no cluster", "", "front", "", "its certificate does not say of which cluster it is")]
    [InlineData("another account", "c1", "seller", "", "Pod shop/front-0 runs as ServiceAccount shop/front, and its credential is of shop/seller")]
    [InlineData("another Pod", "c1", "front", "front-1", "its token is bound to Pod shop/front-1")]
    [InlineData("a sidecar", "c1", "front", "front-0", "Pod shop/front-0 runs a sidecar")]
    [InlineData("no Pod", "c1", "front", "front-0", "neither Pod shop/front-0 nor a WorkloadEntry of ServiceAccount shop/front is known")]
    public void A_gateway_has_the_labels_of_the_Pod_of_its_account_and_no_others(string proven, string? cluster, string account, string bound, string denial)
    {
        var rig = new MeshRig("c1");
        if (proven != "no Pod")
        {
            rig.GatewayPod("c1", "front");
            rig.Push();
        }
        var mesh = rig.Mesh.View();
        var workloads = mesh.Workloads;
        var pod = Workload.KeyOfPod(new("c1", "shop", "front-0"));
        if (proven == "a sidecar")
            workloads = workloads with { Workloads = workloads.Workloads.SetItem(pod, workloads.Workloads[pod] with { Runs = ProxyKind.Sidecar }) };
        var claim = Claim(ProxyKind.Router, "front-0", cluster is null ? null : new(new(cluster, "shop", account), bound));
        var workload = ClaimedWorkload.Of(claim, new(mesh with { Workloads = workloads }));
        Assert.Equal(denial, workload.Denial);
        Assert.Equal(denial.Length == 0 ? ["front"] : [], workload.Labels.Select(label => label.Value));
        var problem = workload.ProblemOf(claim);
        Assert.Equal(denial.Length == 0 ? "" : "ISM1036 proxy front-0.shop", problem is null ? "" : $"{problem.Code} {problem.Object}");
    }

    [Theory]
    [InlineData("10.0.0.5", "any", "a")] // by its address
    [InlineData("10.0.0.9", "vm-b", "b")] // by its name
    [InlineData("10.0.0.9", "any", null)] // either could be meant
    public void A_gateway_on_a_machine_has_the_labels_of_the_WorkloadEntry_of_its_account(string address, string name, string? label)
    {
        var rig = new MeshRig("c1");
        Entry(rig, "vm-a", "10.0.0.5", "front", "a");
        Entry(rig, "vm-b", "10.0.0.6", "front", "b");
        Entry(rig, "vm-c", address, "seller", "c");
        rig.Push();
        var workload = ClaimedWorkload.Of(Claim(ProxyKind.Router, name, new(Own, ""), address), new(rig.Mesh.View()));
        Assert.Equal(label is null ? [] : [label], workload.Labels.Select(item => item.Value));
        Assert.Equal(label is null, workload.Denial.Length > 0);
        // A token that is bound to a Pod is of no machine.
        Assert.NotEqual("", ClaimedWorkload.Of(Claim(ProxyKind.Router, name, new(Own, name), address), new(rig.Mesh.View())).Denial);
    }

    [Fact]
    public void A_sidecar_has_the_labels_of_its_own_Pod_and_never_those_of_another_account()
    {
        var rig = new MeshRig("c1");
        rig.GatewayPod("c1", "front");
        rig.Push();
        var workloads = new MeshReads(rig.Mesh.View());
        Assert.Equal(["front"], ClaimedWorkload.Of(Claim(ProxyKind.Sidecar, "front-0", new(Own, "front-0")), workloads).Labels.Select(label => label.Value));
        var foreign = ClaimedWorkload.Of(Claim(ProxyKind.Sidecar, "front-0", new(Own with { Name = "seller" }, "")), workloads);
        Assert.Equal((null, "claimed", ""), (foreign.Workload, Assert.Single(foreign.Labels).Value, foreign.Denial));
    }

    [Fact]
    public void A_changed_WorkloadEntry_reaches_the_sidecar_of_its_machine()
    {
        var rig = new MeshRig("c1");
        rig.Service("c1", "front", "10.96.0.9", "http", 80, 8080);
        rig.Config("""
            apiVersion: networking.istio.io/v1
            kind: DestinationRule
            metadata: {name: all, namespace: shop}
            spec: {host: '*.shop.svc.cluster.local', trafficPolicy: {outlierDetection: {consecutive5xxErrors: 5} } }
            """);
        Machine(rig, "region1/zone1", 9001);
        var proxy = rig.Connect(Claim(ProxyKind.Sidecar, "vm-a", new(Own, ""), "10.0.0.5"));
        rig.Push();
        Assert.Equal(new Locality("region1", "zone1", ""), Scope(rig, proxy).Locality);
        Assert.Equal([9001], Inbound(proxy));
        Machine(rig, "region2/zone2", 9002);
        rig.Push();
        Assert.Equal(new Locality("region2", "zone2", ""), Scope(rig, proxy).Locality);
        Assert.Equal([9002], Inbound(proxy));
        rig.Writer.Remove("c1", new("networking.istio.io", "v1alpha3", "WorkloadEntry", "workloadentries", true), "shop", "vm-a");
        rig.Push();
        // The machine is what it says of itself.
        Assert.Equal(new Locality("c1", "z1", ""), Scope(rig, proxy).Locality);
    }

    private static ProxyScope Scope(MeshRig rig, Isthmus.ControlPlane.Push.ProxyFeed proxy)
    {
        var view = rig.Mesh.View();
        return ScopeResolver.Resolve(proxy.Proxy, new(view)).Scope;
    }

    /// <summary>The ports behind Services.</summary>
    private static IEnumerable<uint> Inbound(Isthmus.ControlPlane.Push.ProxyFeed proxy) => MeshRig.Listener(proxy, "virtualInbound")!.FilterChains
        .Select(chain => chain.FilterChainMatch?.DestinationPort ?? 0).Where(port => port is > 9000 and < 9010).Distinct();

    private static void Machine(MeshRig rig, string locality, int port) => rig.Config($$"""
        apiVersion: networking.istio.io/v1
        kind: WorkloadEntry
        metadata: {name: vm-a, namespace: shop}
        spec: {address: 10.0.0.5, serviceAccount: front, labels: {app: front}, locality: {{locality}}, ports: {http: {{port}} } }
        """);

    [Fact]
    public void A_gateway_gets_nothing_before_its_Pod_is_known_and_keeps_what_it_has_when_the_Pod_is_gone()
    {
        var rig = new MeshRig("c1");
        rig.Service("c1", "front", "10.96.0.9", "https", 443, 8443);
        rig.Config("""
            apiVersion: networking.istio.io/v1
            kind: Gateway
            metadata: {name: front, namespace: shop}
            spec: {selector: {app: front},
              servers: [{port: {number: 443, name: https, protocol: HTTPS}, hosts: [shop.example], tls: {mode: SIMPLE, credentialName: front}}]}
            """);
        rig.Push();
        var gateway = rig.Connect(Claim(ProxyKind.Router, "front-0", new(Own, "front-0")));
        rig.Push();
        Assert.Null(gateway.Snapshot);
        Assert.Empty(gateway.Served.Gateways);
        Assert.Equal("ISM1036", Assert.Single(gateway.Problems).Code);
        rig.GatewayPod("c1", "front");
        rig.Push();
        Assert.NotNull(MeshRig.Listener(gateway, "0.0.0.0_8443"));
        Assert.Equal(["shop/front"], gateway.Served.Gateways);
        Assert.DoesNotContain(gateway.Problems, problem => problem.Code == "ISM1036");
        var given = MeshRig.Versions(gateway);
        rig.Writer.Remove("c1", Kubernetes.Objects.Kinds.Pod, "shop", "front-0");
        rig.Push();
        Assert.Equal(given, MeshRig.Versions(gateway));
        Assert.Empty(gateway.Served.Gateways);
    }

    private static void Entry(MeshRig rig, string name, string address, string account, string label) => rig.Config($$"""
        apiVersion: networking.istio.io/v1
        kind: WorkloadEntry
        metadata: {name: {{name}}, namespace: shop}
        spec: {address: {{address}}, serviceAccount: {{account}}, labels: {app: {{label}} } }
        """);

    private static ProxyIdentity Claim(ProxyKind kind, string name, ProxyProof? proof, string address = "10.244.0.99") => new(
        kind, name, "shop", "shop.svc.cluster.local", "c1", "net-c1", ["net-c1"], [Address.Parse(address)],
        new Dictionary<string, string> { ["app"] = "claimed" }.ToValueMap(),
        "front", "front", "node", "NONE", false, false, "", "", Locality.Unknown) { Proof = proof };
}

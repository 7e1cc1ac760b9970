using Isthmus.ControlPlane.LastKnown;
using Isthmus.Graph.Intake;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Mesh.Model;
using Isthmus.Rigs.Mesh;
using Xunit;
using static Isthmus.Rigs.Mesh.MeshRig;

namespace Isthmus.Tests.ControlPlane.Discovery;

/// <summary>WorkloadEntries of other clusters.</summary>
public sealed class RemoteWorkloadTests
{
    private const string Entry = """
        apiVersion: networking.istio.io/v1
        kind: ServiceEntry
        metadata: {name: machines, namespace: shop}
        spec: {hosts: [machines.test], ports: [{number: 80, name: http, protocol: HTTP}], resolution: STATIC, location: MESH_INTERNAL, workloadSelector: {labels: {app: machine} } }
        """;

    [Fact]
    public void A_ServiceEntry_selects_WorkloadEntries_of_every_cluster_each_in_the_network_of_its_cluster()
    {
        var rig = Rig();
        rig.Config(Entry);
        rig.Config(Workload("near", "192.0.2.1"));
        rig.Config("c2", Workload("far", "192.0.2.2"));
        rig.Config("c2", Workload("elsewhere", "192.0.2.3", more: "network: net-c1"));
        rig.Config("c2", Workload("other", "192.0.2.4", app: "other"));
        var client = rig.Sidecar("c1");
        rig.Push();
        Assert.Equal(["192.0.2.1:80=1", "192.0.2.3:80=1", "172.18.202.1:15443=1"], Endpoints(client, "outbound|80||machines.test"));

        rig.Writer.RemoveConfig("c2", "WorkloadEntry", MeshRig.Namespace, "far");
        rig.Push();
        Assert.Equal(["192.0.2.1:80=1", "192.0.2.3:80=1"], Endpoints(client, "outbound|80||machines.test"));
        Assert.Empty(rig.Mesh.Graph.Verify());
    }

    [Fact]
    public void A_Service_selects_WorkloadEntries_of_its_own_cluster()
    {
        var rig = Rig();
        rig.App("c1", "machine", "10.96.0.10", "10.244.0.1");
        rig.App("c2", "machine", "10.96.0.11");
        rig.Config("c2", Workload("far", "192.0.2.2"));
        var (near, far) = (rig.Sidecar("c1"), rig.Sidecar("c2"));
        rig.Push();
        Assert.Equal(["10.244.0.1:8080=1", "172.18.202.1:15443=1"], Endpoints(near, OutboundName("machine")).Order());
        Assert.Contains("192.0.2.2:8080=1", Endpoints(far, OutboundName("machine")));
    }

    /// <summary>As in Istio, whose control plane writes the condition for machines with a readiness probe.</summary>
    [Theory]
    [InlineData("{}", "[{type: Healthy, status: 'False'}]", true)]
    [InlineData("{proxy.istio.io/health-checks-enabled: 'false'}", "[{type: Healthy, status: 'False'}]", true)]
    [InlineData("{proxy.istio.io/health-checks-enabled: 'true'}", "[]", false)]
    [InlineData("{proxy.istio.io/health-checks-enabled: 'true'}", "[{type: Healthy, status: 'False'}]", false)]
    [InlineData("{proxy.istio.io/health-checks-enabled: 'true'}", "[{type: Reconciled, status: 'True'}, {type: Healthy, status: Unknown}]", false)]
    [InlineData("{proxy.istio.io/health-checks-enabled: 'true'}", "[{type: Reconciled, status: 'False'}, {type: Healthy, status: 'True'}]", true)]
    [InlineData("{proxy.istio.io/health-checks-enabled: T}", "[]", false)]
    [InlineData("{proxy.istio.io/health-checks-enabled: 'yes'}", "[]", true)]
    public void One_with_health_checks_gets_calls_while_they_pass(string annotations, string conditions, bool isUsed)
    {
        var rig = Rig();
        rig.Config(Entry);
        rig.App("c1", "machine", "10.96.0.10", "10.244.0.1");
        rig.Config(Workload("near", "192.0.2.1"));
        var client = rig.Sidecar("c1");
        rig.Push();
        Assert.Contains("192.0.2.1:80=1", Endpoints(client, "outbound|80||machines.test"));
        Assert.Contains("192.0.2.1:8080=1", Endpoints(client, OutboundName("machine")));

        rig.Config($"{Workload("near", "192.0.2.1", annotations: annotations)}\nstatus: {{conditions: {conditions} }}");
        rig.Push();
        Assert.Equal(isUsed, Endpoints(client, "outbound|80||machines.test").Contains("192.0.2.1:80=1"));
        Assert.Equal(isUsed, Endpoints(client, OutboundName("machine")).Contains("192.0.2.1:8080=1"));
        Assert.Empty(rig.Mesh.Graph.Verify());
    }

    /// <summary>Who writes a status has not changed the entry: its generation, and whoever wrote the spec, say nothing of it.</summary>
    [Fact]
    public void The_history_does_not_call_an_entry_changed_when_its_health_is()
    {
        var kind = Rig().Writer.Kinds.WorkloadEntries;
        IstioState<WorkloadEntry> Read(string address, string status) => kind.Read("c1", YamlText.Parse(
            $"{Workload("near", address, annotations: "{proxy.istio.io/health-checks-enabled: 'true'}")}\nstatus: {status}", "test")!.AsObject())!;
        var healthy = Read("192.0.2.1", "{conditions: [{type: Healthy, status: 'True'}]}");
        var unhealthy = Read("192.0.2.1", "{}");
        Assert.Equal((false, true), (healthy.Value!.IsUnhealthy, unhealthy.Value!.IsUnhealthy));
        Assert.True(kind.IsSame(healthy, unhealthy));
        Assert.True(kind.IsSame(unhealthy, healthy));
        Assert.False(kind.IsSame(healthy, Read("192.0.2.2", "{}")));
    }

    /// <summary>Readiness changes more often than anything else: it must not resolve scopes, store clusters again, or delay later changes.</summary>
    [Fact]
    public void The_readiness_of_a_Pod_concerns_only_the_endpoints_that_a_selector_takes()
    {
        var rig = Rig();
        rig.App("c1", "other", "10.96.0.10", "10.244.0.1");
        rig.Config(Entry);
        PutPod(rig, "machine", "10.244.0.8", isReady: true);
        PutPod(rig, "other", "10.244.0.1", isReady: true);
        rig.Sidecar("c1", "other", "10.244.0.1");
        rig.Push();
        var before = rig.Writer.Revisions.ByCluster["c1"];

        PutPod(rig, "other", "10.244.0.1", isReady: false);
        Assert.True(rig.Writer.Commit().IsEmpty);
        PutPod(rig, "machine", "10.244.0.8", isReady: false);
        var changes = rig.Writer.Commit();
        Assert.True(changes.IsEndpointsOnly);
        Assert.Equal(["machines.test"], changes.Endpoints);
        Assert.Equal(EndpointHealth.NotReady, Assert.Single(rig.Mesh.Endpoints.Items["machines.test"].Endpoints).Health);
        Assert.Equal(before, rig.Writer.Revisions.ByCluster["c1"]);
        Assert.Empty(rig.Mesh.Graph.Verify());
    }

    private static void PutPod(MeshRig rig, string app, string ip, bool isReady) => rig.Writer.Put("c1", new MeshPod
    {
        Metadata = new() { Name = app, Namespace = MeshRig.Namespace, Labels = { ["app"] = app } },
        Spec = new() { NodeName = "node" },
        Status = new() { PodIP = ip, Conditions = [new() { Type = "Ready", Status = isReady ? "True" : "False" }] },
    });

    [Fact]
    public void Those_of_a_cluster_that_left_are_gone()
    {
        var rig = Rig();
        rig.Config(Entry);
        rig.Config("c2", Workload("far", "192.0.2.2"));
        var client = rig.Sidecar("c1");
        rig.Push();
        Assert.NotEmpty(Endpoints(client, "outbound|80||machines.test"));
        rig.Writer.RemoveCluster("c2");
        rig.Push();
        Assert.Empty(Endpoints(client, "outbound|80||machines.test"));
    }

    [Fact]
    public void A_snapshot_keeps_them_and_a_changed_one_is_stored()
    {
        var rig = Rig();
        rig.Config("c2", Workload("far", "192.0.2.2"));
        rig.Push();
        var snapshot = new ClusterPart("c2").In(SnapshotInputs.Of(rig.Mesh.Sources));
        Assert.Equal("192.0.2.2", Assert.Single(SnapshotCodec.Decode("c2", SnapshotCodec.Encode(snapshot)).Workloads).Endpoint.Address.ToString());
        var before = rig.Writer.Revisions.ByCluster["c2"];
        rig.Config("c2", Workload("far", "192.0.2.9"));
        rig.Push();
        Assert.NotEqual(before, rig.Writer.Revisions.ByCluster["c2"]);
    }

    /// <summary>Without a label there is nothing to select by. A selector that is empty is not one that selects all, such as WorkloadEntries of others'
    /// services.</summary>
    [Theory]
    [InlineData("{}")]
    [InlineData("{labels: {}}")]
    public void An_empty_selector_selects_none(string selector)
    {
        var rig = Rig();
        rig.App("c1", "machine", "10.96.0.10", "10.244.0.1");
        rig.Config(Entry.Replace("{labels: {app: machine} }", selector, StringComparison.Ordinal));
        rig.Config(Workload("near", "192.0.2.1"));
        var client = rig.Sidecar("c1");
        rig.Push();
        Assert.Empty(Endpoints(client, "outbound|80||machines.test"));
        Assert.Contains("192.0.2.1:8080=1", Endpoints(client, OutboundName("machine")));
    }

    private static MeshRig Rig()
    {
        var rig = new MeshRig("c1", "c2");
        rig.EastWest("c2", "172.18.202.1");
        return rig;
    }

    private static string Workload(string name, string address, string app = "machine", string more = "weight: 1", string annotations = "{}") => $$"""
        apiVersion: networking.istio.io/v1
        kind: WorkloadEntry
        metadata: {name: {{name}}, namespace: shop, annotations: {{annotations}} }
        spec: {address: {{address}}, labels: {app: {{app}}, security.istio.io/tlsMode: istio}, serviceAccount: machine, {{more}} }
        """;
}

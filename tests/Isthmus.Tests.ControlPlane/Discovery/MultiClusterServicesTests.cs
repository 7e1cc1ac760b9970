using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Graph.Derive;
using Isthmus.ControlPlane.Mcs;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;
using Isthmus.Rigs.Mesh;
using Isthmus.Wire.Envoy;
using Xunit;
using static Isthmus.Rigs.Mesh.MeshRig;
using Exports = Isthmus.Mesh.Model.MultiClusterSettings;

namespace Isthmus.Tests.ControlPlane.Discovery;

/// <summary>Kubernetes' multi-cluster services API: exports, imports and the hosts of the cluster set.</summary>
public sealed class MultiClusterServicesTests
{
    private const string Orders = "orders.shop.svc.clusterset.local";

    [Fact]
    public void An_exported_service_has_a_host_of_the_cluster_set_with_the_exporting_clusters_behind_it()
    {
        var rig = Two();
        Export(rig, "c2", "orders");
        var client = rig.Sidecar("c1");
        rig.Push();
        Assert.Equal(["172.18.202.1:15443=1"], Endpoints(client, $"outbound|80||{Orders}"));
        Assert.StartsWith("240.240.", Assert.Single(Names(client).Table[Orders].Ips), StringComparison.Ordinal);
        Assert.Equal($"outbound_.80_._.{Orders}",
            Cluster(client, $"outbound|80||{Orders}")!.TransportSocketMatches[0].TransportSocket.TypedConfig.Unpack<UpstreamTlsContext>().Sni);
        Assert.Contains(Orders, Route(client, "80")!.VirtualHosts.SelectMany(host => host.Domains));
        // The ordinary host does not change: it has the endpoints of all clusters.
        Assert.Equal(["10.244.0.1:8080=1", "172.18.202.1:15443=1"], Endpoints(client, OutboundName("orders")));

        Export(rig, "c1", "orders");
        rig.Push();
        Assert.Equal(["10.244.0.1:8080=1", "172.18.202.1:15443=1"], Endpoints(client, $"outbound|80||{Orders}"));
        rig.Writer.RemoveMultiCluster("c1", "ServiceExport", MeshRig.Namespace, "orders");
        rig.Writer.RemoveMultiCluster("c2", "ServiceExport", MeshRig.Namespace, "orders");
        rig.Push();
        Assert.False(Names(client).Table.ContainsKey(Orders));
        Assert.Null(Cluster(client, $"outbound|80||{Orders}"));
        Assert.Empty(rig.Mesh.Graph.Verify());
    }

    [Fact]
    public void The_gateway_of_an_exporting_cluster_leads_to_the_host_of_the_cluster_set()
    {
        var rig = Two();
        Export(rig, "c2", "orders");
        rig.Config("""
            apiVersion: networking.istio.io/v1beta1
            kind: Gateway
            metadata: {name: cross, namespace: shop}
            spec:
              selector: {app: eastwest}
              servers: [{port: {number: 15443, name: tls, protocol: TLS}, tls: {mode: AUTO_PASSTHROUGH}, hosts: ['*.local']}]
            """);
        var gateway = rig.Router("c2", "eastwest");
        rig.Push();
        Assert.Equal(["10.244.0.2:8080=1"], Endpoints(gateway, $"outbound_.80_._.{Orders}"));
    }

    [Fact]
    public void With_discovery_by_export_a_cluster_keeps_what_it_does_not_export()
    {
        var rig = Two(Exports.Default with { Discovery = true });
        var (client, other) = (rig.Sidecar("c1"), rig.Sidecar("c2"));
        rig.Push();
        Assert.Equal(["10.244.0.1:8080=1"], Endpoints(client, OutboundName("orders")));
        Export(rig, "c2", "orders");
        rig.Push();
        Assert.Equal(["10.244.0.1:8080=1", "172.18.202.1:15443=1"], Endpoints(client, OutboundName("orders")));
        Assert.Equal(["10.244.0.2:8080=1"], Endpoints(other, OutboundName("orders")));
    }

    [Fact]
    public void With_cluster_local_names_only_the_cluster_set_crosses_clusters()
    {
        var rig = Two(Exports.Default with { Discovery = true, ClusterLocal = true });
        Export(rig, "c1", "orders");
        Export(rig, "c2", "orders");
        var client = rig.Sidecar("c1");
        rig.Push();
        Assert.Equal(["10.244.0.1:8080=1"], Endpoints(client, OutboundName("orders")));
        Assert.Equal(["10.244.0.1:8080=1", "172.18.202.1:15443=1"], Endpoints(client, $"outbound|80||{Orders}"));
    }

    [Fact]
    public void Pods_of_an_exported_headless_service_have_their_cluster_in_their_names()
    {
        var rig = Two();
        rig.StatefulApp("c1", "ledger", "tcp", 5432, "10.244.0.5");
        rig.StatefulApp("c2", "ledger", "tcp", 5432, "10.244.0.5");
        Export(rig, "c2", "ledger");
        var client = rig.Sidecar("c1");
        rig.Push();
        var names = Names(client).Table;
        var far = names["ledger-0.c2.ledger.shop.svc.cluster.local"].Ips;
        Assert.Equal(far, names["ledger-0.c2.ledger.shop.svc.clusterset.local"].Ips);
        Assert.Equal(far, names["ledger.shop.svc.clusterset.local"].Ips);
        Assert.False(names.ContainsKey("ledger-0.c1.ledger.shop.svc.clusterset.local"));
    }

    [Fact]
    public void A_proxy_whose_applications_cannot_learn_its_address_takes_no_foreign_traffic_for_it()
    {
        var rig = Two();
        rig.AppOn("c2", "db", "10.96.0.30", "tcp", 5432, "10.244.0.9");
        Export(rig, "c2", "db");
        var client = rig.Sidecar("c1", dnsCapture: false);
        rig.Push();
        Assert.Null(Listener(client, "0.0.0.0_5432"));
    }

    [Fact]
    public void A_rule_for_the_ordinary_host_counts_for_the_exported_one()
    {
        var rig = Two();
        Export(rig, "c2", "orders");
        rig.Config(
            "{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: r, namespace: shop}, spec: {host: orders, trafficPolicy: "
                + "{connectionPool: {tcp: {maxConnections: 7}}}}}");
        var client = rig.Sidecar("c1");
        rig.Push();
        Assert.Equal(7u, Cluster(client, $"outbound|80||{Orders}")!.CircuitBreakers.Thresholds[0].MaxConnections);
    }

    [Fact]
    public void Every_cluster_gets_an_import_with_the_address_that_its_sidecars_answer_and_nothing_is_written_twice()
    {
        var rig = Two();
        Export(rig, "c2", "orders");
        var client = rig.Sidecar("c1");
        rig.Push();
        var import = Assert.Single(Plan(rig, "c1").Imports);
        Assert.Equal(Names(client).Table[Orders].Ips, import.Spec["ips"]!.AsArray().Select(ip => ip!.ToString()));
        Assert.Equal("""{"type":"ClusterSetIP","ports":[{"port":80,"protocol":"TCP","name":"http"}],"ips":["%"],"ipFamilies":["IPv4"]}""".Replace("%",
            import.Spec["ips"]![0]!.ToString(), StringComparison.Ordinal),
            import.Spec.ToJsonString());
        Assert.Equal("""[{"cluster":"c2"}]""", import.Clusters.ToJsonString());

        Import(rig, "c1", import.Spec, import.Clusters, managed: true);
        rig.Push();
        Assert.Empty(Plan(rig, "c1").Imports);
        Assert.Equal(import.Spec["ips"]![0]!.ToString(), Assert.Single(Names(client).Table[Orders].Ips));

        rig.Writer.RemoveMultiCluster("c2", "ServiceExport", MeshRig.Namespace, "orders");
        rig.Push();
        Assert.Equal([new ObjectKey("c1", MeshRig.Namespace, "orders")], Plan(rig, "c1").Obsolete);
    }

    [Fact]
    public void An_import_that_somebody_else_made_is_theirs_and_its_address_is_taken()
    {
        var rig = Two();
        Export(rig, "c2", "orders");
        Import(rig, "c1", new() { ["type"] = "ClusterSetIP", ["ips"] = new JsonArray("10.99.0.7"), ["ports"] = new JsonArray() }, [], managed: false);
        var client = rig.Sidecar("c1");
        rig.Push();
        Assert.Equal(["10.99.0.7"], Names(client).Table[Orders].Ips);
        Assert.Empty(Plan(rig, "c1").Imports);
        rig.Writer.RemoveMultiCluster("c2", "ServiceExport", MeshRig.Namespace, "orders");
        rig.Push();
        Assert.Empty(Plan(rig, "c1").Obsolete);
    }

    [Fact]
    public void Exports_tell_whether_they_are_valid_and_where_they_contradict_others()
    {
        var rig = Two();
        Export(rig, "c1", "orders");
        Export(rig, "c1", "nobody");
        rig.Push();
        Assert.Equal(["nobody Ready False Pending", "nobody Valid False NoService", "orders Conflict False NoConflicts", "orders Ready True Exported",
            "orders Valid True Valid"],
            Conditions(rig, "c1"));

        rig.AppOn("c2", "orders", "10.96.0.11", "grpc", 9090, "10.244.0.2");
        Export(rig, "c2", "orders");
        rig.Push();
        Assert.Contains("orders Conflict True PortConflict", Conditions(rig, "c1"));
        Assert.Contains("orders Conflict True PortConflict", Conditions(rig, "c2"));
    }

    [Fact]
    public void With_automatic_export_every_service_that_is_not_cluster_local_is_exported()
    {
        var rig = Two(Exports.Default with { AutoExport = true });
        rig.Push();
        Assert.Equal(["eastwest", "orders"], Plan(rig, "c1", Exports.Default with { AutoExport = true }).AutoExports.Select(key => key.Name));
    }

    [Fact]
    public void Without_any_export_nothing_is_planned()
    {
        var rig = Two();
        rig.Push();
        Assert.Same(MultiClusterPlan.Nothing, Plan(rig, "c1"));
    }

    private static MeshRig Two(Exports? settings = null)
    {
        var rig = new MeshRig(settings ?? Exports.Default, "c1", "c2");
        foreach (var cluster in (string[])["c1", "c2"]) rig.Writer.Put(cluster, new Namespace { Metadata = new() { Name = MeshRig.Namespace } });
        rig.App("c1", "orders", "10.96.0.10", "10.244.0.1");
        rig.App("c2", "orders", "10.96.0.11", "10.244.0.2");
        rig.EastWest("c1", "172.18.201.1");
        rig.EastWest("c2", "172.18.202.1");
        return rig;
    }

    private static void Export(MeshRig rig, string cluster, string name) => rig.Writer.PutMultiCluster(cluster, new()
    {
        ["kind"] = "ServiceExport",
        ["metadata"] = new JsonObject { ["name"] = name, ["namespace"] = MeshRig.Namespace, ["creationTimestamp"] = "2030-01-01T00:00:00Z" },
    });

    private static void Import(MeshRig rig, string cluster, JsonObject spec, JsonArray clusters, bool managed) => rig.Writer.PutMultiCluster(cluster, new()
    {
        ["apiVersion"] = "multicluster.x-k8s.io/v1alpha1", ["kind"] = "ServiceImport",
        ["metadata"] = new JsonObject
        {
            ["name"] = "orders", ["namespace"] = MeshRig.Namespace,
            ["labels"] = new JsonObject { [Labels.ManagedImport] = managed ? "true" : "false" }
        },
        ["spec"] = spec.DeepClone(),
        ["status"] = new JsonObject { ["clusters"] = clusters.DeepClone() },
    });

    private static MultiClusterPlan Plan(MeshRig rig, string cluster, Exports? settings = null) =>
        MultiClusterPlan.Of(rig.Mesh, cluster, settings ?? Exports.Default);

    private static List<string> Conditions(MeshRig rig, string cluster) => [.. Plan(rig, cluster).Conditions
        .SelectMany(item => item.Conditions.Select(condition => $"{item.Export.Source.Name} {condition.Type} {condition.Status} {condition.Reason}"))
        .Order(StringComparer.Ordinal)];
}

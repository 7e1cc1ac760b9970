using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Graph.Derive;
using Isthmus.ControlPlane.Mcs;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;
using Isthmus.Rigs.Mesh;
using Xunit;
using static Isthmus.Rigs.Mesh.MeshRig;

namespace Isthmus.Tests.ControlPlane.Discovery;

/// <summary>What the conformance suite of the multi-cluster services API (v1beta1) asks of imports and of the conditions of exports.</summary>
public sealed class ClusterSetTests
{
    private const string Name = "desk", Host = $"{Name}.{MeshRig.Namespace}.svc.clusterset.local";

    private readonly MeshRig _rig = new("c1", "c2");

    public ClusterSetTests()
    {
        foreach (var cluster in (string[])["c1", "c2"]) _rig.Writer.Put(cluster, new Namespace { Metadata = new() { Name = MeshRig.Namespace } });
    }

    [Fact]
    public void An_import_is_there_as_long_as_one_cluster_exports()
    {
        Service("c1");
        Service("c2");
        Export("c1", "2030-01-01T00:00:00Z");
        Assert.Equal(["c1"], Clusters("c1"));
        Assert.Equal(["c1"], Clusters("c2"));
        Export("c2", "2030-01-02T00:00:00Z");
        Assert.Equal(["c1", "c2"], Clusters("c1"));
        Unexport("c1");
        Assert.Equal(["c2"], Clusters("c1"));
        Unexport("c2");
        _rig.Push();
        Assert.Empty(Plan("c1").Imports);
        Assert.Empty(Plan("c2").Imports);
    }

    [Fact]
    public void An_import_has_the_exported_labels_and_annotations_and_none_of_the_Service()
    {
        Service("c1", service => service.Metadata.Labels["dummy-svc"] = "dummy");
        Export("c1", "2030-01-01T00:00:00Z",
            new() { ["exportedLabels"] = new JsonObject { ["team"] = "front" }, ["exportedAnnotations"] = new JsonObject { ["note"] = "hello world" } });
        var import = ImportIn("c2");
        Assert.Equal($$"""{"team":"front","{{Labels.ManagedImport}}":"true"}""", import.Labels.ToJsonString());
        Assert.Equal("""{"note":"hello world"}""", import.Annotations.ToJsonString());
    }

    [Fact]
    public void Of_different_labels_and_annotations_those_of_the_oldest_export_count_and_both_exports_say_so()
    {
        Service("c1");
        Service("c2");
        Export("c1", "2030-01-02T00:00:00Z", new() { ["exportedLabels"] = new JsonObject { ["team"] = "late" } });
        Export("c2", "2030-01-01T00:00:00Z",
            new() { ["exportedLabels"] = new JsonObject { ["crew"] = "early" }, ["exportedAnnotations"] = new JsonObject { ["note"] = "early" } });
        var import = ImportIn("c1");
        Assert.Equal("early", import.Labels["crew"]!.ToString());
        Assert.False(import.Labels.ContainsKey("team"));
        Assert.Equal("early", import.Annotations["note"]!.ToString());
        foreach (var cluster in (string[])["c1", "c2"]) Assert.Equal("True AnnotationsConflict,LabelsConflict", Condition(cluster, "Conflict"));
    }

    [Fact]
    public void A_Service_with_an_address_becomes_an_import_with_one_everywhere()
    {
        Service("c1");
        Export("c1", "2030-01-01T00:00:00Z");
        foreach (var cluster in (string[])["c1", "c2"])
        {
            var spec = ImportIn(cluster).Spec;
            Assert.Equal("ClusterSetIP", spec["type"]!.ToString());
            Assert.StartsWith("240.240.", Assert.Single(spec["ips"]!.AsArray())!.ToString(), StringComparison.Ordinal);
            Assert.Equal("""["IPv4"]""", spec["ipFamilies"]!.ToJsonString());
        }
        Assert.Equal(("True Valid", "True Exported", "False NoConflicts"), (Condition("c1", "Valid"), Condition("c1", "Ready"), Condition("c1", "Conflict")));
        Unexport("c1");
        foreach (var cluster in (string[])["c1", "c2"]) Assert.Empty(Plan(cluster).Imports);
    }

    [Fact]
    public void An_import_repeats_how_the_Service_distributes_calls()
    {
        Service("c1", service =>
        {
            service.Spec.SessionAffinity = "ClientIP";
            service.Spec.SessionAffinityConfig = new() { ClientIP = new() { TimeoutSeconds = 10 } };
            service.Spec.InternalTrafficPolicy = "Cluster";
            service.Spec.TrafficDistribution = "PreferClose";
        });
        Export("c1", "2030-01-01T00:00:00Z");
        var spec = ImportIn("c2").Spec;
        Assert.Equal("""ClientIP {"clientIP":{"timeoutSeconds":10}} Cluster PreferClose""",
            $"{spec["sessionAffinity"]} {spec["sessionAffinityConfig"]!.ToJsonString()} {spec["internalTrafficPolicy"]} {spec["trafficDistribution"]}");
        _rig.Push();
        Assert.Equal(TrafficDistribution.SameZone, _rig.Mesh.Services.Items[Host].Distribution);
    }

    [Theory]
    [InlineData("SessionAffinityConflict", "ClientIP", "", "", "None")]
    [InlineData("InternalTrafficPolicyConflict", "", "Local", "", "")]
    [InlineData("TrafficDistributionConflict", "", "", "PreferClose", "")]
    public void What_Services_say_differently_is_a_conflict_and_the_oldest_export_decides(string reason, string affinity, string policy, string distribution,
        string imported)
    {
        Service("c1",
            service => (service.Spec.SessionAffinity, service.Spec.InternalTrafficPolicy, service.Spec.TrafficDistribution) = (affinity, policy, distribution));
        Service("c2", service => service.Spec.SessionAffinity = affinity.Length > 0 ? "None" : "");
        Export("c1", "2030-01-02T00:00:00Z");
        Export("c2", "2030-01-01T00:00:00Z");
        var spec = ImportIn("c1").Spec;
        Assert.Equal(imported, spec["sessionAffinity"]?.ToString() ?? "");
        Assert.False(spec.ContainsKey("internalTrafficPolicy") || spec.ContainsKey("trafficDistribution"));
        foreach (var cluster in (string[])["c1", "c2"]) Assert.Equal($"True {reason}", Condition(cluster, "Conflict"));
        Assert.False(_rig.Mesh.Services.Items[Host].NodeLocal);
    }

    [Fact]
    public void Seconds_of_session_affinity_are_compared_too()
    {
        foreach (var (cluster, seconds) in ((string, int)[])[("c1", 10), ("c2", 20)])
        {
            Service(cluster,
                service => (service.Spec.SessionAffinity, service.Spec.SessionAffinityConfig) = ("ClientIP",
                    new() { ClientIP = new() { TimeoutSeconds = seconds } }));
            Export(cluster, $"2030-01-01T00:00:{seconds}Z");
        }
        Assert.Equal("10", ImportIn("c2").Spec["sessionAffinityConfig"]!["clientIP"]!["timeoutSeconds"]!.ToString());
        Assert.Equal("True SessionAffinityConfigConflict", Condition("c2", "Conflict"));
    }

    [Fact]
    public void An_import_has_the_ports_of_the_Service_with_their_protocols()
    {
        Ports("c1", ("tcp", 42, "TCP", "kubernetes.io/h2c"), ("udp", 42, "UDP", ""));
        Export("c1", "2030-01-01T00:00:00Z");
        Assert.Equal(["tcp 42 TCP kubernetes.io/h2c", "udp 42 UDP "], PortsIn("c2"));
    }

    [Fact]
    public void Ports_of_several_Services_are_united()
    {
        Ports("c1", ("tcp", 42, "TCP", ""), ("udp", 42, "UDP", ""));
        Ports("c2", ("tcp", 42, "TCP", ""), ("stcp", 142, "SCTP", ""));
        Export("c1", "2030-01-01T00:00:00Z");
        Export("c2", "2030-01-02T00:00:00Z");
        Assert.Equal(["tcp 42 TCP ", "udp 42 UDP ", "stcp 142 SCTP "], PortsIn("c1"));
        foreach (var cluster in (string[])["c1", "c2"]) Assert.Equal("True PortConflict", Condition(cluster, "Conflict"));
        Assert.Contains("The oldest export, that of c1, decides. ports: c1 has tcp:42/TCP, udp:42/UDP; c2 has stcp:142/SCTP, tcp:42/TCP",
            Plan("c1").Conditions.Single().Conditions.Single(condition => condition.Type == "Conflict").Message, StringComparison.Ordinal);
    }

    /// <summary>One name, two numbers: endpoints of the cluster without the port get no calls.</summary>
    [Theory]
    [InlineData("2030-01-01T00:00:00Z", 42, "10.244.0.1")]
    [InlineData("2030-01-03T00:00:00Z", 4242, "10.244.0.2")]
    public void Of_a_port_that_two_define_differently_the_oldest_exports_is_there(string first, int number, string endpoint)
    {
        _rig.AppOn("c1", Name, "10.96.0.10", "tcp", 42, "10.244.0.1");
        _rig.AppOn("c2", Name, "10.96.0.11", "tcp", 4242, "10.244.0.2");
        foreach (var cluster in (string[])["c1", "c2"]) _rig.EastWest(cluster, cluster == "c1" ? "172.18.201.1" : "172.18.202.1");
        Export("c1", first);
        Export("c2", "2030-01-02T00:00:00Z");
        Assert.Equal([$"tcp {number} TCP "], PortsIn("c1"));
        foreach (var cluster in (string[])["c1", "c2"]) Assert.Equal("True PortConflict", Condition(cluster, "Conflict"));
        var client = _rig.Sidecar(number == 42 ? "c1" : "c2");
        _rig.Push();
        Assert.Equal([$"{endpoint}:8080=1"], Endpoints(client, $"outbound|{number}||{Host}"));
        Assert.Null(Cluster(client, $"outbound|{(number == 42 ? 4242 : 42)}||{Host}"));
    }

    [Fact]
    public void Ports_of_different_names_lead_to_the_clusters_that_have_them()
    {
        _rig.AppOn("c1", Name, "10.96.0.10", "tcp", 42, "10.244.0.1");
        _rig.AppOn("c2", Name, "10.96.0.11", "tcp2", 4242, "10.244.0.2");
        _rig.EastWest("c1", "172.18.201.1");
        _rig.EastWest("c2", "172.18.202.1");
        Export("c1", "2030-01-01T00:00:00Z");
        Export("c2", "2030-01-02T00:00:00Z");
        Assert.Equal(["tcp 42 TCP ", "tcp2 4242 TCP "], PortsIn("c1"));
        var client = _rig.Sidecar("c1");
        _rig.Push();
        Assert.Equal(["10.244.0.1:8080=1"], Endpoints(client, $"outbound|42||{Host}"));
        Assert.Equal(["172.18.202.1:15443=1"], Endpoints(client, $"outbound|4242||{Host}"));
    }

    [Fact]
    public void A_headless_Service_becomes_an_import_without_an_address()
    {
        Service("c1", service => (service.Spec.ClusterIP, service.Spec.IpFamilies) = ("None", ["IPv4", "IPv6"]));
        Export("c1", "2030-01-01T00:00:00Z");
        foreach (var cluster in (string[])["c1", "c2"])
        {
            var spec = ImportIn(cluster).Spec;
            Assert.Equal("""Headless  ["IPv4","IPv6"]""", $"{spec["type"]} {spec["ips"]?.ToJsonString()} {spec["ipFamilies"]!.ToJsonString()}");
        }
        Unexport("c1");
        Assert.Empty(Plan("c1").Imports);
    }

    [Fact]
    public void An_alias_cannot_be_exported()
    {
        Service("c1", service => (service.Spec.Type, service.Spec.ExternalName) = ("ExternalName", "example.com"));
        Export("c1", "2030-01-01T00:00:00Z");
        _rig.Push();
        Assert.Equal(("False InvalidServiceType", "False Failed", ""), (Condition("c1", "Valid"), Condition("c1", "Ready"), Condition("c1", "Conflict")));
        Assert.Empty(Plan("c2").Imports);
    }

    [Fact]
    public void Of_a_headless_Service_and_one_with_an_address_the_oldest_exports_type_counts()
    {
        Service("c1");
        Service("c2", service => service.Spec.ClusterIP = "None");
        Export("c1", "2030-01-01T00:00:00Z");
        Export("c2", "2030-01-02T00:00:00Z");
        foreach (var cluster in (string[])["c1", "c2"])
        {
            Assert.Equal("ClusterSetIP", ImportIn(cluster).Spec["type"]!.ToString());
            Assert.Equal("True TypeConflict", Condition(cluster, "Conflict"));
        }
        Export("c1", "2030-01-03T00:00:00Z");
        Assert.Equal("Headless", ImportIn("c1").Spec["type"]!.ToString());
    }

    [Theory]
    [InlineData("exportedLabels", "team", "a b", "spec.exportedLabels[team]: 'a b' cannot be the value of a label")]
    [InlineData("exportedLabels", "a b", "x", "spec.exportedLabels: 'a b' cannot be a name of one")]
    [InlineData("exportedAnnotations", "-", "x", "spec.exportedAnnotations: '-' cannot be a name of one")]
    public void What_no_import_can_have_is_not_exported(string field, string key, string value, string message)
    {
        Service("c1");
        Export("c1", "2030-01-01T00:00:00Z", new() { [field] = new JsonObject { [key] = value } });
        _rig.Push();
        Assert.Empty(Plan("c1").Imports);
        Assert.Equal(new ExportCondition("Valid", false, "InvalidMetadata", message), Plan("c1").Conditions.Single().Conditions[0]);
    }

    /// <summary>A server that has only the older version drops what it does not know: that is no reason to write again and again.</summary>
    [Theory]
    [InlineData("v1beta1", "Local", false)]
    [InlineData("v1beta1", "", true)]
    [InlineData("v1alpha1", "", false)]
    public void What_a_version_of_the_API_lacks_is_not_written_again(string version, string policy, bool again)
    {
        Service("c1", service => service.Spec.InternalTrafficPolicy = "Local");
        Export("c1", "2030-01-01T00:00:00Z");
        var import = ImportIn("c1");
        var spec = import.SpecIn(version);
        Assert.Equal(version == "v1beta1", spec.ContainsKey("internalTrafficPolicy"));
        if (policy.Length == 0) spec.Remove("internalTrafficPolicy");
        _rig.Writer.PutMultiCluster("c1", new()
        {
            ["apiVersion"] = $"multicluster.x-k8s.io/{version}", ["kind"] = "ServiceImport", ["metadata"] = import.Metadata(), ["spec"] = spec,
            ["status"] = import.StatusIn(version, "2030-01-01T00:00:00Z"),
        });
        _rig.Push();
        Assert.Equal(again, Plan("c1").Imports.Count > 0);
    }

    [Fact]
    public void Conditions_of_other_controllers_are_no_reason_to_write()
    {
        Service("c1");
        Export("c1", "2030-01-01T00:00:00Z");
        _rig.Push();
        var wanted = Plan("c1").Conditions.Single().Conditions.Select(one => Known(one.Type, one.Status, one.Reason, one.Message));
        Export("c1", "2030-01-01T00:00:00Z", conditions: [Known("Imported", true, "Theirs", ""), .. wanted.Reverse()]);
        _rig.Push();
        Assert.Empty(Plan("c1").Conditions);

        static JsonNode Known(string type, bool status, string reason, string message) =>
            new JsonObject { ["type"] = type, ["status"] = status ? "True" : "False", ["reason"] = reason, ["message"] = message };
    }

    private void Service(string cluster, Action<Service>? change = null)
    {
        var service = new Service
        {
            Metadata = new() { Name = Name, Namespace = MeshRig.Namespace },
            Spec = new() { ClusterIP = cluster == "c1" ? "10.96.0.10" : "10.96.0.11", Ports = [new() { Name = "tcp", Port = 42 }] },
        };
        change?.Invoke(service);
        _rig.Writer.Put(cluster, service);
    }

    private void Ports(string cluster, params (string Name, int Port, string Protocol, string App)[] ports) => Service(cluster, service =>
        service.Spec.Ports = [.. ports.Select(port => new Isthmus.Kubernetes.Objects.ServicePort
        {
            Name = port.Name, Port = port.Port, Protocol = port.Protocol, AppProtocol = port.App
        })]);

    private void Export(string cluster, string created, JsonObject? spec = null, JsonNode[]? conditions = null) => _rig.Writer.PutMultiCluster(cluster, new()
    {
        ["kind"] = "ServiceExport",
        ["metadata"] = new JsonObject { ["name"] = Name, ["namespace"] = MeshRig.Namespace, ["creationTimestamp"] = created },
        ["spec"] = spec,
        ["status"] = new JsonObject { ["conditions"] = new JsonArray(conditions ?? []) },
    });

    private void Unexport(string cluster)
    {
        _rig.Writer.RemoveMultiCluster(cluster, "ServiceExport", MeshRig.Namespace, Name);
        _rig.Push();
    }

    private MultiClusterPlan Plan(string cluster) => MultiClusterPlan.Of(_rig.Mesh, cluster, MultiClusterSettings.Default);

    private WantedImport ImportIn(string cluster)
    {
        _rig.Push();
        return Assert.Single(Plan(cluster).Imports);
    }

    private IEnumerable<string> Clusters(string cluster) => ImportIn(cluster).Clusters.Select(item => item!["cluster"]!.ToString());

    private IEnumerable<string> PortsIn(string cluster) =>
        ImportIn(cluster).Spec["ports"]!.AsArray().Select(port => $"{port!["name"]} {port["port"]} {port["protocol"]} {port["appProtocol"]}");

    private string Condition(string cluster, string type) =>
        Plan(cluster).Conditions.SelectMany(wanted => wanted.Conditions).Where(condition => condition.Type == type)
        .Select(condition => $"{condition.Status} {condition.Reason}").SingleOrDefault("");
}
